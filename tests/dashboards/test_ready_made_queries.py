"""The queries for Grafana, Metabase and Superset under the dashboard's login, against what the pages' own answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
import sqlalchemy as sa
from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from pydantic import SecretStr

from config.settings import CHECKOUT, Settings
from dashboards.lift import verdicts
from tasks import measure
from tasks.rules.statistics import newcombe
from tasks.store.engine import Database
from tasks.store.workspace import Workspace
from tests.evaluation_world import START, insert, random_world, write_campaign

QUERIES = CHECKOUT / "docs" / "queries"
FILES = sorted(QUERIES.glob("*/*.sql"))
TOOLS = ("grafana", "metabase", "superset")
ZONE = ZoneInfo("Europe/Berlin")
AS_OF = START + timedelta(days=45)
CAMPAIGNS = ("alpha", "beta", "gone")
CHANNELS = ("email", "sms")


@dataclass(frozen=True)
class Asked:
    """What a reader has chosen on a page of the tool; nothing chosen is all of it."""

    hours: int = 24
    campaign: Sequence[str] = ()
    channel: Sequence[str] = ()
    first_day: date | None = None
    last_day: date | None = None


def quoted(values: Sequence[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def as_grafana(text: str, asked: Asked) -> str:
    """As its PostgreSQL data source does: variables in the browser, then macros, whose arguments end at the first )."""
    named = {
        "${hours}": str(asked.hours),
        "${campaign:sqlstring}": quoted(asked.campaign or CAMPAIGNS),  # All is each of them
        "${channel:sqlstring}": quoted(asked.channel or CHANNELS),
    }
    for name, value in named.items():
        text = text.replace(name, value)
    since = datetime.combine(asked.first_day or date(2000, 1, 1), time(), ZONE).astimezone(UTC)
    until = datetime.combine(asked.last_day or date(2100, 1, 1), time(23, 59, 59), ZONE).astimezone(UTC)

    def macro(found: re.Match[str]) -> str:
        assert found[1] == "__timeFilter", found[0]
        return f"{found[2].strip()} BETWEEN '{since:%Y-%m-%dT%H:%M:%SZ}' AND '{until:%Y-%m-%dT%H:%M:%SZ}'"

    text = re.sub(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)", macro, text)
    assert "$" not in text
    return text


def as_metabase(text: str, asked: Asked) -> str:
    """A field filter becomes a condition on the column that it is mapped to, by the table's own name."""
    mapped = re.search(r"column(?:s)? of ((?:[A-Z][a-z]+ ?)+)", text)
    table = mapped[1].strip().lower().replace(" ", "_") if mapped else ""

    def condition(column: str, test: str | None) -> str:
        return f'"evaluation"."{table}"."{column}" {test}' if test else "1 = 1"

    days = f"BETWEEN '{asked.first_day}' AND '{asked.last_day}'" if asked.first_day and asked.last_day else None
    named = {
        "hours": str(asked.hours),
        "campaign": condition("campaign", f"IN ({quoted(asked.campaign)})" if asked.campaign else None),
        "channel": condition("channel", f"IN ({quoted(asked.channel)})" if asked.channel else None),
        "sent_on": condition("sent_on", days),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: named[found[1]], text)


def as_superset(text: str, asked: Asked) -> str:
    """Jinja with its macros, and then a subquery of the chart's."""
    chosen: Mapping[str, list[Any]] = {
        "window_hours": [asked.hours], "campaign": list(asked.campaign), "channel": list(asked.channel),
    }  # fmt: skip

    def filter_values(column: str, default: str | None = None, remove_filter: bool = False) -> list[Any]:
        return chosen[column] or ([default] if default else [])

    def get_time_filter(column: str, target_type: str | None = None, remove_filter: bool = False) -> SimpleNamespace:
        assert (column, target_type) == ("sent_on", "DATE")
        after = asked.last_day and asked.last_day + timedelta(days=1)
        moments = (day and f"TO_DATE('{day}', 'YYYY-MM-DD')" for day in (asked.first_day, after))
        return SimpleNamespace(**dict(zip(("from_expr", "to_expr"), moments, strict=True)))

    world = SandboxedEnvironment(undefined=StrictUndefined)
    world.filters["where_in"] = lambda values: f"({quoted(values)})"
    text = world.from_string(text).render(filter_values=filter_values, get_time_filter=get_time_filter)
    return f"SELECT * FROM ({text}) AS virtual_table"


RENDER: Mapping[str, Callable[[str, Asked], str]] = {
    "grafana": as_grafana, "metabase": as_metabase, "superset": as_superset,
}  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """The dashboard's login, with a query of a tool or of a page."""

    work: Workspace
    connection: sa.Connection

    def asked(self, path: Path, asked: Asked) -> pd.DataFrame:
        """What a tool shows."""
        text = RENDER[path.parent.name](path.read_text("utf-8"), asked)
        with self.connection.begin():
            answer = self.connection.exec_driver_sql(text)
            return pd.DataFrame(answer.fetchall(), columns=list(answer.keys()))

    def page(self, name: str, **params: object) -> list[dict[str, Any]]:
        """What a page's own query answers."""
        with self.connection.begin():
            rows = self.connection.execute(self.work.queries[f"dashboards/{name}"](**params)).mappings()
            return [dict(row) for row in rows]


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[..., Database]) -> Iterator[Reading]:
    """A crowded month of a shop in Berlin, measured; groups of alpha as drawn, those of beta's first version not."""
    config = tmp_path_factory.mktemp("config")
    for name in CAMPAIGNS:
        write_campaign(config / "campaigns", name, "currency: EUR")
    database = make_database("Europe/Berlin")
    url = SecretStr(database.url.render_as_string(hide_password=False))
    work = Workspace(
        Settings(
            config=config, home=database.home, database_url=url, time_zone="Europe/Berlin", mode="simulated",
            _env_file=None,
        )
    )  # fmt: skip
    world = random_world(41, people=90)
    with work.database.transaction() as connection:
        world.write(connection)
        planned = [("alpha", "v1", 0.33), ("alpha", "v2", 0.33), ("beta", "v1", 0.9)]
        insert(connection, "campaign.experiments", [
            {"campaign": campaign, "experiment_version": version, "holdout": share}
            for campaign, version, share in planned
        ])  # fmt: skip
        insert(connection, "campaign.message_reports", [
            {
                "send_key": send["send_key"],
                "delivered_at": send["accepted_at"] + timedelta(minutes=1),
                "opened_at": send["accepted_at"] + timedelta(hours=2) if number % 3 == 0 else None,
                "clicked_at": send["accepted_at"] + timedelta(hours=3) if number % 6 == 0 else None,
            }
            for number, send in enumerate(send for send in world.sends if send["accepted_at"])
        ])  # fmt: skip
        insert(connection, "campaign.audience_members", [
            {
                "platform": platform, "audience": "late", "campaign": campaign, "customer_id": f"c{number:03}",
                "desired": number % 4 > 0, "applied": number % 3 > 0, "desired_at": START,
            }
            for number in range(20)
            for platform, campaign in (("meta", "alpha"), ("google", "beta"))
        ])  # fmt: skip
        insert(connection, "raw.loads", [
            {"source": "shop", "entity": "purchases", "object": "a.csv", "as_of": START, "state": "held"},
        ])  # fmt: skip
    measure.campaigns(work, AS_OF)
    engine = work.database.role_engine("dashboard")
    with engine.connect() as connection:
        yield Reading(work, connection)
    engine.dispose()
    work.close()


def test_each_tool_has_the_same_queries() -> None:
    names = {tool: {path.name for path in FILES if path.parent.name == tool} for tool in TOOLS}

    assert len(names["grafana"]) >= 6
    assert names["grafana"] == names["metabase"] == names["superset"] - {"windows.sql"}


def test_the_page_that_explains_them_leads_to_each() -> None:
    links = re.findall(r"\]\((queries/[^)]+)\)", (QUERIES.parent / "dashboard.md").read_text("utf-8"))

    assert sorted(links) == [path.relative_to(QUERIES.parent).as_posix() for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_tool_finds_anything_to_replace_in_what_a_query_says_of_itself(path: Path) -> None:
    said, _, statement = path.read_text("utf-8").partition("*/")

    assert said.startswith("/*\n")
    assert not re.search(r"[${}?%;']|:\w", said)
    # A semicolon ends what a tool puts around it, and a cast by colons is a parameter to some.
    assert not re.search(r"[;?]|::|--.*'", statement)


def test_every_query_answers_with_everything_and_with_a_choice(reading: Reading) -> None:
    choice = Asked(72, ("alpha",), ("email",), date(2026, 3, 5), date(2026, 3, 20))

    for path in FILES:
        everything, chosen = reading.asked(path, Asked()), reading.asked(path, choice)
        assert len(everything) >= len(chosen) > 0, path
        assert list(everything) == list(chosen)


def _days(rows: pd.DataFrame) -> dict[date, tuple[int, int, int]]:
    """Sends, conversions and sends still open by day, whatever the tool calls a day and splits it by."""
    if "time" in rows:
        local = [at.astimezone(ZONE) for at in rows["time"]]
        assert {at.time() for at in local} == {time()}
        rows = rows.assign(sent_on=[at.date() for at in local])
    counts = rows.groupby("sent_on")[["sends", "conversions", "still_open"]].sum()
    return {day: tuple(map(int, row)) for day, row in zip(counts.index, counts.to_numpy(), strict=True)}


@pytest.mark.parametrize("tool", TOOLS)
def test_messages_and_conversions_by_day_are_those_of_the_page(reading: Reading, tool: str) -> None:
    days = {"first_day": date(2026, 3, 4), "last_day": date(2026, 3, 31)}
    for hours in (1, 24, 100, 720):
        for choice in ({}, {"channel": "email"}, days, {"channel": "sms", **days}):
            page = reading.page("attributed_days", campaign="alpha", hours=hours, **choice)
            chosen = {"channel": (choice["channel"],)} if "channel" in choice else {}
            between = days if "first_day" in choice else {}

            asked = Asked(hours, ("alpha",), **chosen, **between)
            shown = _days(reading.asked(QUERIES / tool / "attributed_by_day.sql", asked))

            assert shown == {
                row["sent_on"]: (int(row["sends"]), int(row["conversions"]), int(row["sends"]) * row["is_open"])
                for row in page
            }
    assert any(row["is_open"] for row in page)
    assert any(row["conversions"] for row in page)


@pytest.mark.parametrize("tool", TOOLS)
def test_revenue_by_day_adds_up_to_the_page_in_each_currency(reading: Reading, tool: str) -> None:
    for hours in (24, 720):
        page = reading.page("attributed_totals", campaign="beta", hours=hours)
        rows = reading.asked(QUERIES / tool / "revenue_by_day.sql", Asked(hours, ("beta",)))

        totals = rows.groupby("currency")[["purchases", "revenue"]].sum()
        shown = {name: (int(row["purchases"]), Decimal(row["revenue"])) for name, row in totals.iterrows()}
        assert shown == {row["currency"]: (int(row["purchases"]), row["revenue"]) for row in page}
        assert set(shown) == {"EUR", "USD"}


@pytest.mark.parametrize("tool", TOOLS)
def test_the_lift_is_that_of_the_page_and_in_its_words(reading: Reading, tool: str) -> None:
    said = set()
    for hours in (24, 168, 720):
        of_all = reading.page("arms_of_all", hours=hours)
        for campaign in CAMPAIGNS:
            page = pd.DataFrame(reading.page("arms", campaign=campaign, hours=hours))
            shown = reading.asked(QUERIES / tool / "lift.sql", Asked(hours, (campaign,)))
            assert list(shown["experiment_version"]) == list(dict.fromkeys(page["experiment_version"]))
            newest = pd.DataFrame([row for row in of_all if row["campaign"] == campaign])
            told = dict(zip(shown["experiment_version"], shown["verdict"], strict=True))
            assert verdicts(newest)[campaign].words == told[newest["experiment_version"].iloc[0]]
            for _, row in shown.iterrows():
                arms = page[page["experiment_version"] == row["experiment_version"]].set_index("arm")
                assert row["enrolled"] == arms["enrolled"].sum()
                assert row["still_maturing"] == (arms["enrolled"] - arms["people"]).sum()
                said.add(row["verdict"])
                if row["verdict"] not in ("better", "worse", "not conclusive yet"):
                    assert pd.isna(row["difference"])
                    continue
                treated, held = (arms.loc[arm, ["conversions", "people"]].astype(int) for arm in ("treated", "holdout"))
                assert (row["treated_conversions"], row["treated_people"]) == tuple(treated)
                assert (row["held_out_conversions"], row["held_out_people"]) == tuple(held)
                effect = newcombe(*treated, *held)
                found = (row["difference"], row["difference_low"], row["difference_high"])
                assert found == pytest.approx((effect.estimate, effect.low, effect.high), abs=1e-12)
    assert {"not conclusive yet", "groups do not match"} <= said


@pytest.mark.parametrize("tool", TOOLS)
def test_engagement_and_audiences_are_those_of_the_pages(reading: Reading, tool: str) -> None:
    engagement = reading.asked(QUERIES / tool / "engagement.sql", Asked(campaign=("alpha",))).set_index("channel")
    page = pd.DataFrame(reading.page("reports", campaign="alpha")).groupby("channel").sum(numeric_only=True)
    assert set(engagement.index) == set(page.index) == set(CHANNELS)
    for what in ("accepted", "delivered", "opened", "machine_opened", "clicked", "replied", "failed", "complained",
                 "unsubscribed"):  # fmt: skip
        assert {name: int(engagement.loc[name, what]) for name in CHANNELS} == page[what].to_dict(), what
    for name in CHANNELS:
        assert float(engagement.loc[name, "opened_share"]) == pytest.approx(
            page.loc[name, "opened"] / page.loc[name, "accepted"], abs=5e-5
        )

    audiences = reading.asked(QUERIES / tool / "audiences.sql", Asked())
    page_rows = reading.page("audiences")
    same = [name for name in audiences if name in page_rows[0]]
    assert len(same) >= 15
    assert [tuple(row) for row in audiences[same].astype(object).where(audiences[same].notna(), None).to_numpy()] == [
        tuple(row[name] for name in same) for row in page_rows
    ]


@pytest.mark.parametrize("tool", TOOLS)
def test_a_window_longer_than_what_was_measured_answers_nothing(reading: Reading, tool: str) -> None:
    for name in ("attributed_by_day", "revenue_by_day", "lift"):
        assert reading.asked(QUERIES / tool / f"{name}.sql", Asked(721)).empty


@pytest.mark.parametrize("tool", TOOLS)
def test_ages_are_told_where_time_is_real(reading: Reading, tool: str) -> None:
    path = QUERIES / tool / "freshness.sql"
    moments = reading.asked(path, Asked())
    assert dict(zip(moments["name"], moments["state"], strict=True))["shop / purchases"] == "held"
    assert dict(zip(moments["name"], moments["as_of"], strict=True))["evaluation"] == AS_OF
    assert moments["hours_old"].isna().all()

    _play(reading, "live")
    try:
        assert reading.asked(path, Asked())["hours_old"].notna().all()
    finally:
        _play(reading, None)


def _play(reading: Reading, mode: str | None) -> None:
    with reading.work.database.transaction() as connection:
        connection.execute(sa.text("update campaign.database set mode = :mode"), {"mode": mode})
