"""What WhatsApp charges, where it delivers and from which number, in the database, where planning and the claim ask."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, time
from typing import Any

import sqlalchemy as sa

from config.prices import WhatsappPrices, load_whatsapp_prices
from config.providers import WhatsappAws, WhatsappCloud
from config.settings import Settings
from tasks.rules.prices import price_rows
from tasks.store import mode
from tasks.store.workspace import Workspace

_UNITED_STATES = "US"


def refresh(work: Workspace, connection: sa.Connection) -> bool:
    """Read the table of prices when it, or what bears on it, is another than last time; answers whether it was.

    Made-up prices are taken in simulated databases only. Raises ConfigError when the file cannot be read or is wrong.
    """
    path = work.settings.whatsapp_prices
    with_examples = mode.peek(work, connection) == "simulated"
    us_marketing = _takes_us_marketing(work.settings)
    of_webhooks, of_files = _accounts(work.settings)
    content = path.read_bytes() if path.is_file() else b""
    bearing = f"|{with_examples}|{us_marketing}|{of_webhooks}|{of_files}"
    digest = hashlib.sha256(content + bearing.encode()).hexdigest()
    if content and connection.execute(work.queries["ledger/prices_known"]()).scalar() == digest:
        return False
    table = load_whatsapp_prices(path)
    connection.execute(
        work.queries["ledger/prices_store"](
            prices=[
                {**vars(row), "valid_from": row.valid_from.isoformat(), "price": str(row.price)}
                for row in price_rows(table, with_examples=with_examples)
            ],
            free=[
                {"category": entry.category, "until": _midnight(entry.until) if entry.until else "infinity"}
                for entry in table.free_in_service_window
            ],
            undelivered=_undelivered(table, us_marketing=us_marketing),
            webhook_accounts=of_webhooks,
            file_accounts=of_files,
            sha256=digest,
        )
    )
    return True


def _undelivered(table: WhatsappPrices, *, us_marketing: bool) -> list[dict[str, Any]]:
    return [
        {"country": entry.country, "category": entry.category, "since": _midnight(entry.since)}
        for entry in table.not_delivered
        if not (us_marketing and (entry.country, entry.category) == (_UNITED_STATES, "marketing"))
    ]


def _takes_us_marketing(settings: Settings) -> bool:
    return bool(getattr(settings.pipeline.provider("whatsapp"), "us_marketing", False))


def _accounts(settings: Settings) -> tuple[list[str] | None, list[str] | None]:
    """What conversations call the number that messages leave from: those made of webhooks, and those of files."""
    options = settings.pipeline.provider("whatsapp")
    if not isinstance(options, WhatsappCloud | WhatsappAws):
        return None, None
    named = [options.account] if options.account else []
    # Webhooks have Meta's id of the number; Amazon has one of its own.
    known = [*named, options.phone_number_id] if isinstance(options, WhatsappCloud) else named
    return known or None, known if named else None


def _midnight(day: date) -> str:
    return datetime.combine(day, time(), UTC).isoformat()
