"""Trying a campaign out on people and devices of the list, and on nobody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner

from flows.commands import rehearse
from tasks.rules.errors import ConfigError, Misconfigured
from tasks.rules.keyed import keyed_hash
from tasks.store.workspace import Workspace
from tests.send.stage import write_campaign

LISTED = ["You@example.com", "+491701234567", "fcm:Token-1", "webpush:{}", "customer:0042", "customer:gone", "nonsense"]

cli = typer.Typer()
cli.command(name="test-send")(rehearse.send_test)


@pytest.fixture
def work(make_workspace: Callable[..., Workspace], tmp_path: Path) -> Workspace:
    messages = {
        "email": {"subject": "Hello", "file": "email.html"},
        "sms": {"file": "sms.txt"},
        "push": {"title": "Hello", "file": "push.txt", "link": "https://shop.example.com/"},
        "webpush": {"title": "Hello", "file": "push.txt", "link": "https://shop.example.com/"},
    }
    write_campaign(tmp_path / "config", channels=list(messages), steps=[{"send_after": "9h", "messages": messages}])
    work = make_workspace(config=tmp_path / "config", mode="simulated", test_recipients=LISTED)
    with work.database.transaction() as connection:
        connection.execute(
            sa.text(
                "insert into core.customers (customer_id, email_canonical, phone_e164) values"
                " ('0042', 'ann@example.com', '+4930000001'), ('9', 'other@example.com', '+4930000002')"
            )
        )
        connection.execute(
            sa.text(
                "insert into core.push_tokens (token_id, customer_id, endpoint, platform, active, updated_at, load_id)"
                " values ('1', '0042', 'Old', 'fcm', true, '2026-01-01', 0),"
                " ('2', '0042', 'Newest', 'apns', true, '2026-02-01', 0),"
                " ('3', '0042', 'Gone', 'fcm', false, '2026-03-01', 0)"
            )
        )
        connection.execute(sa.text("insert into core.aliases values ('old-id', '0042', 'merge', '2026-01-01')"))
    return work


def sent(work: Workspace, to: str, *more: str) -> dict[str, Any]:
    """Addresses that were sent to, by channel, and what the command said."""
    answer = CliRunner().invoke(
        cli, ["back", "--to", to, "--as-of", "2026-06-01", *more], obj={"workspace": work}, catch_exceptions=False
    )
    assert answer.exit_code == 0
    with work.database.transaction() as connection:
        rows = connection.execute(sa.text("select channel, address from outbox.messages"))
        return {**{row.channel: row.address for row in rows}, "said": answer.output}


def addresses(found: dict[str, Any]) -> dict[str, str]:
    return {channel: address for channel, address in found.items() if channel != "said"}


@pytest.mark.parametrize(
    ("to", "reached"),
    [
        ("you@EXAMPLE.com", {"email": "you@example.com"}),
        ("+491701234567", {"sms": "+491701234567"}),
        ("fcm:Token-1", {"push": "Token-1"}),
        ("webpush:{}", {"webpush": "{}"}),
        ("customer:0042", {"email": "ann@example.com", "sms": "+4930000001", "push": "Newest"}),
    ],
)
def test_a_message_goes_where_the_entry_leads_and_on_no_other_channel(
    work: Workspace, to: str, reached: dict[str, str]
):
    found = sent(work, to)

    assert addresses(found) == reached
    assert found["said"].count("accepted by the outbox") == len(reached)
    assert found["said"].count("not sent") == 4 - len(reached)


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("other@example.com", "not in REENGAGE_TEST_RECIPIENTS"),
        ("customer:9", "not in REENGAGE_TEST_RECIPIENTS"),
        ("customer:old-id", "not in REENGAGE_TEST_RECIPIENTS"),
        ("fcm:token-1", "not in REENGAGE_TEST_RECIPIENTS"),
        ("apns:Token-1", "not in REENGAGE_TEST_RECIPIENTS"),
        ("Token-1", "not in REENGAGE_TEST_RECIPIENTS"),
        ("customer:gone", "no customer who is there"),
        ("nonsense", "devices and people are apns"),
    ],
)
def test_nobody_else_is_reached(work: Workspace, to: str, why: str):
    with pytest.raises(ConfigError, match=why):
        sent(work, to)

    with work.database.transaction() as connection:
        assert connection.execute(sa.text("select count(*) from outbox.messages")).scalar() == 0


def test_a_suppressed_address_is_left_alone_also_in_a_test(work: Workspace):
    key = work.settings.suppression_key.get_secret_value()
    with work.database.transaction() as connection:
        connection.execute(
            sa.text("insert into core.suppressions values (:hmac, 'email', 'all', 'hard_bounce', '2026-01-01')"),
            {"hmac": keyed_hash(key, "ann@example.com")},
        )

    assert addresses(sent(work, "customer:0042")) == {"sms": "+4930000001", "push": "Newest"}


def test_the_provider_is_told_whose_token_it_is(make_workspace: Callable[..., Workspace], tmp_path: Path):
    """Nothing leaves: without an application for the platform the provider stops before any call."""
    push = {"push": {"title": "Hello", "file": "push.txt", "link": "https://shop.example.com/"}}
    write_campaign(tmp_path / "config", channels=["push"], steps=[{"send_after": "9h", "messages": push}])
    (tmp_path / "config/reengage.yaml").write_text("providers: [{provider: push_sns, region: eu-central-1}]")
    work = make_workspace(config=tmp_path / "config", mode="live", test_recipients=["fcm:Token-1"])

    answer = CliRunner().invoke(cli, ["back", "--to", "fcm:Token-1", "--channel", "push"], obj={"workspace": work})

    assert isinstance(answer.exception, Misconfigured)
    assert "device tokens of fcm" in str(answer.exception)
