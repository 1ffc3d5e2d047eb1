"""Fixtures of the receiver: a stage with providers, and the receiver itself on a real loopback port."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from pydantic import SecretStr

from flows.commands.hooks import SERVER
from flows.receiver.app import build
from tasks.store.workspace import Workspace
from tests.receiver.amazon import TOPIC, Amazon
from tests.send.conftest import ledger_database, make_stage
from tests.send.stage import NOON, Stage

__all__ = ["ledger_database", "make_stage"]

PROVIDERS = {
    "email": {"provider": "email_sendgrid", "event_key": ""},
    "push": {"provider": "push_sns", "region": "eu-central-1", "topics": [TOPIC]},
    "sms": {"provider": "sms_aws", "region": "eu-central-1", "origination_identity": "shop", "topics": [TOPIC]},
    "whatsapp": {"provider": "whatsapp_aws", "region": "eu-central-1", "phone_number_id": "phone-number-id-1",
                 "topics": [TOPIC]},
}  # fmt: skip
SES = {"provider": "email_ses", "region": "eu-central-1", "topics": [TOPIC]}


@dataclass
class Scene:
    """A stage whose messages have already left, by providers of one's choice."""

    stage: Stage
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def work(self) -> Workspace:
        return self.stage.work

    def sent(
        self,
        customer_id: str,
        channel: str = "email",
        provider: str = "email_sendgrid",
        *,
        state: str = "accepted",
        message_id: str | None = None,
        at: datetime = NOON,
        known: bool = False,
    ) -> str:
        """A message that was handed over; answers its attempt's id. `known`: the customer is on the stage already."""
        if not known:
            self.stage.person(customer_id, channels=["email", "push", "sms", "whatsapp"])
        key = self.stage.plan(self.stage.enrol(customer_id), channel=channel, due=at)
        self.stage.run_sql(
            "update campaign.sends set state = :state, provider = :provider, attempt_no = 1, claimed_at = :at,"
            " provider_message_id = :message_id, lease_until = :at,"
            " accepted_at = case when :state = 'accepted' then cast(:at as timestamptz) end where send_key = :key",
            state=state, provider=provider, message_id=message_id, at=at, key=key,
        )  # fmt: skip
        return self.stage.one(
            "insert into campaign.attempts (attempt_id, send_key, attempt_no, batch_id, channel, provider,"
            " payload_sha256, address_hmac, decided_at, outcome, provider_message_id) select gen_random_uuid(), :key,"
            " 1, gen_random_uuid(), :channel, :provider, '', (select way.address_hmac from"
            " campaign.reach(:customer, array[:customer], :at, 'marketing', :inner, :outer) as way"
            " where way.channel = :channel), :at, :outcome, :message_id returning cast(attempt_id as text)",
            key=key, channel=channel, provider=provider, customer=customer_id, at=at, message_id=message_id,
            outcome={"accepted": "accepted", "unknown": "unanswered"}.get(state), **pads_of(self.work),
        )  # fmt: skip

    def key_of(self, attempt_id: str) -> str:
        return self.stage.one("select send_key from campaign.attempts where attempt_id = :id", id=attempt_id)

    def message(self, attempt_id: str) -> dict[str, Any]:
        """What is known of a message, as analysts read it."""
        found = self.stage.rows(
            "select facts.message_reports.* from facts.message_reports inner join campaign.sends using (customer_id,"
            " campaign, step, channel, accepted_at) inner join campaign.attempts using (send_key)"
            " where attempt_id = :id",
            id=attempt_id,
        )
        return dict(found[0])

    def suppressions(self) -> set[tuple[str, str, str]]:
        return {
            (row["channel"], row["scope"], row["reason"])
            for row in self.stage.rows("select channel, scope, reason from core.suppressions")
        }

    def withdrawn(self, customer_id: str) -> set[tuple[str, str]]:
        return {
            (row["channel"], row["purpose"])
            for row in self.stage.rows(
                "select channel, purpose from core.consents where customer_id = :id and status = 'withdrawn'",
                id=customer_id,
            )
        }

    def events(self) -> list[str]:
        rows = self.stage.rows("select kind from campaign.provider_events order by kind")
        return [row["kind"] for row in rows]

    def refused(self) -> dict[tuple[str, str], int]:
        rows = self.stage.rows("select hook, reason, requests from campaign.refused_hooks")
        return {(row["hook"], row["reason"]): row["requests"] for row in rows}


def pads_of(work: Workspace) -> dict[str, bytes]:
    from tasks.rules.keyed import pads

    inner, outer = pads(work.settings.suppression_key.get_secret_value())
    return {"inner": inner, "outer": outer}


@pytest.fixture
def make_scene(make_stage: Callable[..., Stage]) -> Callable[..., Scene]:
    """A stage in live mode; `providers` by channel replace or (None) remove the usual ones."""

    def make(providers: dict[str, Any] | None = None, mode: str = "live", **changes: Any) -> Scene:
        stage = make_stage(mode=mode, **changes)
        chosen = [entry for entry in ({**PROVIDERS, **(providers or {})}).values() if entry]
        (stage.folder / "reengage.yaml").write_text(json.dumps({"providers": chosen}), "utf-8")
        return Scene(stage)

    return make


@pytest.fixture
def scene(make_scene: Callable[..., Scene]) -> Scene:
    """The usual providers."""
    return make_scene()


@dataclass
class Receiver:
    """The receiver as the outside sees it; its clock and its Amazon are the test's."""

    scene: Scene
    url: str
    amazon: Amazon
    now: datetime
    seconds: float = 0.0  # on the clock by which what a client may ask for comes back

    def post(self, path: str, body: bytes | str | dict[str, Any] | list[Any], **headers: str) -> httpx.Response:
        raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return httpx.post(self.url + path, content=raw, headers=headers, timeout=30)

    def get(self, path: str, **params: str) -> httpx.Response:
        return httpx.get(self.url + path, params=params or None, timeout=30)


SECRETS = {"whatsapp_app_secret": "app-secret", "whatsapp_verify_token": "a-word"}


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """A real uvicorn on a free loopback port, as the command starts it."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, **SERVER))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(15)


@pytest.fixture
def make_receiver(make_scene: Callable[..., Scene]) -> Iterator[Callable[..., Receiver]]:
    """A running receiver: `make_receiver(scene, unsubscribe_keys=["k"])`; settings replace those of the stage."""
    with contextlib.ExitStack() as stack:

        def make(scene: Scene | None = None, **settings: Any) -> Receiver:
            scene = scene or make_scene()
            given = {
                name: [SecretStr(key) for key in value] if isinstance(value, list) else SecretStr(value)
                for name, value in {**SECRETS, **settings}.items()
                if value
            }
            work = Workspace(scene.work.settings.model_copy(update=given))
            stack.callback(work.close)
            receiver = Receiver(scene, "", Amazon(), datetime.now(UTC).replace(microsecond=0))
            receiver.url = stack.enter_context(
                serving(
                    build(work, now=lambda: receiver.now, fetch=receiver.amazon.fetch, clock=lambda: receiver.seconds)
                )
            )
            return receiver

        yield make


@pytest.fixture
def receiver(make_receiver: Callable[..., Receiver]) -> Receiver:
    """The usual receiver."""
    return make_receiver()


HOUR = timedelta(hours=1)
