"""Messages before launch: as they would arrive, for anyone, leaving no trace (B11)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from tasks.rules.content import unsubscribe_token
from tasks.rules.errors import CampaignError
from tasks.store.rehearsal import rehearse

AS_OF = datetime(2026, 6, 8, tzinfo=UTC)


@pytest.fixture
def work(make_workspace):
    return make_workspace(mode="simulated")


def add_customer(work) -> None:
    with work.database.transaction() as connection:
        connection.execute(
            sa.text("insert into core.customers (customer_id, first_name) values ('0042', 'Ann'), ('0043', null)")
        )


def test_every_step_and_channel_is_rendered_for_a_made_up_person(work):
    shown = rehearse(work, work.campaign("lapsing_customers"), AS_OF)
    assert [(r.step, r.content.channel) for r in shown] == [(1, "email"), (1, "push"), (1, "sms")]
    assert "Alex" in shown[0].content.fields["subject"]


def test_a_real_customer_is_named_but_the_unsubscribe_link_is_not_theirs(work):
    add_customer(work)
    campaign = work.campaign("lapsing_customers")
    email = rehearse(work, campaign, AS_OF, customer_id="0042", channel="email")[0].content.fields
    key = work.settings.unsubscribe_keys[0].get_secret_value()
    assert email["subject"] == "Ann, 10 % for you"
    assert unsubscribe_token(key, "0042", "email", "marketing") not in email["html"]


def test_nothing_is_stored(work):
    add_customer(work)
    rehearse(work, work.campaign("lapsing_customers"), AS_OF, customer_id="0042")
    with work.database.transaction() as connection:
        for table in ("campaign.enrolments", "campaign.sends", "campaign.runs", "outbox.messages"):
            assert connection.execute(sa.text(f"select count(*) from {table}")).scalar() == 0


@pytest.mark.parametrize("wrong", [{"customer_id": "nobody"}, {"step": 2}, {"channel": "whatsapp"}])
def test_what_does_not_exist_is_named(work, wrong):
    with pytest.raises(CampaignError, match=str(next(iter(wrong.values())))):
        rehearse(work, work.campaign("lapsing_customers"), AS_OF, **wrong)
