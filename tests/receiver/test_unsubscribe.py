"""The unsubscribe link: looking changes nothing, one click does, and nobody speaks for somebody else."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright

from tasks.rules.content import unsubscribe_token, unsubscribe_url
from tests.receiver.conftest import Receiver, Scene
from tests.send.stage import NOON

# Patient: a busy machine may answer late.
get, post, head = (partial(ask, timeout=60) for ask in (httpx.get, httpx.post, httpx.head))

KEY = "change-me"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
BOTH = {("email", "marketing"), ("email", "retargeting")}


def link(receiver: Receiver, customer: str = "ann", channel: str = "email", purpose: str = "marketing") -> str:
    """The address as messages carry it, on the receiver under test."""
    return unsubscribe_url(receiver.url, KEY, customer, channel, purpose)


def test_looking_at_the_page_changes_nothing_however_often(receiver: Receiver) -> None:
    receiver.scene.stage.person("ann")

    answers = [get(link(receiver)), head(link(receiver)), get(link(receiver))]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert receiver.scene.withdrawn("ann") == set()
    assert "Stop marketing emails?" in answers[0].text
    assert receiver.scene.refused() == {}


def test_one_click_of_a_mail_program_withdraws_without_login_cookie_or_redirect(receiver: Receiver) -> None:
    receiver.scene.stage.person("ann")

    first, second = (post(link(receiver), data=ONE_CLICK) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 200)
    assert "set-cookie" not in first.headers
    assert receiver.scene.withdrawn("ann") == BOTH
    rows = receiver.scene.stage.rows("select source, status from core.consents where source is not null")
    assert [dict(row) for row in rows] == [{"source": "unsubscribe link", "status": "withdrawn"}] * 2


def test_one_click_as_multipart_form_counts_too(receiver: Receiver) -> None:
    receiver.scene.stage.person("ann")

    answer = post(link(receiver), files={"List-Unsubscribe": (None, "One-Click")})

    assert answer.status_code == 200
    assert receiver.scene.withdrawn("ann") == BOTH


def test_only_the_channel_of_the_link_is_withdrawn_unless_all_is_asked_for(receiver: Receiver) -> None:
    receiver.scene.stage.person("ann", channels=["email", "sms"])
    post(link(receiver), data={"which": "one"})
    assert receiver.scene.withdrawn("ann") == BOTH

    answer = post(link(receiver), data={"which": "all"})

    assert answer.status_code == 200
    channels = {"email", "push", "webpush", "inbox", "sms", "whatsapp", "meta", "tiktok", "google"}
    assert receiver.scene.withdrawn("ann") == {(c, p) for c in channels for p in ("marketing", "retargeting")}


def test_a_link_about_service_messages_touches_no_marketing_and_offers_none(receiver: Receiver) -> None:
    receiver.scene.stage.person("ann")
    address = link(receiver, purpose="transactional")

    assert "all marketing" not in get(address).text
    post(address, data={"which": "all"})

    assert receiver.scene.withdrawn("ann") == {("email", "transactional")}


def test_whoever_says_yes_again_can_say_no_again(receiver: Receiver) -> None:
    receiver.scene.stage.person("ann")
    post(link(receiver), data=ONE_CLICK)
    receiver.scene.stage.consent("ann", "email", "granted", receiver.scene.work.database.now())

    post(link(receiver), data=ONE_CLICK)

    count = "select count(*) from core.consents where status = 'withdrawn' and purpose = 'marketing'"
    assert receiver.scene.stage.one(count) == 2


@pytest.mark.parametrize("which", [0, 1])
def test_links_of_old_keys_still_work(make_receiver: Callable[..., Receiver], which: int) -> None:
    keys = ["new-key", "old-key"]
    receiver = make_receiver(unsubscribe_keys=keys)
    receiver.scene.stage.person("ann")

    answer = post(unsubscribe_url(receiver.url, keys[which], "ann", "email", "marketing"), data=ONE_CLICK)

    assert answer.status_code == 200
    assert receiver.scene.withdrawn("ann") == BOTH
    assert post(link(receiver)).status_code == 403  # a key that is listed no more


TOKEN = unsubscribe_token(KEY, "ann", "email", "marketing")


TAMPERED = (
    f"ann/email/marketing/{TOKEN[:-1]}",
    f"ann/email/marketing/{TOKEN}x",
    f"ann/email/marketing/{TOKEN}=",
    f"bob/email/marketing/{TOKEN}",
    f"ANN/email/marketing/{TOKEN}",
    f"ann/sms/marketing/{TOKEN}",
    f"ann/email/transactional/{TOKEN}",
    f"ann/email/{TOKEN}",
    f"ann%2Femail/marketing/{TOKEN}",
    f"ann/fax/marketing/{unsubscribe_token(KEY, 'ann', 'fax', 'marketing')}",
    f"ann/email/spam/{unsubscribe_token(KEY, 'ann', 'email', 'spam')}",
    "ann/email/marketing/%ff%fe",
    "ann/email/marketing/",
    "<script>alert(1)</script>/email/marketing/x",
    "x",
)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_h23_a_tampered_token_another_person_or_another_channel_changes_nothing(
    receiver: Receiver, method: str
) -> None:
    for name in ("ann", "bob"):
        receiver.scene.stage.person(name, channels=["email", "sms"])
    before = receiver.scene.stage.rows("select * from core.consents order by consent_id")

    for path in TAMPERED:
        answer = httpx.request(method, f"{receiver.url}/unsubscribe/{path}")
        assert answer.status_code == 403, path
        assert "<script>" not in answer.text

    assert receiver.scene.stage.rows("select * from core.consents order by consent_id") == before
    assert receiver.scene.refused() == {("unsubscribe", "bad_token"): len(TAMPERED)}


def test_any_customer_id_travels_in_a_link(receiver: Receiver) -> None:
    for customer in ("a/b", "ä ö", "100%", "guest:0", "a?b#c", "0017", "%2F", "a+b", "a.b", "ann@example.com"):
        receiver.scene.stage.person(customer)
        assert post(link(receiver, customer), data=ONE_CLICK).status_code == 200, customer
        assert receiver.scene.withdrawn(customer) == BOTH, customer


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_link_works_that_a_proxy_has_written_another_way(receiver: Receiver, ending: str) -> None:
    receiver.scene.stage.person("a/b")
    written_out = link(receiver, "a/b").replace("%2F", "/") + ending

    assert post(written_out, data=ONE_CLICK).status_code == 200
    assert receiver.scene.withdrawn("a/b") == BOTH


def test_the_link_of_an_id_that_was_merged_withdraws_for_the_person(receiver: Receiver) -> None:
    receiver.scene.stage.person("anna")
    receiver.scene.stage.run_sql(
        "insert into core.aliases (alias_id, customer_id, reason, merged_at) values ('ann', 'anna', 'x', :at)", at=NOON
    )

    assert post(link(receiver, "ann"), data=ONE_CLICK).status_code == 200
    assert receiver.scene.withdrawn("anna") == BOTH


def test_the_link_of_somebody_who_was_forgotten_is_answered_and_leaves_no_trace(receiver: Receiver) -> None:
    assert post(link(receiver, "gone"), data=ONE_CLICK).status_code == 200
    assert receiver.scene.stage.one("select count(*) from core.consents") == 0


def test_the_page_asks_nothing_of_anybody_and_keeps_the_link_to_itself(receiver: Receiver) -> None:
    receiver.scene.stage.person("canary")

    answer = get(link(receiver, "canary"))

    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert re.findall(r"https?://|src=|href=|<script", answer.text) == []
    assert "canary" not in answer.text


def test_a_long_form_is_refused(receiver: Receiver) -> None:
    receiver.scene.stage.person("ann")

    assert post(link(receiver), content=b"x" * 20_000).status_code == 413
    assert receiver.scene.withdrawn("ann") == set()


def test_no_access_is_logged_because_addresses_hold_ids(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.scene.stage.person("canary-17")
    with caplog.at_level("DEBUG"):
        post(link(receiver, "canary-17"), data=ONE_CLICK)
        get(f"{receiver.url}/unsubscribe/canary-17/email/marketing/wrong")
    own = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]

    assert "canary" not in "\n".join(own) + "".join(capfd.readouterr())


@pytest.mark.parametrize("which", ["one", "all"])
def test_i8_a_withdrawal_that_is_committed_stops_every_send_claimed_after_it(
    make_scene: Callable[..., Scene], make_receiver: Callable[..., Receiver], which: str
) -> None:
    scene = make_scene({"email": None, "push": None, "sms": None, "whatsapp": None}, mode="live")
    now = scene.work.database.now()
    keys = {
        name: scene.stage.planned(name, due=now - timedelta(minutes=1), channels=["email"]) for name in ("ann", "bob")
    }
    receiver = make_receiver(scene)

    assert post(link(receiver, "ann"), data={"which": which}).status_code == 200
    scene.stage.dispatch(at=None)

    assert scene.stage.end(keys["ann"]) == ("suppressed", "no_consent")
    assert scene.stage.end(keys["bob"])[0] == "accepted"
    assert dict(scene.stage.outbox()) == {keys["bob"]: 1}


def test_in_a_simulated_database_a_withdrawal_counts_at_the_moment_it_has_seen(
    make_scene: Callable[..., Scene], make_receiver: Callable[..., Receiver]
) -> None:
    scene = make_scene({"email": None, "push": None, "sms": None, "whatsapp": None}, mode="simulated")
    key = scene.stage.planned("ann")
    scene.stage.dispatch(at=NOON - timedelta(hours=1))  # stores the mode
    receiver = make_receiver(scene)

    post(link(receiver, "ann"), data=ONE_CLICK)
    scene.stage.dispatch()

    assert scene.stage.end(key) == ("suppressed", "no_consent")


# ------------------------------------------------------------------------------------------ as people see it


@pytest.fixture
def page() -> Iterator[Page]:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        opened = chromium.new_page(viewport={"width": 390, "height": 700})
        yield opened
        chromium.close()


def test_a_person_stops_emails_and_then_everything_on_a_phone(receiver: Receiver, page: Page, tmp_path: Path) -> None:
    receiver.scene.stage.person("ann")
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)

    page.goto(link(receiver))
    page.screenshot(path=tmp_path / "asked.png")
    assert page.get_by_role("heading").inner_text() == "Stop marketing emails?"
    style = page.get_by_role("button", name="Stop marketing emails").evaluate(
        "button => getComputedStyle(button).backgroundColor"
    )
    assert style == "rgb(43, 103, 119)"  # the policy lets the page's own style through
    page.get_by_role("button", name="Stop marketing emails").click()
    page.get_by_role("heading", name="Done").wait_for()
    page.screenshot(path=tmp_path / "done.png")
    assert receiver.scene.withdrawn("ann") == BOTH
    page.get_by_role("button", name="Stop all marketing, on every channel").click()
    page.get_by_text("on any channel").wait_for()

    assert len(receiver.scene.withdrawn("ann")) == 18
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert {urlsplit(url).netloc for url in asked if "favicon" not in url} == {urlsplit(receiver.url).netloc}
    assert [text for text in errors if "favicon" not in text] == []
