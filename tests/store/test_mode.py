"""Live or simulated, and whose clock decides."""

from datetime import UTC, datetime, timedelta

import pytest

from config.settings import Settings
from tasks.rules.errors import ModeError
from tasks.store import mode, runs
from tasks.store.workspace import Workspace

JUNE = datetime(2026, 6, 8, 9, tzinfo=UTC)


def with_mode(work: Workspace, wanted: str | None) -> Workspace:
    """Another workspace on the same database whose settings ask for a mode."""
    given = work.settings.model_dump() | {"mode": wanted, "_env_file": None}
    return Workspace(Settings(**given))


def stored(work: Workspace) -> str | None:
    with work.database.transaction() as connection:
        return connection.execute(work.queries["ledger/mode"]()).scalar_one()


def test_the_first_command_that_decides_makes_a_database_live_unless_told_otherwise(make_workspace):
    work = make_workspace()

    mode.clock(work, None)

    assert stored(work) == "live"


def test_ingest_alone_decides_nothing(make_workspace):
    work = make_workspace()

    assert mode.clock(work, JUNE, decides=False) == JUNE
    assert stored(work) is None


def test_a_simulated_database_never_becomes_live(make_workspace):
    work = make_workspace(mode="simulated")
    mode.clock(work, JUNE)

    with pytest.raises(ModeError, match="can never become live"):
        mode.clock(with_mode(work, "live"), None)

    assert stored(work) == "simulated"
    assert mode.clock(with_mode(work, None), JUNE) == JUNE


def test_a_live_database_cannot_be_played_in(make_workspace):
    work = make_workspace(mode="live")
    mode.clock(work, None)

    with pytest.raises(ModeError, match="holds real sends"):
        mode.clock(with_mode(work, "simulated"), JUNE)


def test_a_live_database_takes_another_moment_only_from_commands_that_write_nothing(make_workspace):
    work = make_workspace(mode="live")

    with pytest.raises(ModeError, match="takes no --as-of"):
        mode.clock(work, JUNE)
    assert mode.clock(work, JUNE, writes=False) == JUNE
    assert abs(mode.clock(work, None) - datetime.now(UTC)) < timedelta(minutes=5)


def test_a_simulated_database_wants_to_be_told_the_moment(make_workspace):
    work = make_workspace(mode="simulated")

    with pytest.raises(ModeError, match="say which moment"):
        mode.clock(work, None)


def test_a_question_without_a_moment_is_about_the_last_one_a_simulated_database_has_seen(make_workspace):
    work = make_workspace(mode="simulated")
    with runs.begin(work, "evaluate", None, JUNE):
        pass

    assert mode.clock(work, None, writes=False) == JUNE
