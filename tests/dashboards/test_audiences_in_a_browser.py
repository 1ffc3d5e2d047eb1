"""What a marketer sees of ad audiences in a real browser: sizes, refusals, what waits too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from config.settings import Settings
from tasks import measure
from tasks.store import mode
from tasks.store.engine import Database
from tasks.store.workspace import Workspace
from tests.dashboards.browsing import Reader, chromium, served
from tests.evaluation_world import START, insert, random_world, write_campaign

AS_OF = START + timedelta(days=45)
NAME = "late_buyers"


def member(number: int, platform: str, **given: Any) -> dict[str, Any]:
    """Somebody who is in as they should be, unless it is said otherwise."""
    return {
        "platform": platform, "audience": NAME, "campaign": NAME, "customer_id": f"c{number:03}", "desired": True,
        "applied": True, "desired_at": AS_OF - timedelta(days=5), "contact_sha256": "a", "applied_contact_sha256": "a",
        "reason": None, "refused": None, "request_id": None, **given,
    }  # fmt: skip


MEMBERS = [
    *(member(n, "google") for n in range(3)),
    *(member(n, "google", request_id=1) for n in range(3, 5)),
    member(9, "google", applied=False, contact_sha256=None, applied_contact_sha256=None, reason="invalid_email"),
    *(member(n, "meta", audience="win_back *again*") for n in range(4)),
    *(member(n, "meta", audience="win_back *again*", applied=False, refused="rejected") for n in range(4, 6)),
    member(6, "meta", audience="win_back *again*", desired=False, desired_at=AS_OF - timedelta(days=3)),
    *(member(n, "tiktok", applied=False) for n in range(7)),
    # one may not leave by the contact from before, another was told to and nobody knows yet whether they did
    member(
        7, "google", audience="locked", contact_sha256="b", desired_at=AS_OF - timedelta(days=2), refused="rejected"
    ),
    member(8, "google", audience="locked", desired=False, applied=False, request_id=1),
]
REQUEST = {
    "platform": "google", "audience": "locked", "campaign": NAME, "verb": "remove", "people": 1, "state": "waiting",
    "told_at": AS_OF - timedelta(days=5), "external_id": "request-1",
}  # fmt: skip
SIZE = {"audience": NAME, "measured_on": date(2026, 4, 14), "match_rate": None, "is_usable": True, "words": ""}
SIZES = [
    {**SIZE, "platform": "google", "least": 975, "most": 975, "match_rate": 0.62},
    {**SIZE, "platform": "meta", "audience": "win_back *again*", "least": 40, "most": 50, "is_usable": False},
    {**SIZE, "platform": "tiktok", "least": 990, "most": 990},
]
TROUBLE = {
    "platform": "meta", "audience": "win_back *again*", "campaign": NAME, "since": AS_OF - timedelta(hours=31),
    "words": "meta: Session has expired",
}  # fmt: skip
DELETED = {
    "platform": "tiktok", "audience": NAME, "provider": "tiktok", "begun_at": AS_OF, "deleted_at": AS_OF,
    "enough": 1188,
}  # fmt: skip


@pytest.fixture(scope="module")
def address(make_database: Callable[..., Database], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page of a campaign whose audiences have all that can be said of one."""
    chromium()
    root = tmp_path_factory.mktemp("audiences")
    write_campaign(root / "config" / "campaigns", NAME)
    database = make_database()
    url = SecretStr(database.url.render_as_string(hide_password=False))
    given: dict[str, Any] = {"config": root / "config", "home": database.home, "database_url": url}
    work = Workspace(Settings(**given, time_zone="UTC", mode="simulated", _env_file=None))
    with work.database.transaction() as connection:
        mode.settle(work, connection)
        random_world(21).write(connection)
        insert(connection, "campaign.audience_requests", [REQUEST])
        insert(connection, "campaign.audience_members", MEMBERS)
        insert(connection, "campaign.audience_sizes", SIZES)
        insert(connection, "campaign.audience_troubles", [TROUBLE])
        insert(connection, "campaign.deleted_audiences", [DELETED])
        insert(connection, "campaign.runs", [{"flow": "dispatch", "as_of": AS_OF, "state": "completed"}])
    measure.campaigns(work, AS_OF)
    with served(work, root) as served_at:
        yield f"{served_at}/audiences?campaign={NAME}"
    work.close()


def test_every_audience_is_told_of_with_what_is_refused_and_what_the_platform_says(address, reader: Reader):
    reader.open(address)

    assert reader.table("Audience") == {
        "Google": ["6", "5", "2", "0", "0", "1"],
        "Google, locked": ["1", "1", "1", "0", "1, 1 on the way, oldest 5 days", "0"],
        "Meta, win_back *again*": ["6", "5", "0", "0", "1, oldest 3 days", "2"],
        "TikTok": ["7", "0", "0", "7", "0", "0"],
    }
    assert reader.table("What the platform says") == {
        "Google": ["975", "62 %", "Yes", "14 April 2026"],
        "Meta, win_back *again*": ["40 to 50", "Not said", "No", "14 April 2026"],
    }
    assert reader.table("Refused by") == {
        "Google": ["Should join", "Not a valid email address", "1"],
        "Google, locked": ["Should leave", "The platform does not take this person", "1"],
        "Meta, win_back *again*": ["Should join", "The platform does not take this person", "2"],
    }
    assert reader.page.get_by_test_id("stException").count() == 0
    assert reader.outside == []


def test_what_needs_somebody_stands_before_the_figures(address, reader: Reader):
    reader.open(address)

    said = [one.inner_text() for one in reader.page.get_by_test_id("stAlert").all()]

    locked = "Google, locked: 2 people should have left and may still see ads, the first of them 5 days ago."
    assert any(locked in text for text in said)
    about = [text for text in said if "win_back *again*" in text or "TikTok" in text]
    assert "1 person should have left 3 days ago and may still see ads." in about[0]
    assert "The platform says: Session has expired" in about[1]
    assert "the platform shows no ads to this audience yet" in about[2]
    assert "made once 1,188 people belong in it" in about[3]


def test_on_a_phone_no_figure_of_an_audience_is_cut_off(address, reader: Reader):
    reader.page.set_viewport_size({"width": 390, "height": 844})
    reader.open(address)

    cut = reader.page.evaluate(
        "[...document.querySelectorAll('[data-testid=stTable]')]"
        ".filter(e => /^(Audience|What the platform says|Refused by)/.test(e.innerText))"
        ".filter(e => e.querySelector('table').getBoundingClientRect().right > innerWidth).length"
    )

    assert cut == 0
