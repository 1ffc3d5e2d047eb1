"""Everything one command or flow run works with: settings, campaigns, queries and the database."""

from __future__ import annotations

from datetime import UTC, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Any

from config.campaign import Campaign, load_campaign, load_campaigns
from config.settings import CHECKOUT, Settings, load_settings
from config.sources import AnySource, load_keywords, load_sources
from tasks.rules.content import Templates, Variable
from tasks.rules.errors import CampaignError, Problem
from tasks.store.engine import Database
from tasks.store.queries import Queries

# Columns every segment returns; the others are what a message may quote.
SEGMENT_KEYS = ("customer_id", "anchor_at", "episode")


class Workspace:
    """Opened once per process and passed to every step; nothing below reads the environment."""

    def __init__(self, settings: Settings, root: Path = CHECKOUT) -> None:
        self.settings = settings
        self.root = root  # where sql/, dashboards/ and tests/sql/ are

    @classmethod
    def open(cls, **given: Any) -> Workspace:
        """A workspace from the environment; `given` settings win."""
        return cls(load_settings(**given))

    @cached_property
    def database(self) -> Database:
        """The database, started and created on first use when it is the embedded one."""
        return Database.open(self.settings)

    @cached_property
    def queries(self) -> Queries:
        """Every SQL file, read and checked."""
        return Queries.load(self.root)

    @cached_property
    def campaigns(self) -> dict[str, Campaign]:
        """Every campaign of the configuration folder, by name; raises ConfigError with all findings."""
        return load_campaigns(self.settings.folder("campaigns"))

    @cached_property
    def sources(self) -> dict[str, AnySource]:
        """Every source of the mapping, by name; raises ConfigError with all findings."""
        return load_sources(self.settings.folder("sources"))

    @cached_property
    def keywords(self) -> dict[str, tuple[str, ...]]:
        """Groups of words that texts of messages are searched for, by name; raises ConfigError with all findings."""
        return load_keywords(self.settings.folder("sources"))

    def campaign(self, name: str) -> Campaign:
        """One campaign, unharmed by what is wrong in other folders."""
        folder = self.settings.folder("campaigns") / name
        if "/" in name or not (folder / "campaign.yaml").is_file():
            known = sorted(path.parent.name for path in folder.parent.glob("*/campaign.yaml"))
            raise CampaignError(Problem(name, f"no such campaign; there are: {', '.join(known) or 'none'}"))
        return load_campaign(folder)

    def templates(self, campaign: Campaign) -> Templates:
        """A campaign's messages, linted against its segment's columns; raises CampaignError with all findings."""
        columns = self.queries[f"segments/{campaign.segment}"].returns.values()
        variables = tuple(Variable(c.name, c.nullable) for c in columns if c.name not in SEGMENT_KEYS)
        folder = self.settings.folder("campaigns") / campaign.name
        return Templates.load(campaign, folder, variables, self.settings.pipeline.sender)

    def instant(self, text: str | None) -> datetime | None:
        """An `--as-of` value: ISO 8601 with a zone, or a date, meaning its last instant in the business zone."""
        if text is None:
            return None
        try:
            if len(text) == len("2026-01-31"):
                day = datetime.fromisoformat(text).date()
                return datetime.combine(day, time.max, self.settings.business_zone).astimezone(UTC)
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise CampaignError(Problem(text, "not a date or ISO 8601 instant, such as 2026-01-31")) from None
        if moment.tzinfo is None:
            raise CampaignError(Problem(text, "has no zone; write 2026-01-31T18:00:00+01:00, or a date alone"))
        return moment.astimezone(UTC)

    def close(self) -> None:
        """Let go of the database connections."""
        if "database" in self.__dict__:
            self.database.dispose()
