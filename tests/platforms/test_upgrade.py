"""A database in which audiences were told before contacts had names goes on without telling anybody anew."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.settings import CHECKOUT
from tasks.store import embedded
from tasks.store.engine import Database
from tasks.store.migrate import migrate

FILES = sorted((CHECKOUT / "sql" / "migrations").glob("*.sql"))
MEMBER = """
    insert into campaign.audience_members (
        platform, audience, campaign, customer_id, desired, applied, desired_at, contact_sha256, applied_contact_sha256
    )
    values (:platform, 'a', 'c', :who, true, true, now(), :wanted, :told)
"""


def fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def before(server: embedded.Server, tmp_path: Path) -> Database:
    """As the release before left it."""
    for file in FILES:
        if file.name < "065":
            (tmp_path / "sql").mkdir(exist_ok=True)
            shutil.copy(file, tmp_path / "sql")
    database = Database(server.url("before_065"), tmp_path)
    database.create_if_missing()
    migrate(database, tmp_path / "sql", roles=False)
    return database


def test_who_is_in_under_the_contact_of_today_stays_and_a_contact_that_changed_still_leaves(before: Database):
    old = fingerprint("ann@example.com|+491")
    with before.transaction() as connection:
        connection.execute(
            sa.text(
                "insert into core.customers (customer_id, email_canonical, phone_e164, first_name, country)"
                " values ('ann', 'ann@example.com', '+491', 'Ann', 'DE')"
            )
        )
        for platform, told in (("meta", old), ("google", old), ("tiktok", fingerprint("former@example.com|"))):
            connection.execute(sa.text(MEMBER), {"platform": platform, "who": "ann", "wanted": old, "told": told})
    with before.transaction() as connection:
        asked = "select platform, is_pending, is_leaving from campaign.audience_members order by platform"
        left = [tuple(row) for row in connection.execute(sa.text(asked))]

    migrate(before, roles=False)

    with before.transaction() as connection:
        assert [tuple(row) for row in connection.execute(sa.text(asked))] == left
        known = connection.execute(
            sa.text(
                "select platform, contact_sha256 = campaign.contact_sha256(platform, email_canonical, phone_e164,"
                " first_name, last_name, country) as is_todays from campaign.audience_members"
                " inner join core.customers using (customer_id)"
            )
        )
        assert all(is_todays for _, is_todays in known)
        assert connection.execute(sa.text("select count(*) from core.ways_filled")).scalar_one() == 1
    before.dispose()
