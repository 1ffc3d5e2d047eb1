"""`reengage erase`: forget a person, and the receipts of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.console import All, AsOf, Json, console, show_rows, workspace

if TYPE_CHECKING:
    from tasks.store.erasure import Receipt

COLUMNS = ("receipt_id", "requested_at", "completed_at", "state", "rows", "counts", "waits_for")
SHOWN = ("receipt_id", "requested_at", "completed_at", "rows")


def erase(
    context: typer.Context,
    customer: Annotated[str | None, typer.Argument(help="Any id of the customer to forget.")] = None,
    list_receipts: Annotated[bool, typer.Option("--list", help="Show the receipts; they name nobody.")] = False,
    as_of: AsOf = None,
    json: Json = False,
    all_rows: All = False,
) -> None:
    """Forget a customer in every table and audience, for good; figures measured so far stay as they are."""
    from config.errors import ConfigError, Problem
    from tasks import erase as step  # Prefect takes a second to import
    from tasks.store import erasure

    work = workspace(context)
    if list_receipts:
        with work.database.transaction() as connection:
            found = erasure.receipts(work, connection)
        rows = [_row(receipt) for receipt in found]
        show_rows(rows, COLUMNS if json else SHOWN, json=json, all_rows=all_rows, arguments={"list": True})
        return
    if customer is None:
        raise ConfigError(Problem("CUSTOMER", "name the customer to forget, or ask for --list"))
    receipt = step.person(work, customer, work.instant(as_of))
    if json:
        show_rows([_row(receipt)], COLUMNS, json=True)  # the customer is not echoed: what is printed gets kept
    else:
        _tell(receipt)
    if not receipt.is_complete:
        raise typer.Exit(1)


def _tell(receipt: Receipt) -> None:
    rows = [{"what": name, "rows": count} for name, count in receipt.counts.items()]
    show_rows(rows, ("what", "rows"), title=f"receipt {receipt.receipt_id}")
    if receipt.is_complete:
        console.print(
            "forgotten. Lines about this customer that sources deliver again are dropped and counted as erased; "
            "the sources themselves are yours to clean"
        )
        return
    waits = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in receipt.waits_for.items())
    console.print(f"incomplete, waits for: {waits}. The next dispatches finish it, or run this again")


def _row(receipt: Receipt) -> dict[str, Any]:
    return {
        "receipt_id": str(receipt.receipt_id),
        "requested_at": receipt.requested_at,
        "completed_at": receipt.completed_at,
        "state": "complete" if receipt.is_complete else "incomplete",
        "rows": sum(receipt.counts.values()),
        "counts": dict(receipt.counts),
        "waits_for": dict(receipt.waits_for),
    }
