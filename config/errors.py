"""What is wrong with a file a person wrote. The whole family is drawn in tasks/rules/errors.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


class ReengageError(Exception):
    """Anything this product reports by itself; its text is safe to log and never holds personal data."""

    exit_code = 1


@dataclass(frozen=True)
class Problem:
    """One finding in a file a person wrote: where it is (file, line or path of keys) and what to do."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class ConfigError(ReengageError):
    """Every problem of the files or settings at fault, in one report."""

    exit_code = 2

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


def problems_of(error: ValidationError, where: str) -> list[Problem]:
    """Each pydantic finding with its dotted path; the value given is never repeated (it may be a secret).

    A list whose entries have problems of their own is not called too short as well: pydantic counts the good ones only.
    """
    all_found = error.errors(include_url=False, include_context=False)
    within = {found["loc"][:length] for found in all_found for length in range(len(found["loc"]))}
    return [
        Problem(f"{where}: {'.'.join(str(part) for part in found['loc']) or '(whole file)'}", _said(found))
        for found in all_found
        if found["type"] != "too_short" or found["loc"] not in within
    ]


def _said(found: ErrorDetails) -> str:
    if found["type"] == "string_type" and isinstance(found["input"], bool):
        words = "Yes, On and True" if found["input"] else "No, Off and False"
        return f"YAML reads {words} without quotes as {str(found['input']).lower()}: put the word in quotes"
    return found["msg"].removeprefix("Value error, ")
