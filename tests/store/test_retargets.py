"""What came of retargeting: every cell of its tables against plain loops, and what must tie out (R18 to R21)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tasks import choose, erase, measure
from tasks.store import retention, runs
from tasks.store.engine import Database
from tests.leads_world import BERLIN, EVENING, HOUR, MINUTE, Story, Truth, long_weekend, open_story, random_days
from tests.send.stage import Stage, write_campaign
from tests.send.test_retargeting import Leads

ADS = {"back": {"ad1", "ad2"}}
BOTH = {"again": {"ad1"}, "back": {"ad1", "ad2"}}


@pytest.fixture
def make_story(tmp_path: Path, make_database: Callable[..., Database]) -> Iterator[Callable[..., Story]]:
    """A simulated database with retargeting campaigns over these ads, and leads to come."""
    opened: list[Story] = []

    def make(ads: dict[str, set[str]] = ADS, zone: str = BERLIN) -> Story:
        opened.append(open_story(make_database(zone), tmp_path / "config", ads, zone))
        return opened[-1]

    yield make
    for story in opened:
        story.stage.work.close()


def rows(story: Story, table: str) -> list[dict[str, Any]]:
    return [dict(row) for row in story.stage.rows(f"select * from evaluation.{table}")]


def figures(story: Story) -> dict[str, list[dict[str, Any]]]:
    return {name: sorted(rows(story, name), key=repr) for name in ("leads", "retargeted_leads", "retargets_by_hour")}


def summed(story: Story, table: str, *key: str) -> Counter[tuple[Any, ...]]:
    """Leads over all languages and countries."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for row in rows(story, table):
        counts[tuple(row[name] for name in key)] += row["leads"]
    return counts


def same_as(story: Story, truth: Truth) -> None:
    """Every cell, and no other."""
    assert summed(story, "leads", "campaign", "milestone", "last_retarget", "qualified_after") == truth.leads
    assert summed(story, "retargeted_leads", "campaign", "retarget", "milestone") == truth.retargeted
    hours: dict[tuple[Any, ...], Counter[str]] = {}
    for row in rows(story, "retargets_by_hour"):
        counts = hours.setdefault((row["campaign"], row["retarget"], row["happened_on"], row["hour"]), Counter())
        counts.update({name: row[name] for name in ("retargeted", "first_responses", "qualified") if row[name]})
    assert hours == truth.hours


def ties_out(story: Story, campaigns: dict[str, set[str]]) -> None:
    """Parts add up to totals, within each table and between them."""
    found = figures(story)
    for campaign in campaigns:
        leads, retargeted, by_hour = (
            [row for row in found[name] if row["campaign"] == campaign]
            for name in ("leads", "retargeted_leads", "retargets_by_hour")
        )
        total = sum(row["leads"] for row in leads)
        without = sum(row["leads"] for row in leads if row["milestone"] == "qualified" and row["qualified_after"] == 0)
        still = sum(row["leads"] for row in leads if row["milestone"] != "qualified")
        after = {order: sum(row["leads"] for row in leads if row["qualified_after"] == order) for order in (1, 2, 3)}
        assert total - without == sum(after.values()) + still
        for order in (1, 2, 3):
            sent = [row for row in retargeted if row["retarget"] == order]
            hours = [row for row in by_hour if row["retarget"] == order]
            qualified = sum(row["leads"] for row in sent if row["milestone"] == "qualified")
            assert qualified == after[order] == sum(row["qualified"] for row in hours)
            assert sum(row["leads"] for row in sent) == sum(row["retargeted"] for row in hours)
            assert sum(row["first_responses"] for row in hours) <= sum(row["retargeted"] for row in hours)
            assert sum(row["leads"] for row in leads if row["last_retarget"] >= order) >= sum(r["leads"] for r in sent)
            assert all(row["qualified_after"] <= row["last_retarget"] for row in leads)


def test_a_played_weekend_counts_as_plain_loops_count_it_over_the_night_the_clocks_go_back(
    make_story: Callable[..., Story],
) -> None:
    story = make_story()
    end = long_weekend(story)
    measure.campaigns(story.stage.work, end)

    truth = story.truth(end, ADS, BERLIN)
    same_as(story, truth)
    ties_out(story, ADS)
    # the story has what it promises
    assert [truth.sum_of("back", order, "qualified") for order in (1, 2, 3)] == [2, 2, 1]
    assert truth.retargeted["back", 1, "qualified_before"] == 1
    assert truth.leads["back", "qualified", 0, 0] == 1
    assert truth.total("back") == 9  # eight people, one of them twice; not the one from an ad of somebody else's
    night = [
        row["retargeted"]
        for row in rows(story, "retargets_by_hour")
        if (str(row["happened_on"]), row["hour"], row["retarget"]) == ("2026-10-25", 2, 1)
    ]
    assert sum(night) == 3  # one before the clocks went back, two after


def test_at_any_past_moment_only_what_had_happened_by_then_counts(make_story: Callable[..., Story]) -> None:
    story = make_story()
    measure.campaigns(story.stage.work, long_weekend(story))

    for hours in (0, 5, 9, 31, 49):
        then = EVENING + hours * HOUR
        measure.campaigns(story.stage.work, then)
        same_as(story, story.truth(then, ADS, BERLIN))
        ties_out(story, ADS)


@pytest.mark.parametrize("seed", range(2))
def test_random_days_with_two_campaigns_over_the_same_leads_tie_out(
    make_story: Callable[..., Story], seed: int
) -> None:
    story = make_story(BOTH)
    end = random_days(story, seed)

    for as_of in (end, end - timedelta(hours=30)):
        measure.campaigns(story.stage.work, as_of)
        same_as(story, story.truth(as_of, BOTH, BERLIN))
        ties_out(story, BOTH)


def test_a_qualification_at_the_instant_of_the_next_retarget_is_still_the_earlier_ones(
    make_story: Callable[..., Story],
) -> None:
    story = make_story(zone="UTC")
    story.lead("ann", "talk", EVENING)
    story.run(EVENING + HOUR)
    story.stage.dispatch(EVENING + 20 * HOUR)
    second = EVENING + 20 * HOUR
    assert [at for _, at in story.sent("talk")] == [EVENING + 4 * HOUR, second]
    story.says("talk", second)
    story.reaches("talk", "qualified", second)

    measure.campaigns(story.stage.work, second + HOUR)

    same_as(story, story.truth(second + HOUR, ADS))
    assert {(row["retarget"], row["qualified"], row["first_responses"]) for row in rows(story, "retargets_by_hour")
            if row["hour"] == second.hour} == {(1, 1, 1), (2, 0, 0)}  # fmt: skip


def test_a_qualification_after_another_campaigns_retarget_is_that_campaigns(make_story: Callable[..., Story]) -> None:
    story = make_story(BOTH, zone="UTC")
    story.lead("ann", "talk", EVENING)
    story.run(EVENING + HOUR)
    story.stage.dispatch(EVENING + 7 * HOUR)  # back wrote after 4 hours, again after 6
    story.reaches("talk", "qualified", EVENING + 8 * HOUR)

    measure.campaigns(story.stage.work, EVENING + 9 * HOUR)

    found = {row["campaign"]: (row["milestone"], row["last_retarget"], row["qualified_after"])
             for row in rows(story, "leads")}  # fmt: skip
    assert found == {"back": ("qualified", 1, 0), "again": ("qualified", 1, 1)}


def test_two_messages_of_one_step_are_one_retarget_from_the_first_of_them_on(make_story: Callable[..., Story]) -> None:
    story = make_story(zone="UTC")
    story.lead("ann", "talk", EVENING)
    story.run(EVENING + HOUR)
    story.stage.dispatch(EVENING + 4 * HOUR)
    enrolment = story.stage.one("select enrolment_id from campaign.enrolments")
    story.stage.plan(enrolment, "1.push", due=EVENING + 6 * HOUR, channel="push")
    story.stage.run_sql("update campaign.sends set state = 'accepted', accepted_at = due_at where step = '1.push'")
    story.says("talk", EVENING + 5 * HOUR, EVENING + 7 * HOUR)

    measure.campaigns(story.stage.work, EVENING + 8 * HOUR)

    same_as(story, story.truth(EVENING + 8 * HOUR, ADS))
    assert [(row["hour"], row["retargeted"], row["first_responses"]) for row in figures(story)["retargets_by_hour"]
            ] == [(22, 1, 0), (23, 0, 1)]  # fmt: skip


def test_without_named_ads_the_leads_of_every_ad_that_ever_had_a_bot_are_in_the_system(
    make_story: Callable[..., Story],
) -> None:
    story = make_story({"back": set()}, zone="UTC")
    story.ad(ad="botless", bot=None)
    story.ad(ad="ad2", at=EVENING + HOUR, bot=None)  # unlinked later
    for number, ad in enumerate(("ad1", "ad2", "botless", "unheard-of")):
        story.lead(f"p{number}", f"talk-{number}", EVENING, ad=ad)

    measure.campaigns(story.stage.work, EVENING + 2 * HOUR)

    assert summed(story, "leads", "milestone") == {("lead",): 2}


def test_a_lead_that_was_enrolled_stays_in_the_system_when_its_ad_is_named_no_more_and_when_it_is_erased(
    make_story: Callable[..., Story],
) -> None:
    story = make_story(zone="UTC")
    work = story.stage.work
    story.lead("ann", "talk", EVENING)
    story.run(EVENING + HOUR)
    file = story.stage.folder / "campaigns" / "back" / "campaign.yaml"
    file.write_text(file.read_text().replace('"ads": ["ad1", "ad2"]', '"ads": ["another"]'))
    work.__dict__.pop("campaigns", None)  # read once per process; this is the next one
    expected = {EVENING + 59 * MINUTE: [], EVENING + HOUR: [1]}

    for at, leads in expected.items():
        measure.campaigns(work, at)
        assert [row["leads"] for row in rows(story, "leads")] == leads
    erase.person(work, "ann", EVENING + 2 * HOUR)

    for at, leads in expected.items():
        measure.campaigns(work, at)
        assert [row["leads"] for row in rows(story, "leads")] == leads
    assert len(story.stage.rows("select * from campaign.erased_conversations")) == 1


def test_a_lead_whose_retargets_are_forgotten_leaves_the_figures_rather_than_having_come_far_on_its_own(
    make_story: Callable[..., Story],
) -> None:
    story = make_story(zone="UTC")
    story.lead("ann", "talk", EVENING)
    story.run(EVENING + HOUR)
    story.stage.dispatch(EVENING + 5 * HOUR)
    story.reaches("talk", "qualified", EVENING + 6 * HOUR)
    story.run(EVENING + 7 * HOUR)
    later = EVENING + timedelta(days=1200)
    story.lead("bob", "new", later - HOUR)
    measure.campaigns(story.stage.work, later)
    assert sum(row["leads"] for row in rows(story, "leads")) == 2

    assert retention.delete(story.stage.work, later)["ledger"] == 1
    measure.campaigns(story.stage.work, later)

    assert [(row["milestone"], row["last_retarget"], row["leads"]) for row in rows(story, "leads")] == [("lead", 0, 1)]
    assert rows(story, "retargeted_leads") == []


def test_nobody_is_enrolled_for_a_conversation_from_before_the_ledgers_memory_whoever_writes_in_it_now(
    make_story: Callable[..., Story],
) -> None:
    story = make_story(zone="UTC")
    work = story.stage.work
    story.lead("ann", "talk", EVENING)
    story.run(EVENING + HOUR)
    story.stage.dispatch(EVENING + 5 * HOUR)
    story.says("talk", EVENING + 6 * HOUR)
    story.run(EVENING + 6 * HOUR + MINUTE)
    later = EVENING + timedelta(days=1200)
    story.says("talk", later - 5 * HOUR)

    assert retention.delete(work, later)["ledger"] == 1
    with runs.begin(work, "reengage", work.campaign("back"), later) as run:
        chosen = choose.members(run)

    assert (chosen.found, chosen.new, chosen.forgotten) == (1, 0, 1)


def test_a_campaign_that_does_not_retarget_is_in_no_table(tmp_path: Path, make_workspace: Any) -> None:
    write_campaign(tmp_path / "config", "back")
    stage = Stage(make_workspace(config=tmp_path / "config", mode="simulated"), tmp_path / "config")
    stage.planned("ann", due=EVENING)
    stage.run_sql("update campaign.sends set state = 'accepted', accepted_at = due_at")
    leads = Leads(stage)
    leads.ad()
    leads.lead("bob", "talk", EVENING)

    measure.campaigns(stage.work, EVENING + MINUTE)

    for table in ("leads", "retargeted_leads", "retargets_by_hour"):
        assert stage.rows(f"select * from evaluation.{table}") == []


@pytest.mark.parametrize("seed", [11, 12])
def test_no_figure_changes_when_people_are_erased_and_nothing_leads_back_to_them(
    make_story: Callable[..., Story], seed: int
) -> None:
    story = make_story(BOTH)
    end = random_days(story, seed)
    work = story.stage.work
    moments: tuple[datetime, ...] = (end, end - timedelta(hours=30))
    before = []
    for as_of in moments:
        measure.campaigns(work, as_of)
        before.append(figures(story))
    gone = sorted({talk.customer for talk in story.talks.values()})[:9]

    for customer in gone:
        assert erase.person(work, customer, end).is_complete

    for as_of, expected in zip(moments, before, strict=True):
        measure.campaigns(work, as_of)
        assert figures(story) == expected
    kept = repr(story.stage.rows("select * from campaign.erased_conversations"))
    assert "erased:" in kept
    assert "talk-" not in kept
    assert not any(f"'{customer}'" in kept for customer in gone)


def test_whoever_clicked_on_no_campaigns_ad_leaves_nothing_behind(make_story: Callable[..., Story]) -> None:
    story = make_story()
    story.lead("ann", "talk", EVENING, ad="else")

    erase.person(story.stage.work, "ann", EVENING + HOUR)

    assert story.stage.rows("select * from campaign.erased_conversations") == []


def test_the_dashboards_login_reads_the_tables_and_no_row_about_a_person(make_story: Callable[..., Story]) -> None:
    story = make_story()
    story.lead("ann", "talk", EVENING)
    measure.campaigns(story.stage.work, EVENING + HOUR)
    dashboard = story.stage.work.database.role_engine("dashboard")

    with dashboard.connect() as reader:
        assert reader.execute(sa.text("select sum(leads) from leads")).scalar_one() == 1
        reader.execute(sa.text("select * from retargeted_leads"))
        reader.execute(sa.text("select * from retargets_by_hour"))
    for private in (
        "campaign.erased_conversations", "campaign.measured_conversations", "campaign.measured_silences",
        "campaign.measured_episodes", "core.conversations", "core.leads", "campaign.sends",
    ):  # fmt: skip
        with dashboard.connect() as reader, pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            reader.execute(sa.text(f"select * from {private}"))
    dashboard.dispose()
