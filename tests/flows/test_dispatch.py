"""A dispatch does everything that can be done, whatever of it cannot, and then says what could not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from flows.dispatch import dispatch
from flows.story import using
from tasks.rules.errors import Misconfigured
from tasks.store import erasure
from tasks.store.workspace import Workspace
from tests.platforms import meta_server
from tests.send import live
from tests.send.conftest import ledger_database, make_stage
from tests.send.stage import Stage

__all__ = ["ledger_database", "make_stage"]


@pytest.fixture
def meta() -> Iterator[meta_server.MetaServer]:
    with meta_server.MetaServer().running() as running:
        yield running


@pytest.fixture
def stage(make_stage: Callable[..., Stage], meta: meta_server.MetaServer) -> Iterator[Stage]:
    """A live stage whose audiences are Meta's; somebody who is to leave one, and somebody who is to be forgotten."""
    found = make_stage(mode="live", platforms=["meta"])
    ours = {"platform": "meta", "endpoint": meta.url, "ad_account": meta_server.ACCOUNT.removeprefix("act_")}
    (found.folder / "reengage.yaml").write_text(json.dumps({"ad_platforms": [ours]}), "utf-8")
    audience = meta.has("back", {"EMAIL": "0" * 64})
    found.run_sql("insert into campaign.audience_uses (campaign, platform, audience) values ('back', 'meta', 'back')")
    found.run_sql(
        "insert into campaign.audiences (platform, audience, provider, external_id)"
        " values ('meta', 'back', 'meta', :id)", id=audience.id,
    )  # fmt: skip
    found.run_sql(
        "insert into campaign.audience_members"
        " (platform, audience, campaign, customer_id, desired, reason, applied, desired_at, identifiers)"
        " values ('meta', 'back', 'back', 'bought', false, 'stop_event', true, clock_timestamp(), :known)",
        known=json.dumps({"email": "0" * 64}),
    )
    found.person("gone")
    with found.work.database.transaction() as connection:
        erasure.begin(found.work, connection, "gone", found.one("select clock_timestamp()"))
    work = Workspace(found.work.settings.model_copy(update={"meta_ads_token": SecretStr(meta_server.TOKEN)}))
    with using(work):
        yield found
    work.close()


def erased(stage: Stage) -> list[bool]:
    with stage.work.database.transaction() as connection:
        return [receipt.is_complete for receipt in erasure.receipts(stage.work, connection)]


def dispatches(stage: Stage) -> list[tuple[str, str | None]]:
    """How each ended, and what it says kept it from ending well."""
    rows = stage.rows("select state, counts from campaign.runs where flow = 'dispatch' order by run_id")
    return [(row["state"], row["counts"].get("error")) for row in rows]


def test_an_ad_platform_that_does_not_know_us_holds_no_message_and_no_erasure_back(stage, meta):
    meta.tokens = set()  # ours has expired
    key, *_ = live.due(stage, "ann")

    with pytest.raises(Misconfigured, match="Session has expired"):
        dispatch.fn()

    assert stage.end(key) == ("accepted", None)
    assert erased(stage) == [True]
    ((state, error),) = dispatches(stage)
    assert state == "failed"
    assert "Session has expired" in error

    meta.tokens = {meta_server.TOKEN}
    dispatch.fn()
    assert [audience.people for audience in meta.audiences.values()] == [[]]
    assert dispatches(stage)[1:] == [("completed", None)]
