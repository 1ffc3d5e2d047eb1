"""Crash points and faults of runs, clocks and infrastructure: which tests play each, and one named for each fault.

Provider faults are in test_fault_matrix; any mixture of crashes and faults by chance in test_trials.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from config.settings import CHECKOUT
from flows.dispatch import dispatch
from flows.reengage import reengage
from flows.story import using
from tasks import choose, plan, pull, reconcile
from tasks.rules.errors import DatabaseError, ModeError, Superseded
from tasks.store import runs
from tasks.store.ledger import Limits
from tests.channels import mail_send
from tests.channels.loopback import Loopback, Mode, Request
from tests.exports import PURCHASES
from tests.planning_world import Shop, campaign
from tests.send import live
from tests.send.live import BRIEF, EMAIL, attempts, due, hear, pass_time
from tests.send.stage import Stage
from tests.send.worker import Orders, dispatch_to_providers, freeze_with_rows_locked, started, wait_until_stopped
from tests.wire import Wire

DAY: Final = timedelta(days=1)
ONE_BY_ONE: Final = Limits(batch=1)

# Where each row is played.
ROWS: Final = """
K1  tests/flows/test_killed_at_every_commit.py  test_killed_before_a_commit_and_started_twice_the_work_is_done_once
K1  tests/flows/test_killed_anywhere.py  test_killed_at_random_and_started_twice_again_the_work_is_done_once
K1  tests/sources/test_pull.py  test_a_file_that_grows_while_it_is_read_is_left_for_the_next_run
K2  tests/flows/test_killed_at_every_commit.py  test_killed_before_a_commit_and_started_twice_the_work_is_done_once
K2  tests/sources/test_pull.py  test_what_landed_before_a_crash_is_finished_by_the_next_run_without_reading_again
K3  tests/flows/test_killed_at_every_commit.py  test_killed_before_a_commit_and_started_twice_the_work_is_done_once
K3  tests/flows/test_killed_at_every_commit.py  test_killed_before_a_steps_work_is_committed_nothing_of_it_is_seen
K3  tests/flows/test_killed_anywhere.py  test_killed_at_random_and_started_twice_again_the_work_is_done_once
K3  tests/store/test_runs.py  test_a_killed_run_blocks_nobody
K4  tests/flows/test_killed_at_every_commit.py  test_killed_before_a_commit_and_started_twice_the_work_is_done_once
K4  tests/store/test_planning.py  test_an_intent_that_a_crash_left_out_is_made
K5  tests/send/test_crashes.py  test_killed_at_a_named_point_and_restarted_twice
K6  tests/send/test_crashes.py  test_killed_at_a_named_point_and_restarted_twice
K7  tests/send/test_crashes.py  test_killed_while_the_provider_has_accepted_and_not_answered
K8  tests/send/test_crashes.py  test_killed_at_a_named_point_and_restarted_twice
K9  tests/send/test_crashes.py  test_killed_at_a_named_point_and_restarted_twice
K10 tests/flows/test_killed_at_every_commit.py  test_killed_before_a_commit_and_started_twice_the_work_is_done_once
K10 tests/flows/test_killed_at_every_commit.py  test_killed_before_a_steps_work_is_committed_nothing_of_it_is_seen
K10 tests/platforms/test_audiences.py  test_killed_after_three_of_ten_pages_and_started_twice_the_membership_is_equal
K11 tests/flows/test_killed_at_every_commit.py  test_killed_before_a_commit_and_started_twice_the_work_is_done_once
K11 tests/flows/test_killed_at_every_commit.py  test_killed_before_a_steps_work_is_committed_nothing_of_it_is_seen
K11 tests/store/test_evaluation.py  test_old_tables_stay_readable_while_measuring_and_a_crash_changes_nothing
K12 tests/receiver/test_hooks.py  test_k12_the_command_killed_between_storing_and_answering_keeps_one
K12 tests/receiver/test_hooks.py  test_k12_a_body_that_comes_again_is_kept_once
K13 tests/test_erasure.py  test_killed_in_the_middle_and_started_twice_again_the_end_is_the_same
K14 tests/send/test_crashes.py  test_killed_twice_in_a_row_at_two_points
K14 tests/send/test_crashes.py  test_killed_at_random_moments_and_restarted_twice
K15 tests/send/test_crashes.py  test_a_worker_that_slept_past_its_lease_before_the_call_does_not_call
K15 tests/send/test_crashes.py  test_a_worker_that_slept_past_its_lease_in_the_call_is_refused_by_its_token
K15 tests/send/test_crashes.py  test_a_worker_whose_own_clock_says_too_late_puts_its_rows_back
R1  tests/send/test_run_matrix.py  test_r01_of_two_runs_at_once_one_plans_and_of_two_dispatches_each_sends_its_own
R1  tests/store/test_runs.py  test_a_second_run_of_the_same_campaign_ends_as_superseded
R1  tests/send/test_many_at_once.py  test_two_planners_and_four_dispatchers_plan_and_send_everything_once
R2  tests/send/test_run_matrix.py  test_r02_a_days_worth_of_late_runs_sends_what_one_run_would_have_sent
R2  tests/store/test_runs.py  test_of_late_runs_the_newest_does_the_work
R2  tests/flows/test_run_commands.py  test_a_run_that_comes_late_sends_nothing_first
R3  tests/send/test_run_matrix.py  test_r03_who_became_late_while_no_run_came_is_found_by_the_next_and_once
R3  tests/rules/test_cadence.py  test_missed_runs_are_owed_once_as_the_newest_of_them
R3  tests/store/test_cycle_oracle.py  test_the_newly_late_are_those_who_became_late_in_between
R4  tests/send/test_run_matrix.py  test_r04_a_run_for_a_moment_in_the_past_is_refused_and_changes_nothing
R4  tests/store/test_mode.py  test_a_live_database_takes_another_moment_only_from_commands_that_write_nothing
R4  tests/flows/test_run_commands.py  test_a_live_database_shows_a_plan_for_another_moment_and_refuses_to_run_for_it
R5  tests/send/test_run_matrix.py  test_r05_a_database_that_restarts_in_the_middle_loses_the_claim_whole
R6  tests/send/test_run_matrix.py  test_r06_a_session_that_hangs_with_rows_locked_holds_nobody_else_up
R6  tests/send/test_run_matrix.py  test_r06_doubts_that_a_hanging_session_has_locked_hold_nobody_up
R6  tests/send/test_run_matrix.py  test_r06_a_session_that_hangs_in_a_transaction_is_ended
R6  tests/send/test_run_matrix.py  test_r06_a_process_frozen_in_its_claim_holds_others_up_for_a_moment_only
R6  tests/send/test_run_matrix.py  test_r06_whatever_a_frozen_process_has_locked_is_free_again
R6  tests/send/test_run_matrix.py  test_r06_a_transaction_that_waits_for_somebody_else_may_say_so
R6  tests/send/test_run_matrix.py  test_r06_a_worker_whose_database_falls_silent_leaves_a_doubt_that_a_report_settles
R6  tests/send/test_run_matrix.py  test_r06_a_connection_that_is_open_on_one_side_only_is_ended_by_both
R7  tests/send/test_run_matrix.py  test_r07_only_the_record_is_repeated_and_never_the_call
R7  tests/send/test_run_matrix.py  test_r07_clearing_up_doubts_is_repeated_and_calls_nobody
R7  tests/send/test_run_matrix.py  test_r07_repeating_is_bounded
R7  tests/store/test_lock_orders.py  test_choosing_begins_again_where_an_erasure_takes_the_same_rows_the_other_way_round
R7  tests/store/test_lock_orders.py  test_an_audience_is_told_once_where_another_run_takes_its_members_in_another_order
R8  tests/send/test_run_matrix.py  test_r08_a_machine_whose_clock_is_a_day_off_sends_nothing_and_decides_nothing_else
R8  tests/send/test_ledger.py  test_a_machine_whose_clock_is_wrong_hands_over_nothing
R8  tests/send/test_ledger.py  test_a_live_dispatch_decides_by_the_databases_clock
R9  tests/send/test_run_matrix.py  test_r09_when_the_databases_clock_steps_back_messages_wait_and_leave_once
R10 tests/send/test_run_matrix.py  test_r10_on_odd_days_a_message_waits_for_the_morning_of_the_wall_clock
R10 tests/send/test_claim.py  test_an_interval_that_begins_in_a_gap_or_a_fold_is_scanned_by_the_wall_clock
R10 tests/send/test_claim.py  test_the_next_open_moment_equals_an_independent_scan_of_the_wall_clocks
R10 tests/rules/test_cadence.py  test_a_day_is_never_skipped_and_never_run_twice_over_a_year_of_ticks
R10 tests/store/test_gate_rows.py  test_half_an_hour_repeated_is_its_first_pass
R11 tests/send/test_run_matrix.py  test_r11_a_wait_is_worked_out_anew_from_the_zone_of_the_day
R12 tests/send/test_run_matrix.py  test_r12_a_full_disk_before_the_call_sends_nothing
R12 tests/send/test_run_matrix.py  test_r12_a_full_disk_after_the_call_leaves_a_doubt
R13 tests/send/test_run_matrix.py  test_r13_a_dispatch_holds_as_many_messages_at_a_time_however_many_are_due
R13 bench/sending.py  sending
R13 bench/loading.py  first_load
R13 tests/sources/test_pull.py  test_parquet_of_many_rows_is_held_a_part_at_a_time
R13 tests/sources/test_pull.py  test_parquet_is_read_in_batches_with_its_types_kept
R14 tests/send/test_run_matrix.py  test_r14_somebody_with_a_hundred_thousand_purchases_is_chosen_like_others
R15 tests/send/test_run_matrix.py  test_r15_a_file_whose_column_is_gone_stays_out_and_its_campaign_sends_nothing
R15 tests/test_holds.py  test_a_mapped_column_under_a_new_name_empties_nothing_unless_a_person_releases_the_load
R15 tests/test_holds.py  test_a_file_without_a_required_column_holds_who_reads_it_until_a_whole_file_comes
R16 tests/send/test_run_matrix.py  test_r16_a_load_far_from_the_usual_volume_sends_nothing_until_somebody_lets_it_in
R16 tests/test_validate.py  test_a_load_is_measured_against_the_median_of_the_last_loads_once_there_are_three
R16 tests/test_holds.py  test_an_empty_load_where_there_were_lines_every_day_holds_who_reads_it
R17 tests/send/test_run_matrix.py  test_r17_a_purchase_that_comes_after_the_message_leaves_it_as_it_is
R17 tests/store/test_evaluation.py  test_a_purchase_at_the_instant_of_the_send_or_a_window_later_is_not_credited
R17 tests/platforms/test_audiences.py  test_a_buyer_leaves_with_the_next_dispatch_without_waiting_for_a_run
R18 tests/flows/test_lost_server.py  test_r18_what_is_being_sent_is_recorded_though_prefects_server_is_gone
R19 tests/send/test_run_matrix.py  test_r19_a_worker_asked_to_end_finishes_its_call_and_leaves_the_rest_planned
R19 tests/send/test_crashes.py  test_a_worker_asked_to_end_finishes_its_call_records_it_and_leaves
"""
PROVIDER_ROWS: Final = {
    "tests/send/test_fault_matrix.py": {f"p{number:02}" for number in range(1, 20) if number != 13},
    "tests/receiver/test_hooks.py": {"p13"},
}


def functions(path: str) -> set[str]:
    """Names of the functions of a file, without importing it."""
    tree = ast.parse(Path(CHECKOUT, path).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_row_of_the_matrix_has_tests_that_are_there() -> None:
    rows = [line.split() for line in ROWS.strip().splitlines()]

    every = [f"K{number}" for number in range(1, 16)] + [f"R{number}" for number in range(1, 20)]
    assert list(dict.fromkeys(row for row, _, _ in rows)) == every
    assert [f"{row}: {path} {name}" for row, path, name in rows if name not in functions(path)] == []
    named = {name.split("_")[1] for _, _, name in rows if name.startswith("test_r")}
    assert {f"r{number:02}" for number in range(1, 20)} <= named
    for path, wanted in PROVIDER_ROWS.items():
        assert wanted <= {name.split("_")[1] for name in functions(path) if name.startswith("test_p")}


@pytest.fixture
def provider() -> Iterator[Loopback]:
    with live.sendgrid().running() as found:
        yield found


@pytest.fixture
def stage(make_stage: Callable[..., Stage], provider: Loopback, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("REENGAGE_SENDGRID_API_KEY", mail_send.KEY)
    stage = make_stage(mode="live", **live.CAMPAIGN)
    live.configure(stage.folder, {EMAIL: provider.url})
    return stage


def disturb(stage: Stage, when: str, code: str, times: int = 10_000) -> None:
    """Let the database fail with `code` the first so many times a send comes into a state, as a full disk would."""
    stage.run_sql("drop sequence if exists disturbances")
    stage.run_sql("create sequence disturbances")  # counts on though the transaction is lost
    stage.run_sql(
        "create function disturb() returns trigger language plpgsql as $$ begin"
        f" if new.state = '{when}' and nextval('disturbances') <= {times} then"
        f" raise exception 'disturbed' using errcode = '{code}'; end if; return new; end $$"
    )
    stage.run_sql("create trigger disturb before update on campaign.sends for each row execute function disturb()")


@pytest.fixture
def undisturbed(stage: Stage) -> Iterator[Callable[[], None]]:
    """Put the database right again; at the end in any case."""

    def heal() -> None:
        stage.run_sql("drop trigger if exists disturb on campaign.sends")
        stage.run_sql("drop function if exists disturb()")
        stage.run_sql("drop sequence if exists disturbances")

    yield heal
    heal()


def lapsed(stage: Stage, *names: str) -> list[str]:
    """People who bought every sixty days and are ten days late: the campaign's segment finds them."""
    shop = Shop(stage.work, stage.one("select count(*) from core.purchases"))
    today = stage.one("select clock_timestamp()")
    for name in names:
        stage.person(name, zones=(live.zone_where_it_is_noon(),))
        shop.buys(name, *(f"{today - days * DAY:%Y-%m-%d}" for days in (190, 130, 70)))
    return list(names)


def told(stage: Stage, story: Any, *given: Any) -> Any:
    """A story as Prefect tells it, with the stage's own workspace."""
    with using(stage.work):
        return story.fn(*given)


def key_of(stage: Stage, name: str, step: str = "1") -> str:
    """The message to somebody."""
    return stage.one(
        "select send_key from campaign.sends where customer_id = :name and step = :step", name=name, step=step
    )


def test_r01_of_two_runs_at_once_one_plans_and_of_two_dispatches_each_sends_its_own(stage, provider):
    people = lapsed(stage, *(f"p{number}" for number in range(12)))
    with runs.begin(stage.work, "reengage", stage.work.campaign("back"), None) as run:
        with pytest.raises(Superseded, match="another run"):
            told(stage, reengage, "back")
        choose.members(run)
        plan.messages(run)
    assert stage.states() == {"planned": 12}

    both = [threading.Thread(target=stage.dispatch, args=(None,), kwargs={"limits": ONE_BY_ONE}) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()

    assert [stage.end(key_of(stage, name)) for name in people] == [("accepted", None)] * 12
    assert len(provider.requests) == len(set(provider.keys_accepted)) == 12
    assert sorted(provider.keys_accepted) == sorted(
        attempt for name in people for attempt in attempts(stage, key_of(stage, name))
    )


def test_r02_a_days_worth_of_late_runs_sends_what_one_run_would_have_sent(make_stage, provider, monkeypatch):
    """Both steps are long overdue, and every late run plans and dispatches: the second step keeps its distance."""
    monkeypatch.setenv("REENGAGE_SENDGRID_API_KEY", mail_send.KEY)
    second = live.STEPS[0] | {"send_after": "21h"}
    stage = make_stage(mode="live", **live.CAMPAIGN | {"steps": [*live.STEPS, second], "expires_after": "30d"})
    live.configure(stage.folder, {EMAIL: provider.url})
    lapsed(stage, "ann")

    for _ in range(24):
        told(stage, reengage, "back")
        told(stage, dispatch)

    first, later = key_of(stage, "ann"), key_of(stage, "ann", "2")
    assert stage.end(first) == ("accepted", None)
    assert stage.end(later)[0] == "planned"
    assert stage.send(later)["not_before"] - stage.send(first)["accepted_at"] >= timedelta(hours=12)
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, first))


def test_r03_who_became_late_while_no_run_came_is_found_by_the_next_and_once(stage, provider):
    lapsed(stage, "ann")  # since two days

    for _ in range(2):
        told(stage, reengage, "back")
        told(stage, dispatch)

    key = key_of(stage, "ann")
    assert stage.end(key) == ("accepted", None)
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))


def test_r04_a_run_for_a_moment_in_the_past_is_refused_and_changes_nothing(stage, provider):
    (key,) = due(stage, "ann")
    lapsed(stage, "bob")
    told(stage, dispatch)
    before = stage.rows("select * from campaign.sends")
    yesterday = stage.one("select clock_timestamp()") - DAY

    for story, given in ((reengage, ("back", yesterday)), (dispatch, (yesterday,))):
        with pytest.raises(ModeError, match="takes no --as-of"):
            told(stage, story, *given)

    assert stage.rows("select * from campaign.sends") == before
    assert stage.one("select count(*) from campaign.enrolments where customer_id = 'bob'") == 0
    assert stage.end(key) == ("accepted", None)
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))


def test_r05_a_database_that_restarts_in_the_middle_loses_the_claim_whole(stage, provider):
    (key,) = due(stage, "ann")

    def restart(point: str) -> None:
        if point == "claiming":
            admin = sa.create_engine(stage.work.database.url.set(database="postgres"), poolclass=sa.NullPool)
            with admin.connect() as connection:
                ended = "select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"
                connection.execute(sa.text(ended), {"name": stage.work.database.name})

    with pytest.raises(sa.exc.OperationalError):
        stage.dispatch(None, limits=BRIEF, watch=restart)
    assert stage.end(key) == ("planned", None)
    assert stage.one("select count(*) from campaign.attempts") == 0
    assert provider.requests == []

    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("accepted", None)
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))


def test_r06_a_session_that_hangs_with_rows_locked_holds_nobody_else_up(stage, provider):
    """A worker that hangs while it writes down its answers: its rows wait, everybody else's leave."""
    (hanging,) = due(stage, "ann")

    class Dead(Exception):
        pass

    def die(point: str) -> None:
        if point == "answered":
            raise Dead

    with pytest.raises(Dead):
        stage.dispatch(None, limits=BRIEF, watch=die)
    pass_time(stage)
    (other,) = due(stage, "bob")
    with stage.work.database.transaction() as connection:
        connection.execute(sa.text("select from campaign.sends where state = 'in_flight' for update"))
        settling = threading.Thread(target=lambda: (reconcile.doubts(stage.work), stage.dispatch(None, limits=BRIEF)))
        settling.start()
        settling.join(8)  # shorter than anybody waits for a lock
        assert not settling.is_alive(), "the next worker waits for one that hangs"
        assert stage.end(hanging)[0] == "in_flight"
    assert stage.end(other) == ("accepted", None)

    stage.dispatch(None, limits=BRIEF)
    assert stage.end(hanging) == ("unknown", "lease_ended")
    assert len(provider.requests) == len(set(provider.keys_accepted)) == 2


def test_r06_doubts_that_a_hanging_session_has_locked_hold_nobody_up(stage, provider):
    """One of them is heard of meanwhile, and the other is to be given up."""
    heard, silent = due(stage, "ann", "bob")
    provider.conduct = Mode.LIE_500
    stage.dispatch(None, limits=ONE_BY_ONE)
    assert stage.states() == {"unknown": 2}
    stage.run_sql("update campaign.sends set claimed_at = claimed_at - interval '25 h' where send_key = :key",
                  key=silent)  # fmt: skip
    provider.conduct = Mode.ACCEPT
    (other,) = due(stage, "cid")

    def go_on() -> None:
        hear(stage, attempts(stage, heard)[0])
        reconcile.doubts(stage.work)
        stage.dispatch(None, limits=BRIEF)

    with stage.work.database.transaction() as connection:
        connection.execute(sa.text("select from campaign.sends where state = 'unknown' for no key update"))
        going_on = threading.Thread(target=go_on)
        going_on.start()
        going_on.join(8)  # shorter than anybody waits for a lock
        assert not going_on.is_alive(), "others wait for one that hangs"
        assert [stage.end(key) for key in (heard, silent)] == [("unknown", "unanswered")] * 2
    assert stage.end(other) == ("accepted", None)

    reconcile.doubts(stage.work)
    assert [stage.end(key) for key in (heard, silent)] == [("accepted", None), ("abandoned", "unanswered")]
    assert len(provider.requests) == len(set(provider.keys_accepted)) == 3


def test_r06_a_session_that_hangs_in_a_transaction_is_ended(stage):
    """Everywhere, before any statement of ours; the ledger also bounds how long it waits and runs."""
    with stage.work.database.transaction() as connection:
        assert connection.execute(sa.text("show idle_in_transaction_session_timeout")).scalar_one() == "1min"
        connection.execute(stage.work.queries["ledger/send_limits"]())
        limits = {
            name: connection.execute(sa.text(f"show {name}")).scalar_one()
            for name in ("lock_timeout", "statement_timeout")
        }

    assert limits == {"lock_timeout": "10s", "statement_timeout": "1min"}


def orders(stage: Stage, **given: Any) -> Orders:
    settings = stage.work.settings
    assert settings.database_url
    return Orders(
        settings.database_url.get_secret_value(), settings.home, settings.config, None,
        most_idle=timedelta(seconds=3), environment={"REENGAGE_SENDGRID_API_KEY": mail_send.KEY}, **given,
    )  # fmt: skip


def test_r06_a_process_frozen_in_its_claim_holds_others_up_for_a_moment_only(make_stage):
    """Its transaction ends without it; planning goes on, the next dispatch sends, and it finds out when it wakes."""
    stage = make_stage(mode="live")
    (key,) = due(stage, "ann")
    locked = stage.work.queries["ledger/plan_lock"](campaign="back")

    with started(orders(stage, stop_at="claiming")) as frozen:
        wait_until_stopped(frozen)
        stage.dispatch(None, limits=BRIEF)
        assert stage.end(key) == ("planned", None), "it holds the message, and nobody else waits for it"
        began = time.monotonic()
        with stage.work.database.transaction() as connection:
            connection.execute(sa.text("set local lock_timeout = '30s'"))  # so that this test fails and does not hang
            assert connection.execute(locked).scalar_one() == 1
        assert time.monotonic() - began < 10
        stage.dispatch(None, limits=BRIEF)
        assert stage.end(key) == ("accepted", None)
        os.kill(frozen.pid or 0, signal.SIGCONT)
        frozen.join(60)

    assert frozen.exitcode == 1
    assert stage.outbox() == {key: 1}
    assert stage.one("select count(*) from campaign.attempts") == 1
    assert stage.decisions_follow_the_ledger()


def test_r06_whatever_a_frozen_process_has_locked_is_free_again(make_stage):
    stage = make_stage(mode="live")
    stage.dispatch(None)  # decides the mode
    keys = due(stage, "ann", "bob")

    with started(orders(stage), target=freeze_with_rows_locked) as frozen:
        wait_until_stopped(frozen)
        began = time.monotonic()
        stage.dispatch(None, limits=BRIEF)
        assert time.monotonic() - began < 3, "a mode that is decided is not waited for"
        for _ in range(100):
            if stage.states() == {"accepted": 2}:
                break
            time.sleep(0.1)
            stage.dispatch(None, limits=BRIEF)
    assert stage.outbox() == dict.fromkeys(keys, 1)


def test_r06_a_worker_whose_database_falls_silent_leaves_a_doubt_that_a_report_settles(stage, provider):
    """No packet comes back and nothing is closed: others go on, and what it had sent is heard of by the report."""
    (key,) = due(stage, "ann")
    url = stage.work.database.url
    wire = Wire(url.port, url.host)

    def conduct(_: Request) -> Mode:
        wire.go_dead()
        return Mode.ACCEPT

    provider.conduct = conduct
    given = orders(stage, limits=BRIEF)
    through = url.set(host="127.0.0.1", port=wire.port).render_as_string(hide_password=False)
    with started(dataclasses.replace(given, url=through), target=dispatch_to_providers) as silenced:
        for _ in range(600):
            if provider.accepted:
                break
            time.sleep(0.1)
        pass_time(stage)
        for _ in range(2):
            reconcile.doubts(stage.work, limits=BRIEF)
            stage.dispatch(None, limits=BRIEF)
        assert silenced.is_alive(), "it waits for an answer that never comes"
        assert stage.end(key) == ("unknown", "lease_ended")
        assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))
    wire.cut()

    hear(stage, provider.keys_accepted[0])
    assert stage.end(key) == ("accepted", None)
    assert len(provider.requests) == 1


def test_r06_a_connection_that_is_open_on_one_side_only_is_ended_by_both(stage):
    """Within a minute: our kernel gives up on bytes that nobody confirms, the server asks whether we are there."""
    with stage.work.database.transaction() as connection:
        driver = connection.connection.driver_connection
        ours = socket.socket(fileno=os.dup(driver.fileno()))
        with ours:
            assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
        theirs = {
            name: connection.execute(sa.text(f"show {name}")).scalar_one()
            for name in ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
        }

    assert theirs == {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}


def test_r06_a_transaction_that_waits_for_somebody_else_may_say_so(stage):
    with stage.work.database.transaction(most_idle=timedelta(hours=2)) as connection:
        assert connection.execute(sa.text("show idle_in_transaction_session_timeout")).scalar_one() == "2h"
    with stage.work.database.transaction() as connection:
        assert connection.execute(sa.text("show idle_in_transaction_session_timeout")).scalar_one() == "1min"


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_r07_only_the_record_is_repeated_and_never_the_call(stage, provider, undisturbed, code):
    (key,) = due(stage, "ann")
    disturb(stage, "accepted", code, times=2)

    stage.dispatch(None, limits=BRIEF)

    assert stage.one("select last_value from disturbances") == 3
    assert stage.end(key) == ("accepted", None)
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_r07_clearing_up_doubts_is_repeated_and_calls_nobody(stage, provider, undisturbed, code):
    (key,) = due(stage, "ann")

    class Dead(Exception):
        pass

    def die(point: str) -> None:
        if point == "answered":
            raise Dead

    with pytest.raises(Dead):
        stage.dispatch(None, limits=BRIEF, watch=die)
    pass_time(stage)
    disturb(stage, "unknown", code, times=2)

    reconcile.doubts(stage.work, limits=BRIEF)

    assert stage.one("select last_value from disturbances") == 3
    assert stage.end(key) == ("unknown", "lease_ended")
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))


def test_r07_repeating_is_bounded(stage, provider, undisturbed):
    (key,) = due(stage, "ann")
    disturb(stage, "in_flight", "40001")

    with pytest.raises(sa.exc.OperationalError):
        stage.dispatch(None, limits=BRIEF)
    assert stage.one("select last_value from disturbances") == 5
    assert stage.end(key) == ("planned", None)
    assert provider.requests == []

    undisturbed()
    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("accepted", None)
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))


@pytest.mark.parametrize("days", [-1, 1])
def test_r08_a_machine_whose_clock_is_a_day_off_sends_nothing_and_decides_nothing_else(stage, provider, days):
    (key,) = due(stage, "ann")
    (later,) = [stage.planned("bob", due=stage.one("select clock_timestamp()") + timedelta(hours=1))]

    with pytest.raises(DatabaseError, match="60 s apart"):
        stage.dispatch(None, limits=BRIEF, wall_clock=lambda: time.time() + days * 86_400)
    assert [stage.end(one) for one in (key, later)] == [("planned", None)] * 2
    assert provider.requests == []

    stage.dispatch(None, limits=BRIEF, wall_clock=lambda: time.time() + 50)
    assert [stage.end(one) for one in (key, later)] == [("accepted", None), ("planned", None)]
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))


def test_r09_when_the_databases_clock_steps_back_messages_wait_and_leave_once(stage, provider):
    """Everything stored lies an hour ahead then, which is the same."""
    sent, waiting = due(stage, "ann", "bob")
    stage.run_sql("update campaign.sends set not_before = clock_timestamp() + interval '1 min' where send_key = :key",
                  key=waiting)  # fmt: skip
    stage.dispatch(None, limits=BRIEF)
    step = (
        "update campaign.sends set due_at = due_at + cast(:by as interval), planned_at = planned_at +"
        " cast(:by as interval), not_before = not_before + cast(:by as interval), claimed_at = claimed_at +"
        " cast(:by as interval), lease_until = lease_until + cast(:by as interval), accepted_at = accepted_at +"
        " cast(:by as interval), expires_at = expires_at + cast(:by as interval)"
    )
    stage.run_sql(step, by="1 hour")

    for _ in range(2):
        reconcile.doubts(stage.work, limits=BRIEF)
        stage.dispatch(None, limits=BRIEF)
    assert (stage.end(sent)[0], stage.end(waiting)[0]) == ("accepted", "planned")
    assert len(provider.requests) == 1

    stage.run_sql(step, by="-1 hour -2 min")
    stage.dispatch(None, limits=BRIEF)
    assert stage.states() == {"accepted": 2}
    assert len(set(provider.keys_accepted)) == len(provider.keys_accepted) == 2


@pytest.mark.parametrize(
    ("zone", "night"),
    [
        ("America/New_York", "2026-03-08"),  # a day of 23 hours
        ("America/New_York", "2026-11-01"),  # a day of 25 hours
        ("Australia/Lord_Howe", "2026-04-05"),  # half an hour more
        ("Australia/Lord_Howe", "2026-10-04"),  # half an hour less
        ("Europe/Berlin", "2028-02-29"),
        ("Asia/Kathmandu", "2028-02-29"),
    ],
)
def test_r10_on_odd_days_a_message_waits_for_the_morning_of_the_wall_clock(make_stage, zone, night):
    """Played: a live dispatch has no other day than today. The outbox counts."""
    stage = make_stage(quiet_hours={"start": "21:00", "end": "08:00"})
    midnight = datetime.fromisoformat(night).replace(tzinfo=ZoneInfo(zone))
    morning = midnight.replace(hour=8)
    key = stage.planned("ann", zones=(zone,), due=midnight.replace(minute=30).astimezone(UTC))

    for moment in (midnight.replace(minute=30), morning):
        assert stage.outbox() == {}
        stage.dispatch(moment.astimezone(UTC) - timedelta(seconds=1))
        assert stage.end(key) == ("planned", None if moment != morning else "quiet")
        stage.dispatch(moment.astimezone(UTC))
        assert stage.end(key) == (("planned", "quiet") if moment != morning else ("accepted", None))
        assert stage.send(key)["not_before"] == morning

    assert stage.send(key)["accepted_at"] == morning
    assert stage.outbox() == {key: 1}


def test_r11_a_wait_is_worked_out_anew_from_the_zone_of_the_day(make_stage, provider, monkeypatch):
    """A country changes its clocks: who waits for the morning waits for the new one."""
    monkeypatch.setenv("REENGAGE_SENDGRID_API_KEY", mail_send.KEY)
    stage = make_stage(mode="live", **live.CAMPAIGN, quiet_hours={"start": "18:00", "end": "11:00"})
    live.configure(stage.folder, {EMAIL: provider.url})
    (key,) = due(stage, "ann")
    noon, later = live.zone_where_it_is_noon(), live.zone_where_it_is_noon(hours_behind=6)
    stage.run_sql("update core.customers set time_zones = array[:zone]", zone=later)

    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("planned", "quiet")
    assert stage.send(key)["not_before"] - stage.one("select clock_timestamp()") > timedelta(hours=3)
    pass_wait = "update campaign.sends set not_before = clock_timestamp() - interval '1 s'"
    stage.run_sql(pass_wait)
    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("planned", "quiet"), "what was worked out before is no permission"
    assert provider.requests == []

    stage.run_sql("update core.customers set time_zones = array[:zone]", zone=noon)
    stage.run_sql(pass_wait)
    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("accepted", None)
    assert provider.keys_accepted == attempts(stage, key)


def test_r12_a_full_disk_before_the_call_sends_nothing(stage, provider, undisturbed):
    (key,) = due(stage, "ann")
    disturb(stage, "in_flight", "53100")

    with pytest.raises(sa.exc.OperationalError):
        stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("planned", None)
    assert provider.requests == []

    undisturbed()
    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("accepted", None)
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))


def test_r12_a_full_disk_after_the_call_leaves_a_doubt(stage, provider, undisturbed):
    (key,) = due(stage, "ann")
    disturb(stage, "accepted", "53100")

    with pytest.raises(sa.exc.OperationalError):
        stage.dispatch(None, limits=BRIEF)
    undisturbed()
    for _ in range(2):
        pass_time(stage)
        stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("unknown", "lease_ended")
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))
    hear(stage, provider.keys_accepted[0])
    assert stage.end(key) == ("accepted", None)


def test_r13_a_dispatch_holds_as_many_messages_at_a_time_however_many_are_due(make_stage):
    """So memory does not follow the number of people: bench/sending.py and bench/loading.py measure it. The outbox
    counts here.
    """
    held = {}
    for people in (60, 300):
        stage = make_stage(mode="live")
        given = [{"id": f"p{n}", "phone": f"+4930{n:07}", "channels": [EMAIL], "channel": EMAIL} for n in range(people)]
        live.crowd(stage, given)
        stage.run_sql("update campaign.sends set provider = 'outbox'")
        counts = []

        def watch(point: str, stage: Stage = stage, counts: list[int] = counts) -> None:
            if point == "calling":
                counts.append(stage.one("select count(*) from campaign.sends where state = 'in_flight'"))

        stage.dispatch(None, limits=Limits(batch=10), watch=watch)
        held[people] = max(counts)
        assert stage.states() == {"accepted": people}
        assert len(stage.outbox()) == people
        assert set(stage.outbox().values()) == {1}

    assert held[300] <= held[60] <= 30


def test_r14_somebody_with_a_hundred_thousand_purchases_is_chosen_like_others(make_workspace) -> None:
    shop = Shop(make_workspace(mode="simulated"))
    for person in ("few", "many"):
        shop.lapses(person)
        shop.consents(person, "email")
    with shop.work.database.transaction() as connection:
        connection.execute(sa.text("set local statement_timeout = '30s'"))  # a bound, far above what it takes
        connection.execute(
            sa.text(
                "insert into core.purchases (order_id, customer_id, purchased_at, amount, currency, status, updated_at,"
                " load_id) select order_id || number, customer_id, purchased_at, 1, currency, status, updated_at, 1"
                " from core.purchases cross join generate_series(1, 50000) as number where customer_id = 'many'"
            )
        )
        shop._refresh(connection, ["many"])

    shop.run(campaign())

    assert shop.rows("select count(*) as count from core.purchases where customer_id = 'many'") == [{"count": 100_002}]
    decided = shop.decided()
    assert decided["many", "1"] == decided["few", "1"] == ("planned", None, "email")
    evidence = {row["customer_id"]: row["evidence"] for row in shop.rows("select * from campaign.enrolments")}
    assert evidence["many"] == evidence["few"]


ORDERS = "order_id,customer_id,purchased_at,amount,currency,status"


def delivered(stage: Stage, name: str, lines: int, *, days_ago: int = 0, header: str = ORDERS) -> pull.Load:
    """A file of purchases comes and is brought in as `reengage ingest` does."""
    at = stage.one("select clock_timestamp()") - days_ago * DAY
    values = [f"{at - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}", "10.00", "EUR", "paid"][: header.count(",") - 1]
    rows = [",".join([f"{name}-{n}", f"c{n}", *values]) for n in range(lines)]
    (stage.folder / "sources.yaml").write_text(PURCHASES, "utf-8")
    (stage.folder / f"orders_{name}.csv").write_text("\n".join([header, *rows]) + "\n", "utf-8")
    (load,) = pull.source(stage.work, "orders", at)
    return load


@pytest.fixture
def gated(stage: Stage, provider: Loopback) -> Stage:
    """The stage with the product's suites, so that a load may hold the campaign."""
    path = stage.folder / "reengage.yaml"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"suites": str(CHECKOUT / "config" / "suites")}))
    return stage


def test_r15_a_file_whose_column_is_gone_stays_out_and_its_campaign_sends_nothing(gated, provider):
    lapsed(gated, "ann")
    told(gated, reengage, "back")
    key = key_of(gated, "ann")

    load = delivered(gated, "drifted", 5, header=ORDERS.removesuffix(",status"))
    assert load.state == "failed"
    assert "column status is missing" in str(load.reason)
    told(gated, reengage, "back")
    told(gated, dispatch)
    assert gated.end(key) == ("planned", "gate")
    assert gated.one("select count(*) from core.purchases where starts_with(order_id, 'drifted')") == 0
    assert provider.requests == []

    (gated.folder / "orders_drifted.csv").unlink()
    assert delivered(gated, "whole", 5).state == "merged"
    told(gated, dispatch)
    assert gated.end(key) == ("accepted", None)
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(gated, key))


@pytest.mark.parametrize("lines", [119, 1_201])  # of three hundred: less than 40 %, more than 400 %
def test_r16_a_load_far_from_the_usual_volume_sends_nothing_until_somebody_lets_it_in(gated, provider, lines):
    (key,) = due(gated, "ann")
    for days_ago in (4, 3, 2, 1):
        assert delivered(gated, f"usual{days_ago}", 300, days_ago=days_ago).state == "merged"

    load = delivered(gated, "odd", lines)
    assert (load.state, load.lines_in) == ("held", lines)
    told(gated, dispatch)
    assert gated.end(key) == ("planned", "gate")
    assert provider.requests == []

    pull.release(gated.work, load.load_id)
    told(gated, dispatch)
    assert gated.end(key) == ("accepted", None)
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(gated, key))


def test_r17_a_purchase_that_comes_after_the_message_leaves_it_as_it_is(stage, provider):
    (key,) = due(stage, "ann")
    stage.dispatch(None, limits=BRIEF)
    before = stage.send(key)

    stage.purchase("ann", before["due_at"])  # bought before it left, known only now
    reconcile.doubts(stage.work)
    stage.dispatch(None, limits=BRIEF)

    assert stage.send(key) == before
    assert stage.end(key) == ("accepted", None)
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))


def test_r19_a_worker_asked_to_end_finishes_its_call_and_leaves_the_rest_planned(stage, provider):
    keys = due(stage, *(f"p{number}" for number in range(6)))
    is_asked, may_answer = threading.Event(), threading.Event()

    def conduct(request: Request) -> Mode:
        is_asked.set()
        may_answer.wait(60)
        return Mode.ACCEPT

    provider.conduct = conduct
    with started(orders(stage, limits=ONE_BY_ONE), target=dispatch_to_providers) as worker:
        assert is_asked.wait(60)
        worker.terminate()
        may_answer.set()
        worker.join(60)
        code = worker.exitcode

    assert code == 0
    assert stage.states() == {"accepted": 1, "planned": 5}
    (sent,) = [key for key in keys if stage.end(key) == ("accepted", None)]
    assert {stage.end(key) for key in keys if key != sent} == {("planned", None)}
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, sent))
    assert stage.decisions_follow_the_ledger()
