"""One run at a time per flow and campaign, and a row for each."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from tasks.rules.errors import Superseded
from tasks.store import runs, turn
from tasks.store.workspace import Workspace

JUNE = datetime(2026, 6, 8, 9, tzinfo=UTC)
HOLD_A_RUN = """
import sys, time
from datetime import datetime, UTC
from tasks.store import runs
from tasks.store.workspace import Workspace
work = Workspace.open()
with runs.begin(work, "reengage", work.campaign("lapsing_customers"), datetime(2026, 6, 8, 9, tzinfo=UTC)):
    print("holding", flush=True)
    time.sleep(600)
"""


def states(work: Workspace) -> list[str]:
    with work.database.transaction() as connection:
        return list(connection.execute(sa.text("select state from campaign.runs order by run_id")).scalars())


def test_a_run_is_closed_with_its_counts(make_workspace):
    work = make_workspace(mode="simulated")

    with runs.begin(work, "reengage", work.campaign("lapsing_customers"), JUNE) as run:
        run.counts["enrolled"] = 3

    with work.database.transaction() as connection:
        row = connection.execute(sa.text("select * from campaign.runs")).one()
    assert (row.state, row.campaign, row.as_of, row.counts) == (
        "completed", "lapsing_customers", JUNE, {"enrolled": 3},
    )  # fmt: skip
    assert row.config_sha256 == run.config_sha256


def test_a_failed_run_says_so_without_repeating_what_the_error_held(make_workspace):
    work = make_workspace(mode="simulated")

    with pytest.raises(ValueError), runs.begin(work, "dispatch", None, JUNE):
        raise ValueError("ann@example.com")

    with work.database.transaction() as connection:
        row = connection.execute(sa.text("select state, counts from campaign.runs")).one()
    assert row.state == "failed"
    assert "ann" not in json.dumps(row.counts)


def test_a_second_run_of_the_same_campaign_ends_as_superseded(make_workspace):
    work = make_workspace(mode="simulated")
    campaign = work.campaign("lapsing_customers")

    with (
        runs.begin(work, "reengage", campaign, JUNE),
        pytest.raises(Superseded, match="another run"),
        runs.begin(work, "reengage", campaign, JUNE),
    ):
        pass

    assert states(work) == ["completed", "superseded"]


def test_a_run_waits_for_one_that_is_about_to_be_noticed_as_dead(make_workspace):
    work = make_workspace(mode="simulated")
    campaign = work.campaign("lapsing_customers")

    with contextlib.ExitStack() as first:
        first.enter_context(turn.hold(work, "reengage/lapsing_customers"))
        threading.Timer(0.5, first.pop_all().close).start()
        with runs.begin(work, "reengage", campaign, JUNE):
            pass

    assert states(work) == ["completed"]


def test_runs_of_other_flows_go_on_side_by_side(make_workspace):
    work = make_workspace(mode="simulated")
    campaign = work.campaign("lapsing_customers")

    with runs.begin(work, "reengage", campaign, JUNE), runs.begin(work, "dispatch", campaign, JUNE):
        pass

    assert states(work) == ["completed", "completed"]


def test_of_late_runs_the_newest_does_the_work(make_workspace):
    work = make_workspace(mode="simulated")
    campaign = work.campaign("lapsing_customers")
    with runs.begin(work, "reengage", campaign, JUNE):
        pass

    with (
        pytest.raises(Superseded, match="later than"),
        runs.begin(work, "reengage", campaign, JUNE - timedelta(hours=1)),
    ):
        pass
    with runs.begin(work, "reengage", campaign, JUNE):
        pass

    assert states(work) == ["completed", "superseded", "completed"]


def test_a_killed_run_blocks_nobody(make_workspace, monkeypatch):
    work = make_workspace(mode="simulated")
    monkeypatch.setenv("REENGAGE_DATABASE_URL", work.database.url.render_as_string(hide_password=False))
    monkeypatch.setenv("REENGAGE_MODE", "simulated")
    with subprocess.Popen([sys.executable, "-c", HOLD_A_RUN], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline().strip() == "holding"
        child.send_signal(signal.SIGKILL)

    # At once: the server may not have noticed yet that the connection is closed, and the run waits for that.
    with runs.begin(work, "reengage", work.campaign("lapsing_customers"), JUNE):
        pass

    assert states(work)[0] == "failed"
    assert states(work)[-1] == "completed"
