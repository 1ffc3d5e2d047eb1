"""The state machine of the ledger (reliability section 4), judged by the outbox's own rows."""

from __future__ import annotations

from tests.send.stage import NOON, Stage


def test_a_due_message_leaves_once_and_is_recorded(stage: Stage) -> None:
    key = stage.planned("ann")

    stage.dispatch()

    row = stage.send(key)
    assert row["state"] == "accepted"
    assert row["accepted_at"] == row["claimed_at"] == NOON
    assert stage.outbox() == {key: 1}
