"""Prefect's server goes away in the middle of a dispatch: what was being sent is recorded all the same (R18)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from prefect import settings as prefect_settings
from prefect.client.orchestration import get_client
from pydantic import SecretStr

from flows.dispatch import dispatch
from flows.story import using
from tasks.store.workspace import Workspace
from tests.channels import mail_send
from tests.channels.loopback import Mode
from tests.flows.conftest import PrefectServer
from tests.send import live
from tests.send.conftest import ledger_database, make_stage
from tests.send.stage import Stage
from tests.wire import Wire

__all__ = ["ledger_database", "make_stage"]


@pytest.fixture
def wire(prefect: PrefectServer) -> Iterator[Wire]:
    """This process talks to the server over a wire, and does not wait for it to come back."""
    wire = Wire(prefect.port)
    changed = {
        prefect_settings.PREFECT_API_URL: f"http://127.0.0.1:{wire.port}/api",
        prefect_settings.PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
        prefect_settings.PREFECT_CLIENT_MAX_RETRIES: 0,
    }
    with prefect_settings.temporary_settings(changed):
        yield wire
    if not wire.was_cut.is_set():
        wire.cut()


def test_r18_what_is_being_sent_is_recorded_though_prefects_server_is_gone(
    make_stage: Callable[..., Stage], wire: Wire
) -> None:
    stage = make_stage(mode="live", **live.CAMPAIGN)
    with live.sendgrid().running() as provider, get_client(sync_client=True) as client:
        assert client.api_healthcheck() is None
        live.configure(stage.folder, {live.EMAIL: provider.url})
        keys = live.due(stage, "ann", "bob", "cid")

        def cut(_: object) -> Mode:
            wire.cut()
            return Mode.ACCEPT

        provider.conduct = cut
        work = Workspace(stage.work.settings.model_copy(update={"sendgrid_api_key": SecretStr(mail_send.KEY)}))
        with using(work), contextlib.suppress(Exception):  # the run itself may fail: its server is gone
            dispatch()
        work.close()

        assert wire.was_cut.is_set(), "the run ended before anything was sent"
        assert [stage.end(key) for key in keys] == [("accepted", None)] * 3
        assert sorted(provider.keys_accepted) == sorted(live.attempts(stage, key)[0] for key in keys)
        assert len(provider.requests) == 1
