"""A user's exports in a folder of their own, with the mapping they would write."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from config.settings import CHECKOUT
from tasks import pull
from tasks.store.workspace import Workspace

AS_OF = datetime(2026, 6, 1, 12, tzinfo=UTC)

PURCHASES = """
sources:
  orders:
    entity: purchases
    kind: file
    place: orders*.csv
    columns:
      order_id: order_id
      customer_id: customer_id
      purchased_at: purchased_at
      amount: amount
      currency: currency
      status: status
      updated_at: purchased_at
"""
HEADER = "order_id,customer_id,purchased_at,amount,currency,status"


def order(number: int, day: str = "2026-05-31", amount: str = "10.00") -> str:
    """One good line of PURCHASES."""
    return f"A{number},C{number},{day}T10:00:00Z,{amount},EUR,paid"


class Exports:
    """A configuration folder with sources.yaml, the product's suites, and files beside it."""

    def __init__(self, folder: Path, make_workspace: Callable[..., Workspace], sources: str, **files: str) -> None:
        self.folder = folder / "shop"
        self.folder.mkdir()
        (self.folder / "sources.yaml").write_text(textwrap.dedent(sources), "utf-8")
        self.work = make_workspace(config=self.folder)
        self.configure(campaigns=CHECKOUT / "config" / "campaigns", suites=CHECKOUT / "config" / "suites")
        for name, text in files.items():
            (self.folder / name).write_text(text, "utf-8")

    def configure(self, **folders: Path) -> None:
        """Write reengage.yaml anew, with these folders, and read everything again."""
        lines = ["mode: simulated", *(f"{name}: {path}" for name, path in folders.items())]
        (self.folder / "reengage.yaml").write_text("\n".join(lines) + "\n")
        self.work.settings.__dict__.pop("pipeline", None)
        self.work.__dict__.pop("sources", None)

    def write(self, name: str, content: str | bytes) -> Path:
        """Put a file beside sources.yaml."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def pull(self, source: str = "orders", as_of: datetime = AS_OF) -> list[pull.Load]:
        """What `reengage ingest SOURCE` does."""
        return pull.source(self.work, source, as_of)

    def all(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        with self.work.database.transaction() as connection:
            return [tuple(row) for row in connection.execute(sa.text(statement))]

    def landed(self, entity: str, load_id: int) -> list[dict[str, Any]]:
        """Lines of a load that was not merged, as they landed."""
        with self.work.database.transaction() as connection:
            rows = connection.execute(sa.text(f"select * from raw.{entity}_{load_id} order by line_no"))
            return [dict(row) for row in rows.mappings()]
