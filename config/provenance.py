"""Every parameter of a campaign with its value, default, meaning and where it was set (B9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from config.campaign import Campaign


@dataclass(frozen=True)
class Parameter:
    """One line of the adjustable-parameters panel."""

    path: str
    value: Any
    default: Any
    meaning: str
    set_in: str


def parameters(campaign: Campaign, folder: Path) -> list[Parameter]:
    """Every parameter, in the model's order; `set_in` is `campaign.yaml:<line>` or `default`."""
    lines = set_lines(folder / "campaign.yaml")
    return list(_walk(campaign, "", lines))


def set_lines(path: Path) -> dict[str, int]:
    """Dotted path of every key and list entry in a YAML file -> line number (from 1)."""
    root = yaml.compose(path.read_text("utf-8"), yaml.SafeLoader)
    return dict(_lines(root, "")) if root else {}


def _lines(node: yaml.Node, prefix: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = f"{prefix}{key.value}"
            yield path, key.start_mark.line + 1
            yield from _lines(value, f"{path}.")
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            path = f"{prefix}{position}"
            yield path, value.start_mark.line + 1
            yield from _lines(value, f"{path}.")


def _walk(part: BaseModel, prefix: str, lines: Mapping[str, int]) -> Iterator[Parameter]:
    shown = part.model_dump(mode="json")
    for name, field in type(part).model_fields.items():
        value, path = getattr(part, name), f"{prefix}{name}"
        if isinstance(value, BaseModel):
            yield from _walk(value, f"{path}.", lines)
        elif _holds_parts(value):
            entries = value.items() if isinstance(value, Mapping) else enumerate(value)
            for key, entry in entries:
                yield from _walk_entry(entry, f"{path}.{key}.", lines)
        else:
            yield Parameter(path, shown[name], _default(field), field.description or "", _set_in(path, lines))


def _walk_entry(entry: Any, prefix: str, lines: Mapping[str, int]) -> Iterator[Parameter]:
    if isinstance(entry, BaseModel):
        yield from _walk(entry, prefix, lines)
    else:
        for key, inner in entry.items():
            yield from _walk_entry(inner, f"{prefix}{key}.", lines)


def _holds_parts(value: Any) -> bool:
    entries = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, tuple) else []
    return any(
        isinstance(entry, BaseModel) or (isinstance(entry, Mapping) and _holds_parts(entry)) for entry in entries
    )


def _default(field: FieldInfo) -> Any:
    if field.is_required() or field.default is PydanticUndefined:
        return "(required)"
    # Through the field's own type, so that a duration reads 7d here as it does in the file.
    kind: Any = Annotated[field.annotation, field]  # ty: ignore[invalid-type-form] - a type known at run time only
    return TypeAdapter(kind).dump_python(field.default, mode="json")


def _set_in(path: str, lines: Mapping[str, int]) -> str:
    """The line of the path itself, or of the short form that stands for it (`channels: [email]`)."""
    parts = path.split(".")
    if path in lines:
        return f"campaign.yaml:{lines[path]}"
    if len(parts) > 1 and parts[-1] == "name" and ".".join(parts[:-1]) in lines:
        return f"campaign.yaml:{lines['.'.join(parts[:-1])]}"
    return "folder name" if path == "name" else "default"
