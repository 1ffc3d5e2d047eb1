"""The data gate: a load that breaks its suite is held with the campaigns that read it, and nothing of it is a fact."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import yaml

from config.errors import ConfigError
from config.settings import CHECKOUT
from config.sources import ENTITIES
from config.suites import COLUMN_SET
from tasks import pull, validate
from tasks.rules.errors import GateError
from tasks.store import quarantine
from tests.exports import AS_OF, Exports
from tests.store.landing import GOOD

SUITES = CHECKOUT / "config" / "suites"
MANY = 400  # lines of a load that is broken on purpose


def _mapping(entity: str, extra: str = "") -> str:
    columns = ", ".join(f"{name}: {name}" for name in ENTITIES[entity].columns)
    return f"""
    sources:
      export:
        kind: file
        entity: {entity}
        place: export_*.csv
        {extra}
        columns: {{{columns}}}
    """


def _line(entity: str, number: int) -> dict[str, str]:
    """A good line of an entity with a key of its own and a customer that is known."""
    return (
        GOOD[entity] | {ENTITIES[entity].key: f"K{number}"} | ({"customer_id": "C1"} if _has_customer(entity) else {})
    )


def _has_customer(entity: str) -> bool:
    return "customer_id" in ENTITIES[entity].columns and entity not in ("customers", "messages")


def _csv(entity: str, lines: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(ENTITIES[entity].columns), restval="")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


@pytest.fixture
def export(tmp_path, make_workspace) -> Callable[..., Exports]:
    """A source of one entity, a known customer, a campaign on purchases and one whose goal is an event."""

    def make(entity: str, extra: str = "") -> Exports:
        shop = Exports(tmp_path, make_workspace, _mapping(entity, extra))
        campaigns = shop.folder / "campaigns"
        shutil.copytree(CHECKOUT / "config" / "campaigns" / "lapsing_customers", campaigns / "lapsing_customers")
        shutil.copytree(campaigns / "lapsing_customers", campaigns / "signups")
        file = campaigns / "signups" / "campaign.yaml"
        file.write_text(file.read_text().replace("goal: {event: purchase}", "goal: {event: signed_up}"))
        shop.configure(suites=SUITES)
        with shop.work.database.transaction() as connection:
            connection.execute(sa.text("insert into core.customers (customer_id) values ('C1')"))
        return shop

    return make


def _deliver(shop: Exports, entity: str, lines: list[dict[str, str]], name: str = "1", as_of=AS_OF) -> pull.Load:
    shop.write(f"export_{name}.csv", _csv(entity, lines))
    return shop.pull("export", as_of)[-1]


def _failed(shop: Exports, load: pull.Load) -> set[tuple[str, str | None]]:
    of_load = f"load_id = {load.load_id} and outcome = 'failed'"
    return set(shop.all(f"select expectation, column_name from raw.validations where {of_load}"))


def _held(shop: Exports) -> list[str]:
    return [name for (name,) in shop.all("select campaign from campaign.holds order by campaign")]


@pytest.mark.parametrize("entity", list(ENTITIES))
def test_a_good_load_of_every_entity_passes_and_merges(export, entity):
    shop = export(entity)

    load = _deliver(shop, entity, [_line(entity, number) for number in range(20)])

    assert (load.state, load.accepted) == ("merged", 20)
    assert _held(shop) == []
    outcomes = dict(shop.all("select expectation, min(outcome) from raw.validations group by 1"))
    assert outcomes.pop("volume") == "not_enough_history"
    assert set(outcomes.values()) == {"passed"}


def _broken(entity: str, column: str) -> list[dict[str, str]]:
    """A load two thirds of which lack a column that they need."""
    return [_line(entity, number) | ({column: ""} if number % 3 else {}) for number in range(MANY)]


def _suite_of(shop: Exports, entity: str, **column_set: object) -> None:
    """The shop's own suite of an entity, which is about the columns only."""
    shutil.copytree(SUITES, shop.folder / "suites", dirs_exist_ok=True)
    suite = {"volume": None, "expectations": [{"type": COLUMN_SET, **column_set}]}
    (shop.folder / "suites" / f"{entity}.yaml").write_text(yaml.safe_dump(suite))
    shop.configure()


def test_a_column_that_nobody_mapped_holds_the_load_where_the_suite_freezes_the_export(export):
    shop = export("events")
    _suite_of(shop, "events", kwargs={"exact_match": True})
    header, *lines = _csv("events", [_line("events", number) for number in range(3)]).splitlines()
    assert _deliver(shop, "events", [_line("events", 9)]).state == "merged"

    shop.write("export_2.csv", "\n".join([f"{header},colour | name", *(f"{line},red" for line in lines)]))
    [load] = shop.pull("export")

    assert (load.state, load.reason) == ("held", f"{COLUMN_SET}: not in the mapping: colour | name")


def test_a_column_that_a_suite_does_not_name_may_be_missing(export):
    shop = export("customers")
    _suite_of(shop, "customers", kwargs={"exact_match": False, "column_set": ["customer_id", "phone"]})

    shop.write("export_1.csv", _without("email", [_line("customers", 1)]))
    assert shop.pull("export")[0].state == "merged"
    shop.write("export_2.csv", _without("phone", [_line("customers", 2)]))
    assert shop.pull("export")[0].reason == f"{COLUMN_SET}: missing phone, not in the mapping: index"


def _without(column: str, lines: list[dict[str, str]]) -> str:
    """A file of customers that lacks a column, and has an index that nobody named or mapped."""
    text = io.StringIO()
    columns = ["index", *(name for name in ENTITIES["customers"].columns if name != column)]
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def test_a_held_load_whose_mapping_is_mended_is_read_again_and_stays_held_without(export):
    shop = export("purchases")
    shop.write("export_1.csv", _renamed([_line("purchases", n) | {"coupon_code": "SUN"} for n in range(3)]))
    [load] = shop.pull("export")
    assert load.state == "held"
    assert _held(shop) == ["lapsing_customers", "signups"]

    mapping = shop.folder / "sources.yaml"
    mapping.write_text(mapping.read_text().replace("coupon_code: coupon_code", "coupon_code: coupon"))
    shop.work.__dict__.pop("sources")
    # Its lines landed without the coupons, whatever the mapping says by now.
    assert [(held.load_id, held.state) for held in shop.pull("export")] == [(load.load_id, "held")]
    [again] = pull.again(shop.work, load.load_id, AS_OF)

    assert (again.load_id != load.load_id, again.state, again.accepted) == (True, "merged", 3)
    assert shop.all("select distinct coupon_code from core.purchases") == [("SUN",)]
    assert _held(shop) == []
    assert shop.all(f"select state, lines_in from raw.loads where load_id = {load.load_id}") == [("failed", 0)]
    gone = f"to_regclass('raw.purchases_{load.load_id}'), to_regclass('raw.checked_{load.load_id}')"
    assert shop.all(f"select {gone}") == [(None, None)]
    with pytest.raises(GateError, match=f"load {again.load_id} of export is merged; only a held load is left out"):
        pull.again(shop.work, again.load_id, AS_OF)


def test_a_held_load_whose_file_is_gone_is_left_out_and_holds_until_a_good_one_comes(export):
    shop = export("purchases")
    path = shop.write("export_1.csv", _renamed([_line("purchases", 1)]))
    [load] = shop.pull("export")
    path.unlink()

    assert pull.again(shop.work, load.load_id, AS_OF) == []
    assert _held(shop) == ["lapsing_customers", "signups"]
    assert _deliver(shop, "purchases", [_line("purchases", 1)], "2").state == "merged"
    assert _held(shop) == []


def _renamed(lines: list[dict[str, str]]) -> str:
    """A file of purchases whose column of coupons has another name than the mapping knows."""
    return _csv("purchases", lines).replace("coupon_code", "coupon")


def test_a_campaign_is_held_by_what_its_segment_stop_event_or_goal_reads_and_by_nothing_else(export):
    shop = export("events")

    assert validate.readers(shop.work, "purchases") == ["lapsing_customers", "signups"]
    assert validate.readers(shop.work, "events") == ["signups"]
    assert validate.readers(shop.work, "visits") == []
    # Withdrawals may wait in a load of consents that is held, so everybody waits for it.
    assert validate.readers(shop.work, "consents") == ["lapsing_customers", "signups"]

    # A campaign that cannot be read may read anything.
    (shop.folder / "campaigns" / "signups" / "campaign.yaml").write_text("segment: [")
    assert validate.readers(shop.work, "visits") == ["signups"]


def test_a_held_load_of_events_holds_only_the_campaign_whose_goal_is_an_event(export):
    shop = export("events")

    load = _deliver(shop, "events", _broken("events", "name"))

    assert load.state == "held"
    assert _held(shop) == ["signups"]


def test_an_old_load_is_not_fresh(export):
    shop = export("purchases", "fresh_within: 36h")
    good = [_line("purchases", number) | {"purchased_at": "2026-05-31T10:00:00Z"} for number in range(20)]

    assert _deliver(shop, "purchases", good, "1", datetime(2026, 6, 1, 22, tzinfo=UTC)).state == "merged"
    late = [line | {"order_id": f"L{line['order_id']}"} for line in good]
    load = _deliver(shop, "purchases", late, "2", datetime(2026, 6, 1, 22, 1, tzinfo=UTC))

    assert (load.state, load.reason) == ("held", "freshness(purchased_at): 36.0 h old, expected at most 36h old")
    assert _held(shop) == ["lapsing_customers", "signups"]


def _volumes(shop: Exports, *lines: int, every: timedelta = timedelta(days=1)) -> list[pull.Load]:
    """A history that came at once, and then loads of so many lines, one after the other."""
    shop.write("export_0.csv", _csv("purchases", [_line("purchases", 1)]))
    shop.pull("export")
    loads, number = [], 0
    for count in lines:
        batch = [_line("purchases", number + position) for position in range(count)]
        number += count
        loads.append(_deliver(shop, "purchases", batch, f"{len(loads):03d}", AS_OF + (len(loads) + 1) * every))
    return loads


def test_a_load_is_measured_against_the_median_of_the_last_loads_once_there_are_three(export):
    shop = export("purchases")

    loads = _volumes(shop, 1000, 10, 300, 0, 300, 300, 119, 120, 1201, 300)

    # Fewer than three before: anything passes. Then 40 % to 400 % of the median of those that were merged.
    assert [load.state for load in loads] == [
        "merged", "merged", "merged", "held", "merged", "merged", "held", "merged", "held", "merged",
    ]  # fmt: skip
    assert loads[3].reason == "volume: 0, expected 120 to 1,200 lines (median 300 of 3 loads)"
    assert shop.all(
        f"select expected from raw.validations where expectation = 'volume' and load_id = {loads[8].load_id}"
    )[0] == ("120 to 1,200 lines (median 300 of 6 loads)",)


def _history(shop: Exports, files: int) -> list[pull.Load]:
    """Years of files at once, as a shop that begins delivers them."""
    for year in range(files):
        lines = [_line("purchases", 1000 * year + number) for number in range(600)]
        shop.write(f"export_{year}.csv", _csv("purchases", lines))
    return shop.pull("export")


def test_the_files_of_a_history_that_come_at_once_say_nothing_about_a_day(export):
    shop = export("purchases")
    assert [load.state for load in _history(shop, 4)] == ["merged"] * 4

    # A crash in the middle is no new day: what is left comes with the next run, and is history too.
    days = [timedelta(hours=12), timedelta(days=1), timedelta(days=2), timedelta(days=3), timedelta(days=4)]
    counts = [600, 20, 20, 20, 600]
    states = []
    for place, (later, count) in enumerate(zip(days, counts, strict=True)):
        lines = [_line("purchases", 10_000 + 1000 * place + number) for number in range(count)]
        states.append(_deliver(shop, "purchases", lines, f"day_{place}", AS_OF + later).state)

    assert states == ["merged", "merged", "merged", "merged", "held"]
    assert _expected_volumes(shop) == [
        *["known after 3 loads, 0 so far"] * 6, "known after 3 loads, 1 so far", "known after 3 loads, 2 so far",
        "1 to 120 lines (median 20 of 3 loads)",
    ]  # fmt: skip


def test_a_source_that_delivers_everything_each_time_is_measured_from_its_first_load_on(export):
    shop = export("purchases", "delivers: full")
    assert [load.state for load in _history(shop, 3)] == ["merged"] * 3

    assert _deliver(shop, "purchases", [_line("purchases", 1)], "4").state == "held"


def _expected_volumes(shop: Exports) -> list[str]:
    found = "select expected from raw.validations where expectation = 'volume' order by validation_id"
    return [expected for (expected,) in shop.all(found)]


def test_lines_that_are_routed_again_are_no_deliveries(export):
    shop = export("purchases", "fresh_within: 36h")
    loads, start = [], datetime(2026, 5, 1, 20, tzinfo=UTC)
    for position in range(3):
        lines = [_line("purchases", 300 * position + number) for number in range(300)]
        lines[0]["amount"] = "12,50"
        loads.append(_deliver(shop, "purchases", lines, f"{position}", start))
    for hours in (30, 31, 32):
        with shop.work.database.transaction() as connection:
            at = start + timedelta(hours=hours)
            [again, *_] = quarantine.replay(connection, shop.work.queries, "key", quarantine.Choice(), as_of=at)
        assert again.counts.quarantined == 1

    [silent] = shop.pull("export", start + timedelta(hours=37))
    assert (silent.load_id, silent.state) == (loads[-1].load_id, "stale")
    fresh = {"purchased_at": (start + timedelta(hours=37)).isoformat()}
    lines = [_line("purchases", 900 + number) | fresh for number in range(300)]
    assert _deliver(shop, "purchases", lines, "4", start + timedelta(hours=38)).state == "merged"


def test_small_loads_may_differ_by_a_few_lines_but_not_be_empty(export):
    shop = export("purchases")

    assert [load.state for load in _volumes(shop, 3, 3, 3, 60, 1, 0)] == [*["merged"] * 5, "held"]


def test_a_held_load_is_checked_again_and_merged_once_it_passes(export, tmp_path):
    shop = export("events")
    lines = [_line("events", number) | {"customer_id": f"N{number}"} for number in range(MANY)]
    load = _deliver(shop, "events", lines)
    assert (load.state, load.reason) == ("held", "expect_column_values_to_be_in_set(customer_known): 400 of 400")
    with shop.work.database.transaction() as connection:
        connection.execute(
            sa.text("insert into core.customers (customer_id) select 'N' || n from generate_series(0, 399) as n")
        )

    [again] = shop.pull("export")

    assert (again.load_id, again.state, again.accepted) == (load.load_id, "merged", 400)
    assert _held(shop) == []


def test_a_held_load_that_a_person_releases_is_merged_and_lets_the_campaigns_go(export):
    shop = export("purchases")
    load = _deliver(shop, "purchases", _broken("purchases", "customer_id"))
    assert load.state == "held"
    [still] = shop.pull("export")
    assert still.state == "held"

    released = pull.release(shop.work, load.load_id)

    assert (released.state, released.accepted, released.quarantined) == ("merged", 134, 266)
    assert _held(shop) == []
    assert shop.all("select released_at is not null from raw.loads") == [(True,)]
    with pytest.raises(GateError, match="is merged and holds no campaign"):
        pull.release(shop.work, load.load_id)
    with pytest.raises(ConfigError, match="9999: no such load"):
        pull.release(shop.work, 9999)


def test_the_hold_of_an_extract_that_could_not_be_read_can_be_ended_by_a_person(export):
    shop = export("purchases")
    shop.write("export_1.csv", "order_id\n1\n")
    [load] = shop.pull("export")
    assert _held(shop) == ["lapsing_customers", "signups"]

    assert pull.release(shop.work, load.load_id).state == "failed"
    assert _held(shop) == []


def test_a_warning_and_a_few_bad_lines_are_noted_and_hold_nothing(export):
    shop = export("purchases")
    lines = [_line("purchases", number) | {"customer_id": f"N{number}"} for number in range(60)]
    for line in lines[:5]:
        line["amount"] = ""

    load = _deliver(shop, "purchases", lines)

    assert (load.state, load.accepted, load.quarantined) == ("merged", 55, 5)
    noted = shop.all("select expectation, column_name from raw.validations where outcome = 'warned' order by 1, 2")
    assert ("expect_column_values_to_be_in_set", "customer_known") in noted
    assert ("expect_column_values_to_not_be_null", "amount") in noted


def test_an_analyst_may_change_the_suite(export, tmp_path):
    shop = export("purchases")
    shutil.copytree(SUITES, shop.folder / "suites")
    shop.configure()
    mine = {
        "volume": None,
        "expectations": [
            {
                "type": "expect_column_values_to_match_regex",
                "kwargs": {"column": "order_id", "regex": "^B", "mostly": 0.5},
                "because": "our order numbers begin with B",
            }
        ],
    }
    (shop.folder / "suites" / "purchases.yaml").write_text(yaml.safe_dump(mine))

    load = _deliver(shop, "purchases", [_line("purchases", number) for number in range(20)])

    assert (load.state, load.reason) == ("held", "expect_column_values_to_match_regex(order_id): 20 of 20")


def test_no_value_of_a_row_is_kept_with_the_results(export):
    shop = export("customers")
    lines = [_line("customers", number) | {"email": f"canary{number}@example.com"} for number in range(MANY)]
    for line in lines[: MANY // 2]:
        line["customer_id"] = "canary-key"
    (shop.folder / "suites").mkdir()
    suite = yaml.safe_load((SUITES / "customers.yaml").read_text())
    suite["expectations"] += [
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "email", "regex": "^x"}},
        {"type": "expect_column_max_to_be_between", "kwargs": {"column": "updated_at", "max_value": "1999-01-01"}},
        {"type": "expect_column_distinct_values_to_be_in_set", "kwargs": {"column": "email", "value_set": ["a"]}},
        {"type": "expect_column_most_common_value_to_be_in_set", "kwargs": {"column": "email", "value_set": ["a"]}},
    ]
    (shop.folder / "suites" / "customers.yaml").write_text(yaml.safe_dump(suite))
    shop.configure()

    load = _deliver(shop, "customers", lines)

    assert load.state == "held"
    kept = str(shop.all("select * from raw.validations")) + str(shop.all("select reason, report from raw.loads"))
    kept += str(shop.all("select reason from campaign.holds"))
    assert "expect_column_most_common_value_to_be_in_set" in kept
    assert "canary" not in kept


def test_a_load_is_validated_as_of_the_run_and_not_by_the_clock(export):
    shop = export("purchases", "fresh_within: 2d")
    lines = [_line("purchases", number) | {"purchased_at": "2020-01-01T00:00:00Z"} for number in range(3)]

    load = _deliver(shop, "purchases", lines, as_of=datetime(2020, 1, 2, tzinfo=UTC) + timedelta(hours=20))

    assert load.state == "merged"


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "expect_column_values_to_be_lovely", "kwargs": {"column": "order_id"}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"colum": "order_id"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "amount", "mostly": 7}},
    ],
)
def test_a_suite_that_great_expectations_does_not_understand_is_a_configuration_error_with_its_path(export, wrong):
    shop = export("purchases")
    shutil.copytree(SUITES, shop.folder / "suites")
    good = {"type": "expect_column_to_exist", "kwargs": {"column": "order_id"}}
    (shop.folder / "suites" / "purchases.yaml").write_text(yaml.safe_dump({"expectations": [good, wrong]}))
    shop.configure()

    with pytest.raises(ConfigError, match=r"purchases\.yaml: expectations\.1"):
        _deliver(shop, "purchases", [_line("purchases", 1)])


def test_a_source_that_falls_silent_holds_the_campaigns_until_it_speaks_again(export):
    shop = export("purchases", "fresh_within: 36h")
    start = datetime(2026, 5, 1, 20, tzinfo=UTC)
    _deliver(shop, "purchases", [_line("purchases", 1)], "1", start)
    assert shop.pull("export", start + timedelta(hours=36)) == []

    for hours in (37, 38):
        [load] = shop.pull("export", start + timedelta(hours=hours))
        assert (load.state, load.reason) == ("stale", f"freshness: nothing new for {hours}.0 h")
        assert _held(shop) == ["lapsing_customers", "signups"]
    assert shop.all("select count(*) from raw.validations where outcome = 'failed'") == [(1,)]

    late = start + timedelta(hours=60)
    fresh = _line("purchases", 2) | {"purchased_at": (late - timedelta(hours=1)).isoformat()}
    assert _deliver(shop, "purchases", [fresh], "2", late).state == "merged"
    assert _held(shop) == []


def test_a_person_may_end_the_hold_of_a_silent_source(export):
    shop = export("purchases", "fresh_within: 36h")
    start = datetime(2026, 5, 1, 20, tzinfo=UTC)
    load = _deliver(shop, "purchases", [_line("purchases", 1)], "1", start)
    shop.pull("export", start + timedelta(days=9))

    assert pull.release(shop.work, load.load_id).state == "merged"
    assert _held(shop) == []
