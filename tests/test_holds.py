"""Every promise of every suite, broken by a file: the load is held, and with it exactly the campaigns that read it.

One shop delivers all ten entities from files. Its campaigns differ in what they read: each entity has one whose segment
reads it, others read events through their goal or their stop event. Everybody reads consents. Loads of a hundred lines:
seven bad ones are more than the five that are only noted and more than a twentieth, and fewer than the tenth that the
share of quarantined lines allows, so that one promise is broken at a time.
"""

from __future__ import annotations

import csv
import io
import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from config.settings import CHECKOUT, Settings
from config.sources import ENTITIES
from config.suites import COLUMN_SET, Expectation, load_suite
from tasks import pull, sync
from tasks.store import runs
from tasks.store.engine import Database
from tasks.store.workspace import Workspace
from tests.exports import AS_OF, Exports
from tests.send.stage import Stage, write_campaign
from tests.store.landing import GOOD

SUITES = CHECKOUT / "config" / "suites"
LINES = 100
FEW = 7
DAY = timedelta(days=1)

SEGMENT = """/*
Somebody, by looking at {entity} only.

owner: tests
grain: one row per person
params:
  as_of: timestamptz - the moment the question is asked
returns:
  customer_id: text unique - who
  anchor_at: timestamptz - since when
  episode: text - what makes this occasion distinct
*/
select
    'somebody' as customer_id,
    cast(:as_of as timestamptz) as anchor_at,
    'once' as episode
from facts.{entity}
limit 1
"""
SIGNED_UP = {"event": "signed_up"}
BOOKED = {"event": "booked"}

MADE_OF = {"conversations": {"messages"}}  # where they come as webhooks, and how far they have come
# Campaigns of the shop: what differs from a campaign whose goal and stop event are a purchase, and what it reads.
CAMPAIGNS: dict[str, tuple[dict[str, Any], set[str]]] = {
    **{
        f"reads_{entity}": ({"segment": f"of_{entity}"}, {entity, "purchases", *MADE_OF.get(entity, ())})
        for entity in ENTITIES
        if entity not in ("purchases", "consents", "events")
    },
    "wants_an_event": ({"segment": "of_ads", "goal": SIGNED_UP}, {"ads", "events", "purchases"}),
    "stops_at_an_event": ({"segment": "of_ads", "stop_event": BOOKED}, {"ads", "events", "purchases"}),
    "reads_events": ({"segment": "of_events", "goal": SIGNED_UP, "stop_event": BOOKED}, {"events"}),
    "lapsing_customers": ({}, {"purchases"}),  # as it is shipped
}


def readers(entity: str) -> list[str]:
    """Who must be held by a load of an entity: everybody reads consents, since withdrawals may wait in them."""
    return sorted(name for name, (_, reads) in CAMPAIGNS.items() if entity in reads | {"consents"})


class Shop(Exports):
    """A shop with a source for each entity, and people in every campaign."""

    def __init__(self, folder: Path, database: Database) -> None:
        root = folder / "root"
        for part in ("sql", "dashboards/queries"):
            shutil.copytree(CHECKOUT / part, root / part)
        for entity in ENTITIES:
            (root / "sql" / "segments" / f"of_{entity}.sql").write_text(SEGMENT.format(entity=entity))

        def make_workspace(config: Path) -> Workspace:
            url = SecretStr(database.url.render_as_string(hide_password=False))
            given = {"config": config, "home": database.home, "database_url": url, "time_zone": "UTC"}
            return Workspace(Settings(**given, _env_file=None), root)

        super().__init__(folder, make_workspace, "sources:\n" + "".join(map(_mapping, ENTITIES)))
        campaigns = self.folder / "campaigns"
        shutil.copytree(CHECKOUT / "config" / "campaigns" / "lapsing_customers", campaigns / "lapsing_customers")
        for name, (changes, _) in CAMPAIGNS.items():
            if name != "lapsing_customers":
                write_campaign(self.folder, name, platforms=["meta"], voucher=None, **changes)
        self.configure(suites=SUITES)
        self.stage = Stage(self.work, self.folder)
        self.stage.person("C1")
        self._numbers = itertools.count(1)

    def lines(self, entity: str, count: int = LINES) -> list[dict[str, str]]:
        """Good lines with keys of their own and a customer who is known."""
        known = "customer_id" in ENTITIES[entity].columns and entity not in ("customers", "messages")
        good = GOOD[entity] | ({"customer_id": "C1"} if known else {})
        return [good | {ENTITIES[entity].key: f"K{next(self._numbers)}"} for _ in range(count)]

    def deliver(
        self,
        entity: str,
        lines: list[dict[str, str]],
        as_of: datetime = AS_OF,
        without: str | None = None,
        beside: Sequence[str] = (),
    ) -> pull.Load:
        """A new file of an entity, brought in as `reengage ingest` does; `without` a column, or with more `beside`."""
        columns = [*(name for name in ENTITIES[entity].columns if name != without), *beside]
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)
        self.write(f"{entity}_{next(self._numbers):06}.csv", text.getvalue())
        [load] = self.pull(entity, as_of)
        return load

    def held(self) -> list[str]:
        """Campaigns that are held."""
        return [name for (name,) in self.all("select distinct campaign from campaign.holds order by campaign")]

    def plan(self, *campaigns: str) -> dict[str, str]:
        """A message to somebody new of each campaign, due now; gives its key."""
        return {
            name: self.stage.planned(f"{name}-{next(self._numbers)}", name, due=AS_OF)
            if name == "lapsing_customers"  # it caps how many messages a person gets
            else self.stage.plan(self.stage.enrol(self._regular(name), name, AS_OF - timedelta(hours=9)), due=AS_OF)
            for name in campaigns
        }

    def _regular(self, campaign: str) -> str:
        if not self.all(f"select from core.customers where customer_id = 'of-{campaign}'"):
            self.stage.person(f"of-{campaign}")
        return f"of-{campaign}"

    def dispatch(self, keys: dict[str, str]) -> dict[str, tuple[str, str | None]]:
        """How every message of these stands after a dispatch of all campaigns."""
        self.stage.dispatch(AS_OF)
        return {name: self.stage.end(key) for name, key in keys.items()}


def _mapping(entity: str) -> str:
    columns = ", ".join(f"{name}: {name}" for name in ENTITIES[entity].columns)
    return (
        f"  {entity}: {{kind: file, entity: {entity}, place: '{entity}_*.csv', fresh_within: 60d,"
        f" columns: {{{columns}}}}}\n"
    )


@pytest.fixture(scope="module")
def shop(make_database: Callable[..., Database], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One shop for all: every test leaves nothing held."""
    found = Shop(tmp_path_factory.mktemp("holds"), make_database())
    yield found
    found.work.close()


def holds_its_readers(shop: Shop, entity: str, load: pull.Load) -> dict[str, str]:
    """Check that nothing of a load is a fact, and that nothing of exactly the readers of an entity leaves.

    Gives the keys of the messages that were there to leave.
    """
    expected = readers(entity)
    # A few of those that are held by purchases or consents stand for all when it comes to the claim.
    few, others = expected[:3], sorted(CAMPAIGNS.keys() - expected)[:2]
    keys = shop.plan(*few, *others)

    assert shop.held() == expected
    assert shop.all(f"select from core.{entity} where load_id = {load.load_id}") == []
    assert shop.dispatch(keys) == {
        **dict.fromkeys(few, ("planned", "gate")),
        **dict.fromkeys(others, ("accepted", None)),
    }
    return keys


def lets_go(shop: Shop, keys: dict[str, str], load: pull.Load) -> None:
    """Check that a load is merged, nobody is held any more, and what waited leaves."""
    assert load.state == "merged"
    assert shop.held() == []
    assert shop.dispatch(keys) == dict.fromkeys(keys, ("accepted", None))


def outcomes(shop: Shop, load: pull.Load, *which: str) -> set[tuple[str, str | None]]:
    """Promises of a load that came out in one of these ways."""
    found = shop.all(f"select expectation, column_name, outcome from raw.validations where load_id = {load.load_id}")
    return {(name, column) for name, column, outcome in found if outcome in which}


# --------------------------------------------------------------------------------------- the promises of the suites


def promises(severity: str) -> list[Any]:
    """Every expectation of every suite that a file can break, as parameters.

    Without a required column a file is none at all, so an entity that has no others cannot break its column set.
    """
    return [
        pytest.param(entity, entry, id=f"{entity}-{entry.type.removeprefix('expect_')}-{_column(entry)}")
        for entity in ENTITIES
        for entry in load_suite(SUITES, entity).expectations
        if entry.severity == severity
        and (entry.type != COLUMN_SET or entry.kwargs["exact_match"] or _optional(entity) is not None)
    ]


def _optional(entity: str) -> str | None:
    """A column that a file may lack, and that no other promise looks at; None where there is none."""
    required, freshness = ENTITIES[entity].required, load_suite(SUITES, entity).freshness
    names = (name for name in ENTITIES[entity].columns if name not in (*required, "customer_id", freshness))
    return next(names, None)


def _column(entry: Expectation) -> str | None:
    return entry.kwargs.get("column")


def broken(shop: Shop, entity: str, entry: Expectation) -> list[dict[str, str]]:
    """A load that breaks this promise and no other."""
    lines, column = shop.lines(entity), _column(entry)
    match entry.type, column:
        case name, None if name == COLUMN_SET:
            pass  # it is the file that breaks it
        case _, "customer_known":
            for line in lines[:60]:
                line["customer_id"] = f"nobody-{line[ENTITIES[entity].key]}"
        case _, "verdict":
            for line in lines[:15]:
                line[ENTITIES[entity].key] += "|"
        case "expect_column_values_to_not_be_null", "belongs_to":
            for line in lines[:FEW]:
                line["conversation_id"] = ""
        case "expect_column_values_to_not_be_null", str():
            for line in lines[:FEW]:
                line[column] = ""
        case "expect_column_values_to_be_in_set", str():
            for line in lines[:FEW]:
                line[column] = "something else"
        case "expect_column_values_to_be_between", str():
            is_time = ENTITIES[entity].columns[column] == "time"
            for line in lines[:FEW]:
                line[column] = "1985-01-01T00:00:00Z" if is_time else "9999999"
        case (("expect_column_values_to_be_unique" | "expect_compound_columns_to_be_unique"), _):
            lines[1:20] = lines[:1] * 19
        case _:
            pytest.fail(f"{entry.type} of {entity} has no test that breaks it")
    return lines


def columns_broken(entity: str, entry: Expectation) -> dict[str, Any]:
    """How the columns of a file that breaks a promise differ from those of the mapping."""
    if entry.type != COLUMN_SET:
        return {}
    return {"beside": ["a column of theirs"]} if entry.kwargs["exact_match"] else {"without": _optional(entity)}


@pytest.mark.parametrize(("entity", "entry"), promises("critical"))
def test_a_broken_promise_holds_the_load_and_who_reads_it_until_a_person_releases_it(
    shop: Shop, entity: str, entry: Expectation
) -> None:
    load = shop.deliver(entity, broken(shop, entity, entry), **columns_broken(entity, entry))

    assert (load.state, load.accepted) == ("held", 0)
    assert outcomes(shop, load, "failed") == {(entry.type, _column(entry))}
    holds_its_readers(shop, entity, load)

    assert pull.release(shop.work, load.load_id).state == "merged"
    assert shop.held() == []


@pytest.mark.parametrize(("entity", "entry"), promises("warning"))
def test_a_promise_that_only_warns_is_noted_and_holds_nobody(shop: Shop, entity: str, entry: Expectation) -> None:
    load = shop.deliver(entity, broken(shop, entity, entry), **columns_broken(entity, entry))

    assert load.state == "merged"
    assert outcomes(shop, load, "failed", "warned") == {(entry.type, _column(entry))}
    assert shop.held() == []


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_load_whose_newest_line_is_too_old_holds_who_reads_it(shop: Shop, entity: str) -> None:
    column = load_suite(SUITES, entity).freshness
    lines = [line | {str(column): "2026-03-01T10:00:00Z"} for line in shop.lines(entity)]

    load = shop.deliver(entity, lines)

    assert load.state == "held"
    assert outcomes(shop, load, "failed") == {("freshness", column)}
    keys = holds_its_readers(shop, entity, load)
    lets_go(shop, keys, pull.release(shop.work, load.load_id))


@pytest.mark.parametrize("entity", ENTITIES)
def test_an_empty_load_where_there_were_lines_every_day_holds_who_reads_it(shop: Shop, entity: str) -> None:
    if not shop.all(f"select from raw.loads where source = '{entity}'"):
        shop.deliver(entity, shop.lines(entity))
    for day in (1, 2, 3):
        assert shop.deliver(entity, shop.lines(entity, 10), AS_OF + day * DAY).state == "merged"

    load = shop.deliver(entity, [], AS_OF + 4 * DAY)

    assert load.state == "held"
    assert outcomes(shop, load, "failed") == {("volume", None)}
    keys = holds_its_readers(shop, entity, load)
    lets_go(shop, keys, pull.release(shop.work, load.load_id))


# ------------------------------------------------------------------------------------------------- columns, and repair


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_file_without_a_required_column_holds_who_reads_it_until_a_whole_file_comes(shop: Shop, entity: str) -> None:
    required = [name for name in ENTITIES[entity].columns if name in ENTITIES[entity].required]
    lines = shop.lines(entity)

    load = shop.deliver(entity, lines, without=required[-1])

    assert (load.state, load.lines_in) == ("failed", 0)
    assert f"column {required[-1]} is missing" in str(load.reason)
    [file] = [path for path in shop.folder.glob(f"{entity}_*.csv") if str(path) == load.object]
    file.unlink()
    keys = holds_its_readers(shop, entity, load)
    lets_go(shop, keys, shop.deliver(entity, lines))


def people(shop: Shop, at: str) -> list[dict[str, str]]:
    """As many customers as a load usually has, with an email each, as they were at a moment."""
    return [
        GOOD["customers"] | {"customer_id": f"renamed-{n}", "email": f"n{n}@example.com", "updated_at": at}
        for n in range(LINES)
    ]


EMAILS = "select count(*), count(email) from core.customers where customer_id like 'renamed-%'"


def test_a_mapped_column_under_a_new_name_empties_nothing_unless_a_person_releases_the_load(shop: Shop) -> None:
    assert shop.deliver("customers", people(shop, "2026-05-01T10:00:00Z")).state == "merged"
    newer = [line | {"e_mail": line["email"]} for line in people(shop, "2026-05-02T10:00:00Z")]

    load = shop.deliver("customers", newer, without="email", beside=["e_mail"])

    assert (load.state, load.lines_in, load.accepted) == ("held", LINES, 0)
    assert load.reason == f"{COLUMN_SET}: missing email, not in the mapping: e_mail"
    keys = holds_its_readers(shop, "customers", load)
    [again] = shop.pull("customers")
    assert (again.load_id, again.state) == (load.load_id, "held")
    assert shop.all(EMAILS) == [(LINES, LINES)]

    lets_go(shop, keys, pull.release(shop.work, load.load_id))
    assert shop.all(EMAILS) == [(LINES, 0)]


@pytest.mark.parametrize("entity", ENTITIES)
def test_people_leave_the_audiences_of_campaigns_that_are_held(shop: Shop, entity: str) -> None:
    in_audiences = [name for name in readers(entity) if name != "lapsing_customers"]
    for name in in_audiences:
        person = shop.stage.person(f"member-{name}-{next(shop._numbers)}", channels=["meta"])
        shop.stage.enrol(person, name, AS_OF - DAY)
        shop.stage.run_sql(
            "insert into campaign.audience_uses values (:name, 'meta', :name) on conflict do nothing", name=name
        )
        shop.stage.run_sql(
            "insert into campaign.audience_members (platform, audience, campaign, customer_id, desired, applied,"
            " desired_at, applied_at, contact_sha256, applied_contact_sha256, identifiers)"
            " values ('meta', :campaign, :campaign, :person, true, true, :at, :at, 'x', 'x',"
            " jsonb_build_object('email', cast(:person as text)))",
            campaign=name, person=person, at=AS_OF - DAY,
        )  # fmt: skip
        shop.stage.run_sql("insert into outbox.audience_members values ('meta', :name, :who)", name=name, who=person)
        shop.stage.consent(person, "meta", "withdrawn", AS_OF - timedelta(hours=1))
    load = shop.deliver(entity, shop.lines(entity), without=ENTITIES[entity].key)
    assert set(in_audiences) <= set(shop.held())

    with runs.begin(shop.work, "dispatch", None, AS_OF) as run:
        sync.removals(run)

    assert Counter(run.counts["audiences"]) == ({"meta removed": len(in_audiences)} if in_audiences else {})
    assert shop.all("select from outbox.audience_members") == []
    assert pull.release(shop.work, load.load_id).state == "failed"
    assert shop.held() == []
    Path(load.object).unlink()


def test_customers_who_come_after_their_devices_let_the_load_pass(shop: Shop) -> None:
    lines = [line | {"customer_id": f"later-{number}"} for number, line in enumerate(shop.lines("push_tokens"))]
    load = shop.deliver("push_tokens", lines)
    assert load.state == "held"

    keys = holds_its_readers(shop, "push_tokens", load)

    people = [line | {"customer_id": f"later-{number}"} for number, line in enumerate(shop.lines("customers"))]
    assert shop.deliver("customers", people).state == "merged"
    [again] = shop.pull("push_tokens")

    assert (again.load_id, again.accepted) == (load.load_id, LINES)
    lets_go(shop, keys, again)
