"""What WhatsApp charges and where it delivers, in the database, where planning, the claim and the evaluation ask."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, time
from typing import Any

import sqlalchemy as sa

from config.prices import WhatsappPrices, load_whatsapp_prices
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
    content = path.read_bytes() if path.is_file() else b""
    digest = hashlib.sha256(content + f"|{with_examples}|{us_marketing}".encode()).hexdigest()
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


def _midnight(day: date) -> str:
    return datetime.combine(day, time(), UTC).isoformat()
