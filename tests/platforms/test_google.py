"""Google Customer Match: what leaves is what Google's own classes read, and every answer means one thing."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from google.ads.datamanager_v1 import IngestionServiceClient, UserListServiceClient, types
from google.oauth2.credentials import Credentials
from pydantic import ValidationError

from config.platforms import Google
from config.settings import CHECKOUT, Settings
from tasks import http
from tasks.platforms import google as client_module
from tasks.platforms.base import Outcome, Person, Platform, Size, Taken
from tasks.platforms.google import GooglePlatform
from tasks.platforms.google_token import GoogleToken
from tasks.platforms.identity import Contact, identifiers
from tasks.rules.errors import Busy, Misconfigured, ProviderError, Refused, Unanswered, Unreached
from tasks.store.workspace import Workspace
from tests.channels.loopback import Answer, Mode, Request
from tests.platforms.google_server import (
    ACCOUNT,
    MANAGER,
    OTHER_KIND,
    DataManager,
    invalid,
    no,
    problem,
    violation,
)

CANARY = "zwetschge@example.com"


@pytest.fixture
def google() -> Iterator[DataManager]:
    with DataManager().running() as served:
        yield served


def platform(google: DataManager, *, token: str = "a-token", seconds: float = 5, **options: Any) -> GooglePlatform:
    given = Google(**{"platform": "google", "endpoint": google.url, "account": ACCOUNT, **options})
    return GooglePlatform(http.client(google.url, timeout=seconds), given, token=lambda: token, seconds=seconds)


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def person(number: int) -> Person:
    return {"email": hashed(f"someone{number}@example.com")}


def people(count: int) -> list[Person]:
    return [person(number) for number in range(count)]


def values(*told: Person) -> set[str]:
    return {value for one in told for value in one.values()}


def bodies(google: DataManager) -> list[Any]:
    return [request.json for request in google.requests if request.body]


def nothing_private_in(error: ProviderError, *told: Person) -> bool:
    return not any(value in str(error) for value in (*values(*told), CANARY, "a-token"))


def test_it_can_do_what_a_platform_must(google):
    client: Platform = platform(google)

    assert client.page == 10_000


def test_googles_own_client_asks_for_the_same_in_the_same_places(google):
    made = google.new_list()
    client = platform(google)
    request = client.add(made, [identifiers("google", Contact(email="a@example.com", phone="+491701234567"))]).request
    client.remove(made, people(2))
    client.ask(request)
    client.find("new")
    client.create("new", [])
    client.size(made)
    ours = list(google.requests)
    parent = f"accountTypes/GOOGLE_ADS/accounts/{ACCOUNT}"
    ingest, remove, _, _, create, _ = ours

    with own_client(google, IngestionServiceClient) as theirs:
        theirs.ingest_audience_members(types.IngestAudienceMembersRequest.from_json(ingest.body), retry=None)
        theirs.remove_audience_members(types.RemoveAudienceMembersRequest.from_json(remove.body), retry=None)
        theirs.retrieve_request_status({"request_id": request}, retry=None)
    with own_client(google, UserListServiceClient) as theirs:
        theirs.list_user_lists({"parent": parent, "filter": 'display_name = "new"'}, retry=None)
        told = types.UserList.from_json(create.body.replace(b'"new"', b'"newer"'))
        theirs.create_user_list(parent=parent, user_list=told, retry=None)
        theirs.get_user_list(name=f"{parent}/userLists/{made}", retry=None)

    assert [said(one) for one in ours] == [said(one) for one in google.requests[len(ours) :]]


def own_client(google: DataManager, kind: Any) -> Any:
    """Google's own client, over REST."""
    transport = kind.get_transport_class("rest")
    where = google.url.removeprefix("http://")
    return kind(transport=transport(host=where, url_scheme="http", credentials=Credentials("a-token")))


def said(request: Request) -> tuple[Any, ...]:
    """Method, path, parameters and body, but for how Google's own client writes enums, and what tells them apart."""
    where = urlsplit(request.path)
    query = {name: value for name, value in parse_qs(where.query).items() if not name.startswith("$")}
    body = None
    if request.body:
        text = request.body.replace(b'"newer"', b'"new"')
        kinds = {":ingest": types.IngestAudienceMembersRequest, ":remove": types.RemoveAudienceMembersRequest}
        kind = next((one for end, one in kinds.items() if where.path.endswith(end)), types.UserList)
        body = kind.to_dict(kind.from_json(text))
    return request.method, where.path, query, body


# user lists


def test_a_list_is_made_and_found_by_its_name(google):
    client = platform(google)
    assert client.find("back") is None

    made = client.create("back", people(2))

    assert client.find("back") == made
    assert google.held(made) == set()  # who is in it is told by `add`
    assert [request.method for request in google.requests] == ["GET", "POST", "GET"]
    assert bodies(google)[0]["membershipDuration"] == f"{540 * 86_400}s"


def test_people_stay_in_a_list_for_as_long_as_the_options_say(google):
    platform(google, membership_days=30).create("back", [])

    (made,) = (one for one in google.lists.values() if one.display_name == "back")
    assert made.membership_duration.days == 30


@pytest.mark.parametrize("days", [0, 541])
def test_no_list_may_keep_people_for_longer_than_google_allows(days):
    with pytest.raises(ValidationError, match="membership_days"):
        Google(platform="google", account=ACCOUNT, membership_days=days)


@pytest.mark.parametrize("name", ['Win "back" 50\\50', "Rückkehrer & Co", "a=b AND id = 5"])
def test_any_name_is_found_again(google, name):
    google.new_list("another")
    made = platform(google).create(name, [])

    assert platform(google).find(name) == made


def test_a_name_that_only_looks_alike_is_another_list(google):
    google.new_list("BACK*")
    google.new_list("back again")

    assert platform(google).find("back*") is None


def test_a_list_that_somebody_else_shares_is_not_ours(google):
    assert platform(google).find("shared") is None


def test_a_list_on_a_later_page_is_found(google):
    for _ in range(51):
        google.new_list("NAME")
    wanted = google.new_list("name")

    assert platform(google).find("name") == wanted
    assert len(google.requests) == 2


@pytest.mark.parametrize("status", [400, 409])
def test_a_name_that_is_taken_is_found_instead(google, status):
    google.name_taken_status = status
    there = google.new_list("back")

    assert platform(google).create("back", []) == there


def test_a_lost_answer_to_a_new_list_does_not_make_a_second_one(google):
    google.loopback.conduct = Mode.DROP_AFTER
    with pytest.raises(Unanswered):
        platform(google).create("back", [])
    google.loopback.conduct = Mode.ACCEPT

    made = platform(google).create("back", [])

    assert [str(one.id) for one in google.lists.values() if one.display_name == "back"] == [made]


def test_a_manager_acts_for_the_account_everywhere(google):
    client = platform(google, login_account=MANAGER)
    made = client.create("back", [])
    client.add(made, people(1))
    client.size(made)

    assert google.held(made) == values(person(0))
    wanted = f"accountTypes/GOOGLE_ADS/accounts/{MANAGER}"
    found = [{name.lower(): value for name, value in one.headers.items()} for one in google.requests]
    assert [headers.get("login-account") for headers in found] == [wanted, None, wanted]


@pytest.mark.parametrize("options", [{"account": "1111111111"}, {"login_account": "1111111111"}])
def test_an_account_that_is_not_ours_halts(google, options):
    client = platform(google, **options)

    for call in (lambda: client.find("back"), lambda: client.create("back", []), lambda: client.add("5001", people(1))):
        with pytest.raises(Misconfigured):
            call()


# people


def test_people_are_added_with_both_consents_of_their_own_and_taken_out_again(google):
    made = google.new_list()
    both = identifiers("google", Contact(email="Jane.Doe@gmail.com", phone="+491701234567"))
    client = platform(google)

    added = client.add(made, [both, person(1)])
    assert google.held(made) == values(both, person(1))
    removed = client.remove(made, [both])

    assert google.held(made) == values(person(1))
    assert added.request in google.processed
    assert removed.request in google.processed
    assert (added.refused, added.is_partial, added.words) == ({}, False, "")
    ingested, taken_out = bodies(google)
    granted = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
    assert [member["consent"] for member in ingested["audienceMembers"]] == [granted, granted]
    assert "consent" not in ingested
    assert ingested["audienceMembers"][0]["userData"]["userIdentifiers"] == [
        {"emailAddress": hashed("janedoe@gmail.com")}, {"phoneNumber": hashed("+491701234567")},
    ]  # fmt: skip
    assert "termsOfService" not in taken_out


def test_who_is_in_stays_in_and_who_is_out_stays_out(google):
    made = google.new_list()
    client = platform(google)

    for _ in range(2):
        client.add(made, people(2))
        client.remove(made, [person(7)])

    assert google.held(made) == values(*people(2))


def test_a_whole_page_is_one_request(google):
    made = google.new_list()

    taken = platform(google, seconds=30).add(made, people(10_000))

    assert len(google.held(made)) == 10_000
    assert taken == Taken(next(iter(google.processed)))
    assert len(google.requests) == 1


def test_more_than_a_page_does_not_leave(google):
    with pytest.raises(ValueError, match="10000"):
        platform(google).add(google.new_list(), people(10_001))

    assert not google.requests


def test_nobody_is_no_request(google):
    assert platform(google).add(google.new_list(), []) == Taken()
    assert not google.requests


WRONG: dict[str, tuple[Mapping[str, str], str]] = {
    "no identifiers": ({}, "no_identifier"),
    "a raw address": ({"email": CANARY}, "invalid_identifier"),
    "upper case": ({"email": hashed("a").upper()}, "invalid_identifier"),
    "too short": ({"phone": "ab" * 31}, "invalid_identifier"),
    "a line break": ({"phone": hashed("a") + "\n"}, "invalid_identifier"),
    "one of two": ({"email": hashed("a"), "phone": ""}, "invalid_identifier"),
    "a kind that is not Google's": ({"email": hashed("a"), "first_name": hashed("b")}, "invalid_identifier"),
}


@pytest.mark.parametrize("verb", ["add", "remove"])
def test_who_cannot_be_told_does_not_leave_and_all_others_do(google, verb):
    made = google.new_list()
    platform(google).add(made, [person(1)])
    told = [person(0), *(given for given, _ in WRONG.values()), person(1)]

    taken = getattr(platform(google), verb)(made, told)

    assert taken.refused == {place: why for place, (_, why) in enumerate(WRONG.values(), 1)}
    assert taken.request in google.processed
    assert google.held(made) == (values(person(0), person(1)) if verb == "add" else set())
    assert CANARY.encode() not in b"".join(request.body for request in google.requests)


def test_a_page_of_nobody_who_can_be_told_is_no_request(google):
    taken = platform(google).add(google.new_list(), [{"email": CANARY}, {}])

    assert taken == Taken(None, {0: "invalid_identifier", 1: "no_identifier"})
    assert not google.requests


# one bad record fails its whole request


@pytest.mark.parametrize("verb", ["add", "remove"])
@pytest.mark.parametrize("reason", sorted(client_module._OF_A_PERSON | client_module._OF_A_FIELD))
def test_whom_google_names_is_left_out_and_all_others_are_told(google, verb, reason):
    made = google.new_list()
    platform(google).add(made, people(5))
    google.disliked, google.dislike = values(person(1), person(4)), reason
    before = len(google.requests)

    taken = getattr(platform(google), verb)(made, people(7))

    assert taken.refused == {1: "rejected", 4: "rejected"}
    assert taken.request in google.processed
    assert len(google.requests) - before == 2
    assert google.held(made) == (values(*people(7)) if verb == "add" else values(person(1), person(4)))
    assert reason in taken.words


def test_whom_google_does_not_name_is_found_by_halving(google):
    made = google.new_list()
    google.names_the_bad = False
    google.disliked = values(person(17), person(64))

    taken = platform(google).add(made, people(100))

    assert taken.refused == {17: "rejected", 64: "rejected"}
    assert not taken.is_partial
    assert google.held(made) == values(*people(100)) - google.disliked
    assert len(google.requests) < 30
    for one in taken.request.split():
        google.process(one, "SUCCESS")
    assert platform(google).ask(taken.request).received == 98


def test_three_of_a_page_are_found_with_as_many_requests_as_it_may_make(google):
    made = google.new_list()
    google.names_the_bad = False
    google.disliked = values(person(0), person(5_000), person(9_999))

    taken = platform(google, seconds=30).add(made, people(10_000))

    assert taken.refused == dict.fromkeys((0, 5_000, 9_999), "rejected")
    assert len(google.held(made)) == 9_997
    assert len(google.requests) <= client_module._MOST_REQUESTS


def test_too_many_to_be_found_are_left_open_and_the_audience_is_told_again(google):
    made = google.new_list()
    google.names_the_bad = False
    google.disliked = values(*people(600)[::12])

    taken = platform(google, seconds=30).add(made, people(600))

    assert taken.is_partial
    assert "INVALID_AUDIENCE_MEMBER" in taken.words
    assert len(google.requests) == client_module._MOST_REQUESTS
    assert not google.held(made) & google.disliked


def test_when_nobody_at_all_is_taken_the_audience_is_refused(google):
    made = google.new_list()
    google.names_the_bad = False
    google.disliked = values(*people(600))

    with pytest.raises(Refused, match="INVALID_AUDIENCE_MEMBER") as caught:
        platform(google).add(made, people(600))

    assert caught.value.reason == "rejected"
    assert len(google.requests) == client_module._MOST_REQUESTS


def test_a_no_that_is_too_long_to_be_read_is_halved_until_it_can_be(google):
    made = google.new_list()
    google.disliked = values(*people(1_000)[:500])

    taken = platform(google).add(made, people(1_000))

    assert len(taken.refused) == 500
    assert google.held(made) == values(*people(1_000)[500:])


@pytest.mark.parametrize("mode", [Mode.BUSY, Mode.ERROR_503, Mode.DROP_AFTER, Mode.UNKNOWN_401])
def test_what_goes_wrong_after_part_of_a_page_was_taken_leaves_it_open(google, mode):
    made = google.new_list()
    google.names_the_bad = False
    google.disliked = values(person(0))
    google.loopback.conduct = lambda _: mode if google.loopback.accepted else Mode.ACCEPT

    with pytest.raises(Unanswered, match="part of the page") as caught:
        platform(google).add(made, people(8))
    assert nothing_private_in(caught.value, *people(8))

    google.loopback.conduct = Mode.ACCEPT
    assert platform(google).add(made, people(8)).refused == {0: "rejected"}
    assert google.held(made) == values(*people(8)[1:])


# what Google says


FAULTS: dict[Mode, type[ProviderError] | None] = {
    Mode.ACCEPT: None,
    Mode.DROP_AFTER: Unanswered,
    Mode.DROP_BEFORE: Unanswered,
    Mode.HANG: Unanswered,
    Mode.SLOW: None,
    Mode.MALFORMED: Unanswered,
    Mode.LIE_500: Unanswered,
    Mode.BUSY: Busy,
    Mode.BUSY_120: Busy,
    Mode.ERROR_500: Unanswered,
    Mode.ERROR_502: Unanswered,
    Mode.ERROR_503: Unanswered,
    Mode.BAD_400: Refused,
    Mode.UNKNOWN_401: Misconfigured,
}
TAKEN = (Mode.ACCEPT, Mode.DROP_AFTER, Mode.HANG, Mode.SLOW, Mode.MALFORMED, Mode.LIE_500)


@pytest.mark.parametrize("verb", ["add", "remove"])
@pytest.mark.parametrize("mode", Mode)
def test_every_fault_has_one_meaning_and_told_again_ends_in_the_same_members(google, mode, verb, caplog):
    caplog.set_level(logging.DEBUG)
    made = google.new_list()
    platform(google).add(made, [person(0), person(9)])
    before, google.loopback.conduct = len(google.requests), lambda _: mode
    told = people(3)
    in_the_end = values(*told, person(9)) if verb == "add" else values(person(9))

    error = None
    try:
        getattr(platform(google, seconds=15 if mode is Mode.SLOW else 1), verb)(made, told)
    except ProviderError as caught:
        error = caught

    assert (type(error) if error else None) is FAULTS[mode]
    assert len(google.requests) - before == 1
    assert (google.held(made) == in_the_end) == (mode in TAKEN)
    if mode in (Mode.BUSY, Mode.BUSY_120):
        assert error.retry_after == (120 if mode is Mode.BUSY_120 else None)
    for words in (str(error), caplog.text):
        assert not any(value in words for value in (*values(*told), "a-token"))

    google.loopback.conduct = Mode.ACCEPT
    for _ in range(2):
        getattr(platform(google), verb)(made, told)
    assert google.held(made) == in_the_end


def test_the_faults_are_all_there():
    assert set(FAULTS) == set(Mode)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (no(429), None),
        (problem(429, "RESOURCE_EXHAUSTED", "", headers={"Retry-After": "7"}, retry_delay="30s"), 7),
        (problem(429, "RESOURCE_EXHAUSTED", "", retry_delay="30s"), 30),
        (problem(429, "RESOURCE_EXHAUSTED", "", retry_delay="1.5s"), 1.5),
        (problem(429, "RESOURCE_EXHAUSTED", "", retry_delay="soon"), None),
        (no(409), None),
    ],
)
def test_who_is_busy_may_say_for_how_long(google, answer, seconds):
    google.loopback.judge = lambda _: answer

    with pytest.raises(Busy) as caught:
        platform(google).add("5001", people(1))

    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [("IngestionMutateRequestsPerMinutePerProject", 60), ("IngestionMutateRequestsPerDayPerProject", 3600)],
)
def test_a_quota_that_is_used_up_says_when_it_is_counted_anew(google, limit, seconds):
    made = google.new_list()
    google.quota, google.quota_limit = 1, limit
    platform(google).add(made, people(1))

    with pytest.raises(Busy) as caught:
        platform(google).add(made, people(2))

    assert caught.value.retry_after == seconds
    assert google.held(made) == values(person(0))


ACCOUNTS = sorted(client_module._OF_THE_ACCOUNT)
AUDIENCES = sorted(client_module._OF_THE_AUDIENCE.items())


def test_every_reason_we_know_is_googles():
    known = client_module._OF_A_PERSON | client_module._OF_A_FIELD | client_module._OF_THE_ACCOUNT
    known |= set(client_module._OF_THE_AUDIENCE) | client_module._NAME_TAKEN | client_module._FORGOTTEN

    assert known <= set(types.ErrorReason.__members__)


@pytest.mark.parametrize("reason", ACCOUNTS)
def test_what_is_wrong_with_the_account_halts_with_googles_words_whomever_it_blames(google, reason):
    client = platform(google)

    for field in ("audience_members[0]", "destinations[0]", ""):
        answer = invalid(violation(field, reason, "Please see the help center."))
        google.loopback.judge = lambda _, answer=answer: answer
        with pytest.raises(Misconfigured, match=f"{reason}: Please see the help center"):
            client.add("5001", people(3))

    assert len(google.requests) == 3


@pytest.mark.parametrize(("reason", "means"), [*AUDIENCES, ("CONVERSION_ACTION_TOO_RECENTLY_CREATED", "rejected")])
def test_what_is_wrong_with_an_audience_is_not_blamed_on_a_person(google, reason, means):
    client = platform(google)

    for field in ("audience_members[0]", ""):
        answer = invalid(violation(field, reason))
        google.loopback.judge = lambda _, answer=answer: answer
        with pytest.raises(Refused, match=reason) as caught:
            client.add("5001", people(3))
        assert caught.value.reason == means

    assert len(google.requests) == 2


@pytest.mark.parametrize("audience", ["424242", "no number"])
def test_an_audience_that_google_does_not_know_is_refused(google, audience):
    for verb in ("add", "remove"):
        with pytest.raises(Refused) as caught:
            getattr(platform(google), verb)(audience, people(1))
        assert caught.value.reason == "unknown_audience"


def test_the_size_of_an_audience_that_google_does_not_know_is_refused(google):
    with pytest.raises(Refused) as caught:
        platform(google).size("424242")

    assert caught.value.reason == "unknown_audience"


def test_a_list_for_another_kind_of_people_is_refused(google):
    assert platform(google).find("phones") == str(OTHER_KIND)

    with pytest.raises(Refused) as caught:
        platform(google).add(str(OTHER_KIND), people(2))

    assert caught.value.reason == "wrong_audience_type"
    assert len(google.requests) == 2


def test_terms_that_nobody_has_accepted_halt(google):
    google.has_accepted_terms = False

    with pytest.raises(Misconfigured, match="TERMS_AND_CONDITIONS_NOT_SIGNED"):
        platform(google).add(google.new_list(), people(1))


def test_a_token_that_has_expired_halts_with_googles_words(google):
    client = platform(google, token="ya29.old")

    for call in (
        lambda: client.find("back"),
        lambda: client.remove("5001", people(1)),
        lambda: client.ask("request-1"),
    ):
        with pytest.raises(Misconfigured, match="invalid authentication credentials") as caught:
            call()
        assert "ya29" not in str(caught.value)


def test_an_address_that_is_not_googles_halts(google):
    client = platform(google)
    client._lists = "/v9/elsewhere"

    with pytest.raises(Misconfigured, match="404"):
        client.find("back")


@pytest.mark.parametrize("status", [302, 408, 504])
def test_a_status_that_leaves_it_open_is_unanswered(google, status):
    google.loopback.judge = lambda _: Answer(status, b"", {"Location": f"{google.url}/elsewhere"})

    with pytest.raises(Unanswered):
        platform(google).add("5001", people(1))

    assert len(google.requests) == 1


def test_nobody_listening_is_unreached():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        options = Google(platform="google", endpoint=url, account=ACCOUNT)
        client = GooglePlatform(http.client(url, timeout=1), options, token=lambda: "a-token")
        with pytest.raises(Unreached):
            client.add("5001", people(1))


@pytest.mark.parametrize("status", [400, 403, 409, 429, 500])
def test_googles_words_come_without_anything_about_a_person_and_are_cut(google, status):
    private = f"Bearer a.token.{'x1_' * 20} {CANARY} {values(person(0)).pop()} {values(person(0)).pop().upper()}"
    words = f"Look here: {private} {'and so on ' * 40}"
    google.loopback.judge = lambda _: problem(status, "ABORTED", words, violation("x", "INTERNAL_ERROR", words))

    with pytest.raises(ProviderError, match="Look here") as caught:
        platform(google).add("5001", people(1))

    assert nothing_private_in(caught.value, person(0))
    assert values(person(0)).pop().upper() not in str(caught.value)
    assert "x1_" not in str(caught.value)
    assert len(str(caught.value)) <= 210


UNREADABLE = (b"", b"[]", b'{"error": 7}', b'{"error": {"details": [7, {"@type": 3}]}}', b"[" * 9999, b"\xff\xfe")


@pytest.mark.parametrize(
    ("status", "means"), [(400, Refused), (401, Misconfigured), (404, Misconfigured), (429, Busy), (500, Unanswered)]
)
def test_a_no_that_cannot_be_read_means_what_its_status_says(google, status, means):
    client = platform(google)

    for body in UNREADABLE:
        google.loopback.judge = lambda _, body=body: Answer(status, body)
        with pytest.raises(means):
            client.add("5001", people(2))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"requestId": 0}', b"\xff\xfe", b"[" * 9999])
def test_a_yes_whose_request_cannot_be_read_is_told_again(google, body):
    google.loopback.judge = lambda _: Answer(200, body)

    with pytest.raises(Unanswered):
        platform(google).add("5001", people(2))


# what became of it


@pytest.mark.parametrize(
    ("status", "state"),
    [("REQUEST_STATUS_UNKNOWN", "waiting"), ("SUCCESS", "done"), ("PROCESSING", "waiting"), ("FAILED", "failed"),
     ("PARTIAL_SUCCESS", "partial")],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["add", "remove"])
def test_google_says_later_what_became_of_a_request(google, verb, status, state):
    client = platform(google)
    request = getattr(client, verb)(google.new_list(), people(3)).request
    assert client.ask(request) == Outcome("waiting", received=3)

    google.process(request, status)

    said = client.ask(request)
    assert (said.state, said.received, said.matched) == (state, 3, None)
    assert ("MATCH_RATE_RANGE_41_TO_50" in said.words) == (verb == "add")


def test_why_some_were_not_taken_is_told_with_counts(google):
    client = platform(google)
    request = client.add(google.new_list(), people(3)).request
    google.process(request, "PARTIAL_SUCCESS", {"PROCESSING_ERROR_REASON_NO_CONSENT": 2})

    assert "PROCESSING_ERROR_REASON_NO_CONSENT (2)" in client.ask(request).words


@pytest.mark.parametrize(
    ("states", "means"),
    [
        (("SUCCESS", "SUCCESS"), "done"),
        (("SUCCESS", "PROCESSING"), "waiting"),
        (("FAILED", "PROCESSING"), "waiting"),
        (("SUCCESS", "FAILED"), "partial"),
        (("FAILED", "FAILED"), "failed"),
    ],
)
def test_several_requests_of_a_page_have_one_outcome(google, states, means):
    made = google.new_list()
    requests = [platform(google).add(made, people(2)).request for _ in states]
    for request, status in zip(requests, states, strict=True):
        google.process(request, status)

    said = platform(google).ask(" ".join(requests))

    assert (said.state, said.received) == (means, 4)


@pytest.mark.parametrize("why", ["REQUEST_TOO_OLD", "INVALID_REQUEST_ID"])
def test_a_request_that_google_no_longer_knows_has_failed(google, why):
    request = platform(google).add(google.new_list(), people(1)).request
    google.forgotten[request] = why

    said = platform(google).ask(request)

    assert said.state == "failed"
    assert why in said.words


@pytest.mark.parametrize("mode", [Mode.BUSY, Mode.ERROR_500, Mode.DROP_AFTER, Mode.BAD_400])
def test_not_being_told_what_became_of_a_request_is_an_error(google, mode):
    request = platform(google).add(google.new_list(), people(1)).request
    google.loopback.conduct = mode

    with pytest.raises(FAULTS[mode]):
        platform(google).ask(request)


# size


def size(google: DataManager, **given: Any) -> Size:
    return platform(google).size(google.new_list(**given))


RATE = {"upload_key_types": ["CONTACT_ID"], "contact_id_info": {"match_rate_percentage": 62}}


def test_a_new_list_has_no_size_yet(google):
    assert size(google) == Size(words="OPEN")


def test_a_list_is_as_large_as_the_network_with_most_of_its_people(google):
    made = google.new_list(
        size_info={"display_network_members_count": 900, "search_network_members_count": 1_200},
        target_network_info={"eligible_for_search": True},
    )
    google.lists[int(made)].ingested_user_list_info = RATE

    assert platform(google).size(made) == Size(1_200, 1_200, match_rate=0.62, is_usable=True, words="OPEN")


@pytest.mark.parametrize(
    ("given", "is_usable"),
    [
        ({"target_network_info": {"eligible_for_display": True}}, None),
        ({"size_info": {"gmail_members_count": 5}}, None),
        ({"size_info": {"gmail_members_count": 5}, "target_network_info": {"eligible_for_display": True}}, True),
        ({"size_info": {"gmail_members_count": 5}, "target_network_info": {"eligible_for_search": False}}, False),
        ({"account_access_status": "DISABLED"}, False),
    ],
)
def test_ads_can_be_shown_to_a_list_that_has_people_in_a_network_it_is_fit_for(google, given, is_usable):
    assert size(google, **given).is_usable is is_usable


def test_ads_cannot_be_shown_to_a_list_that_google_has_closed(google):
    made = google.new_list(size_info={"gmail_members_count": 5}, target_network_info={"eligible_for_search": True})
    google.lists[int(made)].membership_status = "CLOSED"
    google.lists[int(made)].closing_reason = "UNUSED"

    said = platform(google).size(made)

    assert (said.is_usable, said.words) == (False, "CLOSED UNUSED")


# who we are


def token(google: DataManager, path: Path) -> GoogleToken:
    return GoogleToken(http.client(google.url, timeout=5), path, seconds=5)


@pytest.fixture
def key_file(google, tmp_path) -> Path:
    (tmp_path / "keys").mkdir()
    path = tmp_path / "keys" / "google.json"
    path.write_text(google.credentials())
    return path


def test_it_is_opened_with_the_credentials_beside_reengage_yaml_and_asks_for_one_token(google, key_file, tmp_path):
    (tmp_path / "reengage.yaml").write_text(
        json.dumps({"ad_platforms": [{"platform": "google", "endpoint": google.url, "account": ACCOUNT,
                                      "credentials": "keys/google.json"}]})
    )  # fmt: skip
    made = google.new_list()
    client = GooglePlatform.open(Workspace(Settings(config=tmp_path, _env_file=None)), timeout=5)

    client.add(made, people(1))
    client.add(made, people(2))
    client.close()

    assert google.held(made) == values(*people(2))
    assert google.token_requests == 1


def test_it_is_not_opened_when_nobody_asked_for_it(tmp_path):
    with pytest.raises(Misconfigured, match="ad_platforms"):
        GooglePlatform.open(Workspace(Settings(config=tmp_path, _env_file=None)))


REVOKED = Answer(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})


@pytest.mark.parametrize(
    ("answer", "means", "words"),
    [
        (REVOKED, Misconfigured, "invalid_grant: Token has been expired or revoked"),
        (Answer(401, {"error": "invalid_client", "error_description": "The OAuth client was not found."}),
         Misconfigured, "invalid_client"),
        (Answer(403, b"<html>No</html>"), Misconfigured, "No"),
    ],
)  # fmt: skip
def test_no_token_halts_with_googles_words(google, key_file, answer, means, words):
    google.token_answer = answer

    with pytest.raises(means, match=words) as caught:
        token(google, key_file)()

    assert "PRIVATE KEY" not in str(caught.value)


def test_a_key_that_google_does_not_know_halts(google, key_file):
    with DataManager().running() as another:
        key_file.write_text(another.credentials().replace(another.url, google.url))

    with pytest.raises(Misconfigured, match="Invalid JWT Signature"):
        token(google, key_file)()


def test_where_tokens_are_given_may_be_busy_or_gone(google, key_file):
    google.token_answer = Answer(503, {"error": "temporarily_unavailable"})
    with pytest.raises(Busy):
        token(google, key_file)()

    google.loopback.conduct = Mode.DROP_AFTER
    with pytest.raises(Busy):
        token(google, key_file)()


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        "{}",
        '{"type": "service_account", "private_key": "PRIVATE KEY", "client_email": "a@example.com"}',
    ],
)
def test_a_file_that_is_no_key_halts_and_is_not_quoted(google, tmp_path, text):
    path = tmp_path / "google.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(Misconfigured) as caught:
        token(google, path)()

    assert "PRIVATE KEY" not in str(caught.value)
    assert "a@example.com" not in str(caught.value)


DEFAULT = """
import sys
from tasks import http
from tasks.platforms.google_token import GoogleToken
from tasks.rules.errors import ProviderError
try:
    print(GoogleToken(http.client("http://127.0.0.1", timeout=5), None, seconds=5)())
except ProviderError as error:
    print(type(error).__name__, error)
"""


def default_token(home: Path, **more: str) -> str:
    """What a process of its own is given where Google's library looks by itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE_", "CLOUDSDK_"))}
    environment = {**kept, "HOME": str(home), "PYTHONPATH": str(CHECKOUT), "NO_GCE_CHECK": "true", **more}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DEFAULT],
        env=environment, cwd=home, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_without_a_file_googles_library_looks_for_itself(google, key_file, tmp_path):
    assert default_token(tmp_path, GOOGLE_APPLICATION_CREDENTIALS=str(key_file)) == "ya29.1"


def test_without_any_credentials_it_halts_and_says_so(tmp_path):
    assert default_token(tmp_path).startswith(
        "Misconfigured google: no access token: Your default credentials were not"
    )


def test_every_request_carries_the_token_of_its_moment(google):
    made = google.new_list()
    given = iter(["a-token", "another"])
    google.tokens.add("another")
    options = Google(platform="google", endpoint=google.url, account=ACCOUNT)
    client = GooglePlatform(http.client(google.url, timeout=5), options, token=lambda: next(given), seconds=5)

    client.add(made, people(1))
    client.remove(made, people(1))

    def bearer(request: Request) -> str:
        return {name.lower(): value for name, value in request.headers.items()}["authorization"]

    assert [bearer(request) for request in google.requests] == ["Bearer a-token", "Bearer another"]
