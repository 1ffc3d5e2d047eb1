"""TikTok's audiences: what leaves is what TikTok publishes, and whatever is told again ends in the same membership."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import logging
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import business_api_client
import pytest
from business_api_client.tiktok_business.tiktok_code import NumericErrorCodes
from business_api_client.tiktok_business.tiktok_exceptions import TiktokSDKError

from config.platforms import Tiktok as Options
from tasks import http
from tasks.platforms import tiktok
from tasks.platforms.base import Deletes, Outcome, Person, Platform, Size, Taken
from tasks.platforms.identity import Contact, identifiers
from tasks.platforms.tiktok import TiktokPlatform
from tasks.rules.errors import Busy, Misconfigured, ProviderError, Refused, Unanswered, Unreached
from tests.channels.loopback import Answer, Mode, Request
from tests.platforms.tiktok_server import LARGEST_FILE, Audience, Hash, Tiktok, parts

NAME = "back: 2026-03 → Zürich"
EMAIL, PHONE = "jane.doe@example.com", "+4915112345678"
VERBS = ("add", "remove", "replace")


@pytest.fixture
def ads() -> Iterator[Tiktok]:
    with Tiktok().running() as running:
        yield running


@functools.cache
def connection(token: str, seconds: float) -> Any:
    """One for all tests, since a new one reads every certificate there is."""
    return http.client("http://127.0.0.1", timeout=seconds, headers={"Access-Token": token})


def platform(
    ads: Tiktok, *, seconds: float = 5, token: str = Tiktok.token, advertiser: str = Tiktok.advertiser, **changes: Any
) -> TiktokPlatform:
    client = connection(token, seconds)
    client.base_url = ads.url
    options = Options(platform="tiktok", endpoint=ads.url, advertiser=advertiser)
    return TiktokPlatform(client, options, seconds=seconds, **changes)


def person(number: int) -> Person:
    """Every third is known by an email, every third by a phone, the others by both."""
    contact = Contact(
        email=f"person{number}@example.com" if number % 3 != 1 else None,
        phone=f"+49151{number:08d}" if number % 3 != 2 else None,
    )
    return identifiers("tiktok", contact)


def people(*numbers: int) -> list[Person]:
    return [person(number) for number in numbers]


def hashes(*numbers: int) -> set[Hash]:
    return {one for number in numbers for one in person(number).items()}


def outcome(call: Callable[[], Any]) -> Any:
    """What came back, or what was raised."""
    try:
        return call()
    except ProviderError as error:
        return error


def holding(ads: Tiktok, *numbers: int) -> str:
    return ads.put(Audience(NAME, members=hashes(*numbers)))


def about(taken: Taken) -> Taken:
    """The same, of which audience and without the moment."""
    audience, _, moment = str(taken.request).partition(" ")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()) < 60
    return replace(taken, request=audience)


def test_it_does_all_that_a_platform_must_be_able_to_do():
    for name, wanted in vars(Platform).items():
        if not name.startswith("_"):
            assert inspect.signature(getattr(TiktokPlatform, name)) == inspect.signature(wanted), name
    assert TiktokPlatform.page > 0


# finding


def test_there_is_no_audience_of_a_name_that_nobody_made(ads):
    ads.put(Audience("another"))

    assert platform(ads).find(NAME) is None


def test_an_audience_is_found_by_its_exact_name_on_whatever_page_it_stands(ads):
    for number in range(43):
        ads.put(Audience(f"{NAME} {number}"))
    wanted = ads.put(Audience(NAME))
    ads.put(Audience(NAME.upper()))

    assert platform(ads).find(NAME) == wanted
    assert len(ads.requests) == 3
    assert max(len(one.path) for one in ads.requests) < 200


def test_an_answer_about_as_many_audiences_as_are_asked_for_is_read_to_its_end(ads):
    for number in range(100):
        ads.put(Audience(f"{'ö' * 120}{number:03d}"))

    assert platform(ads).find(f"{'ö' * 120}099") is not None


def test_what_others_share_with_the_advertiser_is_not_ours(ads):
    ads.put(Audience(NAME, is_creator=False))

    assert platform(ads).find(NAME) is None


def test_of_several_with_one_name_a_usable_one_is_found_and_then_the_newest(ads):
    first, second, third = (ads.put(Audience(NAME)) for _ in range(3))
    assert platform(ads).find(NAME) == third

    ads.audiences[second].is_valid = True
    assert platform(ads).find(NAME) == second
    assert first != second


# making, adding, removing, replacing


def test_an_audience_is_made_of_its_first_people_and_is_found_then(ads):
    client = platform(ads)

    made = client.create(NAME, people(0, 1, 2))

    assert client.find(NAME) == made
    assert ads.audiences[made].members == hashes(0, 1, 2)
    assert ads.audiences[made].name == NAME
    assert ads.told == ["file/upload", "create", "list"]


def test_an_audience_of_nobody_is_not_made(ads):
    for first in ([], [{}], [{"email": EMAIL}]):
        said = outcome(lambda first=first: platform(ads).create(NAME, first))
        assert isinstance(said, Refused)
        assert said.reason == "nobody"

    assert not ads.requests


def test_a_name_longer_than_tiktok_takes_is_refused_in_its_own_words(ads):
    said = outcome(lambda: platform(ads).create("n" * 129, people(1)))

    assert isinstance(said, Refused)
    assert not ads.audiences


def test_people_come_in_and_go_out_and_others_stay(ads):
    audience, client = holding(ads, 0, 1, 2), platform(ads)

    assert about(client.add(audience, people(2, 3, 4))) == Taken(request=audience)
    assert ads.audiences[audience].members == hashes(0, 1, 2, 3, 4)
    assert about(client.remove(audience, people(0, 3, 9))) == Taken(request=audience)

    assert ads.audiences[audience].members == hashes(1, 2, 4)
    assert ads.told == ["file/upload", "update"] * 2
    assert not ads.refusals


def test_an_audience_becomes_exactly_who_it_is_told(ads):
    audience = holding(ads, 0, 1, 2)

    taken = platform(ads).replace(audience, iter(people(2, 3)))

    assert about(taken) == Taken(request=audience)
    assert ads.audiences[audience].members == hashes(2, 3)
    assert ads.told == ["file/upload", "update"]


def test_a_file_names_its_columns_and_leaves_empty_what_is_not_known(ads):
    platform(ads).add(holding(ads), people(0, 1, 2))

    form = parts(ads.requests[0].headers["Content-Type"], ads.requests[0].body)
    name, content = form["file"]
    both, phone, email = people(0, 1, 2)
    assert name.endswith(".csv")
    assert content.decode() == (
        "Email_SHA256,Phone_SHA256\n"
        f"{both['email']},{both['phone']}\n,{phone['phone']}\n{email['email']},\n"
    )  # fmt: skip
    assert form["calculate_type"] == ("", b"MULTIPLE_TYPES")
    assert form["file_signature"] == ("", hashlib.md5(content).hexdigest().encode())


def test_a_full_page_is_one_file_within_tiktoks_limit(ads):
    audience = holding(ads)
    page = [{"email": f"{number:064x}", "phone": f"{number:064x}"} for number in range(TiktokPlatform.page)]

    platform(ads).add(audience, page)

    assert ads.told == ["file/upload", "update"]
    assert len(ads.requests[0].body) < LARGEST_FILE
    assert len(ads.audiences[audience].members) == 2 * TiktokPlatform.page


def test_a_whole_audience_is_told_in_files_that_are_sent_as_they_fill_and_changed_at_once(ads):
    audience, uploaded, waiting = holding(ads, 900), [], [0]
    largest, everybody = 10_000, range(500)

    def at_each_upload() -> None:
        uploaded.append(frozenset(ads.audiences[audience].members))
        waiting.append(0)

    def drawn() -> Iterator[Person]:
        for number in everybody:
            waiting[-1] += 1
            yield person(number)

    ads.on_upload = at_each_upload
    taken = platform(ads, largest_file=largest).replace(audience, drawn())

    assert about(taken) == Taken(request=audience)
    assert ads.audiences[audience].members == hashes(*everybody)
    assert ads.told == ["file/upload"] * len(uploaded) + ["update"]
    assert len(uploaded) > 4
    assert set(uploaded) == {frozenset(hashes(900))}, "nothing changes before the last file is there"
    assert max(waiting) < 150, "people are read as files leave, not before"
    files = [parts(one.headers["Content-Type"], one.body)["file"][1] for one in ads.requests[:-1]]
    assert max(map(len, files)) <= largest


def test_a_file_too_large_for_memory_goes_by_way_of_the_disk(ads):
    audience = holding(ads)
    everybody = [{"email": f"{number:064x}", "phone": f"{number:064x}"} for number in range(70_000)]

    platform(ads).replace(audience, everybody)

    assert len(ads.requests[0].body) > tiktok._IN_MEMORY
    assert len(ads.audiences[audience].members) == 140_000


def test_more_files_than_tiktok_takes_are_not_all_sent(ads):
    audience = holding(ads, 1)

    said = outcome(lambda: platform(ads, largest_file=200).replace(audience, (person(n) for n in range(600))))

    assert isinstance(said, Refused)
    assert said.reason == "too_many"
    assert ads.told == ["file/upload"] * 500
    assert ads.audiences[audience].members == hashes(1)


def test_an_audience_cannot_be_made_empty(ads):
    audience = holding(ads, 1)

    said = outcome(lambda: platform(ads).replace(audience, []))

    assert isinstance(said, Refused)
    assert said.reason == "nobody"
    assert not ads.requests


@pytest.mark.parametrize("verb", VERBS)
def test_a_change_that_would_leave_too_few_is_refused_in_tiktoks_own_words(ads, verb):
    ads.keeps_minimum = True
    audience = holding(ads, *range(50))

    said = outcome(lambda: getattr(platform(ads), verb)(audience, people(1)))

    assert isinstance(said, Refused)
    assert said.reason == "audience_too_small"
    assert "less than 1,000" in str(said)


@pytest.mark.parametrize(
    ("where", "words"),
    [("file/upload", "The audience file is too small"), ("update", "The file has less than 1,000 rows")],
)
def test_words_about_a_small_file_are_not_about_the_audience(ads, where, words):
    audience = holding(ads, 1, 2)
    ads.messages[40002], ads.codes[where] = words, [40002]

    assert outcome(lambda: platform(ads).remove(audience, people(1))).reason == "refused"


def test_an_audience_is_deleted_with_everybody_in_it_and_one_that_is_gone_is_said_to_be_unknown(ads):
    ads.keeps_minimum = True
    audience, other = holding(ads, 1, 2), holding(ads, 3)

    platform(ads).delete(audience)

    assert set(ads.audiences) == {other}
    assert ads.told == ["delete"]
    assert outcome(lambda: platform(ads).delete(audience)).reason == "unknown_audience"
    assert isinstance(platform(ads), Deletes)


def test_an_audience_that_ad_groups_use_is_not_deleted_and_tiktok_says_why(ads):
    audience = holding(ads, 1)
    ads.in_use = {audience}

    said = outcome(lambda: platform(ads).delete(audience))

    assert isinstance(said, Refused)
    assert "used by ad groups" in str(said)
    ads.codes["delete"] = [20001]
    ads.in_use = set()
    assert isinstance(outcome(lambda: platform(ads).delete(audience)), Unanswered)


# who is not told


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "no_identifier"),
        ({"email": EMAIL}, "invalid_identifier"),
        ({"phone": PHONE}, "invalid_identifier"),
        ({"email": "A" * 64}, "invalid_identifier"),
        ({"email": "a" * 63}, "invalid_identifier"),
        ({"email": "a" * 65}, "invalid_identifier"),
        ({"email": "a" * 64 + "\n"}, "invalid_identifier"),
        ({"email": "g" * 64}, "invalid_identifier"),
        ({"email": ""}, "invalid_identifier"),
        ({"email": "a" * 64, "phone": PHONE}, "invalid_identifier"),
        ({"email": "a" * 64, "first_name": "b" * 64}, "invalid_identifier"),
    ],
)
@pytest.mark.parametrize("verb", VERBS)
def test_who_has_no_identifier_of_tiktoks_own_form_is_refused_by_place_and_the_others_are_told(ads, verb, wrong, why):
    audience = holding(ads, 1, 2, 3)

    taken = getattr(platform(ads), verb)(audience, [person(1), wrong, person(5), wrong])

    assert taken.refused == {1: why, 3: why}
    members = {"add": hashes(1, 2, 3, 5), "remove": hashes(2, 3), "replace": hashes(1, 5)}
    assert ads.audiences[audience].members == members[verb]
    assert not ads.refusals


@pytest.mark.parametrize("verb", ["add", "remove"])
@pytest.mark.parametrize("page", [[], [{"email": EMAIL}]])
def test_a_page_of_nobody_is_not_sent(ads, verb, page):
    taken = getattr(platform(ads), verb)(holding(ads, 1), page)

    assert taken == Taken(refused=dict.fromkeys(range(len(page)), "invalid_identifier"))
    assert not ads.requests


def test_the_places_of_refused_people_count_over_all_files(ads):
    everybody = [person(number) if number % 50 else {"email": EMAIL} for number in range(200)]

    taken = platform(ads, largest_file=2_000).replace(holding(ads), everybody)

    assert set(taken.refused) == {0, 50, 100, 150}


# what may go wrong

MEANS: dict[Mode, type[ProviderError] | None] = {
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


def do(ads: Tiktok, audience: str, endpoint: str, seconds: float) -> Any:
    client = platform(ads, seconds=seconds)
    calls: dict[str, Callable[[], Any]] = {
        "file/upload": lambda: client.add(audience, people(2)),
        "update": lambda: client.add(audience, people(2)),
        "create": lambda: client.create(NAME, people(2)),
        "list": lambda: client.find(NAME),
        "get": lambda: client.size(audience),
    }
    return outcome(calls[endpoint])


@pytest.mark.parametrize("endpoint", ["file/upload", "create", "update", "list", "get"])
@pytest.mark.parametrize("mode", Mode)
def test_every_fault_has_one_meaning_and_no_request_is_repeated(ads, mode, endpoint):
    audience = holding(ads, 1)
    ads.conducts[endpoint] = mode

    said = do(ads, audience, endpoint, 30 if mode is Mode.SLOW else 0.7)

    means = MEANS[mode]
    if means is None:
        assert not isinstance(said, ProviderError), said
    else:
        assert type(said) is means
        assert "no" in str(said) or "status" in str(said)
    if means is Busy:
        assert said.retry_after == (120 if mode is Mode.BUSY_120 else None)
    asked = [urlsplit(one.path).path for one in ads.requests]
    assert len(asked) == len(set(asked))


def test_the_faults_are_all_there():
    assert set(MEANS) == set(Mode)


@pytest.mark.parametrize("endpoint", ["file/upload", "update"])
@pytest.mark.parametrize("mode", [mode for mode, means in MEANS.items() if means in (Unanswered, Busy)])
@pytest.mark.parametrize("verb", VERBS)
def test_a_lost_answer_told_again_ends_in_the_same_membership(ads, verb, mode, endpoint):
    audience = holding(ads, 0, 1, 2)
    ads.conducts[endpoint] = mode
    assert isinstance(outcome(lambda: getattr(platform(ads, seconds=0.7), verb)(audience, people(2, 3))), MEANS[mode])
    ads.conducts.clear()

    assert about(getattr(platform(ads), verb)(audience, people(2, 3))) == Taken(request=audience)

    members = {"add": hashes(0, 1, 2, 3), "remove": hashes(0, 1), "replace": hashes(2, 3)}
    assert ads.audiences[audience].members == members[verb]


def test_whatever_was_in_doubt_a_replacement_settles(ads):
    audience, client = holding(ads, 0, 1, 2, 3), platform(ads)
    for endpoint, verb, page in [("update", "remove", (0, 1)), ("file/upload", "add", (7,)), ("update", "add", (8, 9))]:
        ads.conducts = {endpoint: Mode.DROP_AFTER}
        assert isinstance(
            outcome(lambda verb=verb, page=page: getattr(client, verb)(audience, people(*page))), Unanswered
        )
    ads.conducts.clear()

    client.replace(audience, people(2, 3, 7))

    assert ads.audiences[audience].members == hashes(2, 3, 7)


def test_an_audience_whose_making_was_lost_is_found_by_its_name(ads):
    ads.conducts["create"] = Mode.DROP_AFTER
    assert isinstance(outcome(lambda: platform(ads).create(NAME, people(1))), Unanswered)

    assert [platform(ads).find(NAME)] == list(ads.audiences)


def test_files_that_tiktok_forgot_are_uploaded_again_by_the_next_telling(ads):
    audience, ads.forgets_files = holding(ads, 1), True
    said = outcome(lambda: platform(ads).add(audience, people(2)))
    assert isinstance(said, Busy)
    assert said.retry_after is None
    ads.forgets_files = False

    platform(ads).add(audience, people(2))

    assert ads.told == ["file/upload", "file/upload", "update"]
    assert ads.audiences[audience].members == hashes(1, 2)


@pytest.mark.parametrize("verb", VERBS)
def test_a_change_that_tiktok_did_in_part_is_said_to_be_partial(ads, verb):
    audience = holding(ads, 0, 1, 2)
    ads.codes["update"] = [20001]

    taken = getattr(platform(ads), verb)(audience, people(2, 3))

    assert about(taken) == Taken(request=audience, is_partial=True, words="Part of the data was not processed")
    assert about(getattr(platform(ads), verb)(audience, people(2, 3))) == Taken(request=audience)


@pytest.mark.parametrize("verb", VERBS)
def test_a_file_that_tiktok_took_in_part_changes_nothing(ads, verb):
    audience = holding(ads, 0, 1, 2)
    ads.codes["file/upload"] = [20001]

    taken = getattr(platform(ads), verb)(audience, [*people(2, 3), {}])

    assert taken == Taken(refused={2: "no_identifier"}, is_partial=True, words="Part of the data was not processed")
    assert ads.audiences[audience].members == hashes(0, 1, 2)
    assert ads.told == ["file/upload"]


def test_an_audience_is_not_made_of_a_part_of_a_file_and_is_made_when_its_answer_says_in_part(ads):
    ads.codes["file/upload"] = [20001]
    assert isinstance(outcome(lambda: platform(ads).create(NAME, people(1))), Unanswered)
    assert not ads.audiences

    ads.codes["create"] = [20001]
    assert platform(ads).create(NAME, people(1)) in ads.audiences


@pytest.mark.parametrize("endpoint", ["list", "get"])
def test_an_answer_in_part_to_a_question_is_no_answer(ads, endpoint):
    ads.codes[endpoint] = [20001]

    assert isinstance(do(ads, holding(ads, 1), endpoint, 5), Unanswered)


CODES: dict[int, tuple[type[ProviderError], str | None]] = {
    **dict.fromkeys(tiktok.BUSY, (Busy, None)),
    **dict.fromkeys(tiktok.MISCONFIGURED, (Misconfigured, None)),
    **dict.fromkeys(tiktok.UNANSWERED, (Unanswered, None)),
    **{code: (Refused, reason) for code, reason in tiktok.REFUSED.items()},
    **dict.fromkeys([40000, 40002, 40012, 40700], (Refused, "refused")),
    **dict.fromkeys([50000, 50002, 51003, 51010, 52001, 53102, 70001], (Unanswered, None)),
}


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_tiktok_says_what_happens_next(ads, code):
    audience = holding(ads, 1)
    ads.codes["update"] = [code]
    means, reason = CODES[code]

    said = outcome(lambda: platform(ads).add(audience, people(2)))

    assert type(said) is means
    assert getattr(said, "reason", None) == reason
    assert f"code {code}" in str(said)
    assert f"told to say {code}" in str(said)
    assert "2026031012000001" in str(said)
    assert ads.audiences[audience].members == hashes(1)


def test_no_code_means_two_things_and_success_is_none_of_them():
    tables = [tiktok.BUSY, tiktok.MISCONFIGURED, tiktok.UNANSWERED, set(tiktok.REFUSED), {tiktok.OK, tiktok.PARTIAL}]

    assert sum(map(len, tables)) == len(set().union(*tables))


def test_a_wait_is_taken_from_the_header_of_a_no_at_status_200(ads):
    body = {"code": 40100, "message": "Too many requests"}
    ads.loopback.judge = lambda _: Answer(200, body, {"Retry-After": "60"})

    said = outcome(lambda: platform(ads).find(NAME))

    assert isinstance(said, Busy)
    assert said.retry_after == 60


def test_a_wrong_token_and_a_wrong_advertiser_halt(ads):
    for wrong in ({"token": "fedcba9876543210fedcba9876543210fedcba98"}, {"advertiser": "1"}):
        said = outcome(lambda wrong=wrong: platform(ads, **wrong).find(NAME))
        assert isinstance(said, Misconfigured)


def test_an_address_that_is_not_tiktoks_halts(ads):
    ads.loopback.judge = lambda _: Answer(404, b"<html>not here</html>", {"Content-Type": "text/html"})

    assert isinstance(outcome(lambda: platform(ads).find(NAME)), Misconfigured)


def test_an_audience_that_is_not_there_is_refused(ads):
    for call in ("add", "remove", "replace"):
        said = outcome(lambda call=call: getattr(platform(ads), call)("42", people(1)))
        assert isinstance(said, Refused)
        assert said.reason == "unknown_audience"
    for call in ("ask", "size"):
        said = outcome(lambda call=call: getattr(platform(ads), call)("42"))
        assert isinstance(said, Refused)
        assert said.reason == "unknown_audience"


def test_an_audience_made_of_another_type_of_identifier_is_refused(ads):
    said = outcome(lambda: platform(ads).add(ads.put(Audience(NAME, "EMAIL_SHA256")), people(1)))

    assert isinstance(said, Refused)
    assert said.reason == "other_identifiers"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b"null", b"\xff", b"[" * 9999, b'{"code": "0"}', b'{"code": true}', b'{"code": null}',
        b'{"code": 0}', b'{"code": 0, "data": []}', b'{"code": 0, "data": {}}',
        b'{"code": 0, "data": {"file_path": "", "custom_audience_id": "", "list": 1, "page_info": 2}}',
        b'{"code": 0, "data": {"file_path": 7, "custom_audience_id": true, "list": [7], "page_info": {}}}',
        b'{"code": 0, "data": {"list": [{"name": 1}], "page_info": {"total_page": "x"}}}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("endpoint", ["file/upload", "create", "list", "get"])
def test_a_yes_that_cannot_be_read_is_no_answer(ads, endpoint, body):
    audience, told = holding(ads, 1), ads.loopback.yes

    def yes(request: Request) -> Answer:
        answer = told(request)
        return Answer(200, body) if urlsplit(request.path).path.endswith(f"/{endpoint}/") else answer

    ads.loopback.yes = yes

    assert isinstance(do(ads, audience, endpoint, 5), Unanswered)


def test_a_number_is_an_id_too(ads):
    told = ads.loopback.yes

    def yes(request: Request) -> Answer:
        said = json.loads(told(request).raw)
        if "custom_audience_id" in said["data"]:
            said["data"]["custom_audience_id"] = int(said["data"]["custom_audience_id"])
        return Answer(200, said)

    ads.loopback.yes = yes

    assert platform(ads).create(NAME, people(1)) in ads.audiences


def test_a_redirect_is_not_followed(ads):
    ads.loopback.judge = lambda _: Answer(307, b"", {"Location": f"{ads.url}/elsewhere"})

    assert isinstance(outcome(lambda: platform(ads).find(NAME)), Unanswered)
    assert len(ads.requests) == 1


def test_nobody_listening_is_unreached_since_no_byte_has_left(ads):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        client = http.client(url, timeout=1)
        options = Options(platform="tiktok", endpoint=url, advertiser="1")

        with pytest.raises(Unreached):
            TiktokPlatform(client, options).find(NAME)


def test_nothing_personal_and_no_secret_is_in_errors_words_or_logs(ads, caplog):
    caplog.set_level(logging.DEBUG)
    audience = holding(ads, 1)
    digest = person(0)["email"]
    canaries = [ads.token, EMAIL, "4915112345678", "+49 (151) 123-456-78", digest, "Zwetschgenkuchen" * 3]
    ads.messages = dict.fromkeys(CODES, f"Invalid {' and '.join(canaries)}, {'x ' * 200}")
    said: list[Any] = []
    for code in (40105, 40002, 50000, 40100, 20001):
        ads.codes["update"] = [code]
        ads.messages[20001] = ads.messages[50000]
        said.append(outcome(lambda: platform(ads).add(audience, people(0))))
    del ads.messages[40105]  # which repeats the token as it came
    said.append(outcome(lambda: platform(ads, token="b-token-b").find(NAME)))
    ads.audiences[audience].error_msg = ads.messages[50000]
    said += [platform(ads).ask(audience), platform(ads).size(audience)]

    for one in said:
        words = one.words if isinstance(one, Taken | Outcome | Size) else str(one)
        assert "Invalid" in words or "Access token …" in words
        assert len(words) < 320
        for canary in [*canaries, "b-token-b"]:
            assert canary not in words
            assert canary not in caplog.text


# how large, and what became of it


def test_a_size_is_what_tiktok_found_and_usable_from_a_thousand_on(ads):
    audience, client = holding(ads, *range(1000)), platform(ads)
    before = client.size(audience)
    assert (before.least, before.is_usable) == (0, False)
    assert before.words

    ads.count()
    found = len(hashes(*range(1000)))
    assert client.size(audience) == Size(least=found, most=found, is_usable=True)

    ads.audiences[audience].counted = 1000
    assert client.size(audience) == Size(least=1000, most=1000, is_usable=True)

    ads.audiences[audience].counted = 999
    small = client.size(audience)
    assert (small.least, small.most, small.is_usable) == (999, 999, False)
    assert "1,000" in small.words


def test_an_expired_audience_is_not_usable_and_says_tiktoks_own_words(ads):
    audience = holding(ads, *range(1000))
    ads.count()
    ads.audiences[audience].is_valid = False
    assert platform(ads).size(audience).is_usable is False
    ads.audiences[audience].error_msg = "Audience expired"

    assert platform(ads).size(audience).words == "Audience expired"


@pytest.mark.parametrize("shown", [{}, {"cover_num": None, "is_valid": None}, {"cover_num": "7", "is_valid": "yes"}])
def test_a_size_that_tiktok_does_not_say_is_not_made_up(ads, shown):
    audience = holding(ads, 1)
    details = {"audience_details": {"audience_id": audience, **shown}}
    ads.loopback.yes = lambda _: Answer(200, {"code": 0, "data": {"list": [details]}})

    assert platform(ads).size(audience) == Size()
    assert platform(ads).ask(audience) == Outcome("waiting")


def test_what_became_of_a_change_is_asked_of_its_audience(ads):
    client = platform(ads)
    audience = client.create(NAME, people(*range(900)))
    request = client.add(audience, people(*range(900, 1000))).request
    assert client.ask(request) == Outcome("waiting")
    assert client.ask(audience) == Outcome("waiting"), "as requests were named before"

    ads.count()
    assert client.ask(request) == Outcome("done", matched=len(hashes(*range(1000))))

    ads.audiences[audience].is_valid, ads.audiences[audience].counted = False, 30
    assert client.ask(request) == Outcome("done", matched=30)

    ads.audiences[audience].error_msg = "The audience size is less than 1,000 after the operation"
    assert client.ask(request) == Outcome(
        "failed", matched=30, words="The audience size is less than 1,000 after the operation", is_too_small=True
    )


@pytest.mark.parametrize("held", [900, 1200])
@pytest.mark.parametrize("words", ["", "3 rows could not be read"])
def test_what_tiktok_tells_of_the_change_before_is_no_answer(ads, held, words):
    client, audience = platform(ads), holding(ads, *range(held))
    client.add(audience, people(1))
    ads.count()
    before = ads.audiences[audience].history[0]
    before |= {"opt_time": "2026-03-10 12:00:00", "msg": words}

    request = client.remove(audience, people(2)).request

    assert client.ask(request) == Outcome("waiting")
    before["opt_time"] = "some day"
    assert client.ask(request) == Outcome("waiting")
    ads.count()
    assert client.ask(request) == Outcome("done", matched=len(ads.audiences[audience].members))


def test_a_change_that_tiktok_never_tells_of_was_worked_through_after_two_days(ads):
    client, audience = platform(ads), holding(ads, *range(1200))
    request = client.remove(audience, people(2)).request
    ads.audiences[audience].is_valid = True
    _, told = request.split()

    def asked(hours: float) -> str:
        at = datetime.fromisoformat(told) - timedelta(hours=hours)
        return client.ask(f"{audience} {at.isoformat()}").state

    assert asked(47.9) == "waiting"
    assert asked(48) == "done"


@pytest.mark.parametrize("is_newest_first", [True, False])
def test_the_latest_change_says_whether_it_was_partial(ads, is_newest_first):
    client, audience = platform(ads), holding(ads, 1)
    for _ in range(2):
        client.add(audience, people(2))
    ads.count()
    older, newer = ads.audiences[audience].history
    if is_newest_first:
        ads.audiences[audience].history.reverse()
    older |= {"msg": "an older one", "opt_time": "2026-03-10 12:00:00"}
    assert client.ask(audience).state == "done"

    newer["msg"] = "3 rows could not be read"
    assert client.ask(audience) == Outcome("partial", matched=len(hashes(1, 2)), words="3 rows could not be read")


# opened from the settings


def test_it_is_opened_with_the_settings_token_and_says_what_is_missing(tmp_path, make_workspace, ads):
    config = tmp_path / "config"
    config.mkdir()
    (config / "reengage.yaml").write_text(
        f"ad_platforms:\n  - platform: tiktok\n    endpoint: {ads.url}\n    advertiser: '{ads.advertiser}'\n"
    )

    opened = TiktokPlatform.open(make_workspace(config=config, tiktok_ads_token=ads.token), 5)
    audience = opened.create(NAME, people(1))
    opened.close()

    assert ads.audiences[audience].members == hashes(1)
    with pytest.raises(Misconfigured, match="REENGAGE_TIKTOK_ADS_TOKEN"):
        TiktokPlatform.open(make_workspace(config=config))
    with pytest.raises(Misconfigured, match=re.escape("reengage.yaml")):
        TiktokPlatform.open(make_workspace(tiktok_ads_token=ads.token))


# a second opinion: TikTok's own client


@pytest.fixture
def own(ads: Tiktok) -> Iterator[business_api_client.AudienceApi]:
    configuration = business_api_client.Configuration()
    configuration.host = ads.url
    client = business_api_client.ApiClient(configuration)
    yield business_api_client.AudienceApi(client)
    client.pool.close()
    client.rest_client.pool_manager.clear()


def told(requests: Sequence[Request]) -> list[tuple[Any, ...]]:
    """What a request says, whoever wrote it down."""
    said = []
    for one in requests:
        headers = {name.lower(): value for name, value in one.headers.items()}
        kind, _, _ = headers.get("content-type", "").partition(";")
        body = parts(headers["content-type"], one.body) if "multipart" in kind else json.loads(one.body or b"null")
        where = urlsplit(one.path)
        said.append((one.method, where.path, parse_qs(where.query), headers["access-token"], body))
    return said


def test_tiktoks_own_client_asks_the_same_and_reads_the_same_answers(ads, own, tmp_path):
    audience, client = holding(ads, 0, 1, 2), platform(ads)
    client.add(audience, people(2, 3))
    made = client.create(NAME, people(2, 3))
    client.find("nobody's")
    client.size(made)
    client.delete(made)
    ours = told(ads.requests)
    ads.loopback.requests.clear()

    (tmp_path / "audience.csv").write_bytes(ours[0][4]["file"][1])
    who: dict[str, Any] = {"access_token": ads.token, "_request_timeout": 5}

    def upload() -> str:
        return own.dmp_custom_audience_file_upload(
            advertiser_id=ads.advertiser, calculate_type="MULTIPLE_TYPES", file=str(tmp_path / "audience.csv"),
            file_signature=ours[0][4]["file_signature"][1].decode(), **who,
        )["data"]["file_path"]  # fmt: skip

    update = business_api_client.CustomAudienceUpdateBody(
        advertiser_id=ads.advertiser, custom_audience_id=audience, action="APPEND", file_paths=[upload()]
    )
    own.dmp_custom_audience_update(body=update, **who)
    create = business_api_client.CustomAudienceCreateBody(
        advertiser_id=ads.advertiser, custom_audience_name=NAME, calculate_type="MULTIPLE_TYPES",
        file_paths=[upload()],
    )  # fmt: skip
    again = own.dmp_custom_audience_create(body=create, **who)["data"]["custom_audience_id"]
    listed = own.dmp_custom_audience_list(ads.advertiser, page=1, page_size=20, **who)["data"]
    own.dmp_custom_audience_get(ads.advertiser, [made], history_size=10, **who)
    ads.audiences[made] = Audience(NAME)
    delete = business_api_client.CustomAudienceDeleteBody(advertiser_id=ads.advertiser, custom_audience_ids=[made])
    own.dmp_custom_audience_delete(body=delete, **who)

    assert {one["audience_id"] for one in listed["list"]} == {audience, again}
    theirs = told(ads.requests)
    assert [_without_files(one) for one in ours] == [_without_files(one) for one in theirs]
    assert not ads.refusals


def _without_files(said: tuple[Any, ...]) -> tuple[Any, ...]:
    """Paths differ from upload to upload, and what is left to its default is left out or sent as such."""
    *rest, body = said
    if isinstance(body, dict) and "file_paths" in body:
        defaults = {"audience_sub_type": "NORMAL", "audience_enhancement": False}
        body = {**defaults, **body, "file_paths": len(body["file_paths"])}
        body = {name: value for name, value in body.items() if value is not None}
    return (*rest, body)


def test_tiktoks_own_client_takes_our_bodies_for_its_own_models(ads, own):
    audience, client = holding(ads, 0), platform(ads)
    client.create(NAME, people(1))
    client.replace(audience, people(1))
    client.delete(audience)
    models = {
        "create": business_api_client.CustomAudienceCreateBody, "update": business_api_client.CustomAudienceUpdateBody,
        "delete": business_api_client.CustomAudienceDeleteBody,
    }  # fmt: skip

    for _, path, _, _, body in [one for one in told(ads.requests) if "upload" not in one[1]]:
        read = models[path.rstrip("/").rpartition("/")[2]](**body)
        written = own.api_client.sanitize_for_serialization(read)
        assert {name: written[name] for name in body} == body


@pytest.mark.parametrize("code", [20001, 40100, 40105, 40910, 51010])
def test_what_is_a_no_to_tiktoks_own_client_is_no_plain_yes_to_ours(ads, own, code):
    audience = holding(ads, 1)
    ads.codes["update"] = [code, code]
    body = business_api_client.CustomAudienceUpdateBody(
        advertiser_id=ads.advertiser, custom_audience_id=audience, action="APPEND", file_paths=["0" * 16]
    )
    with pytest.raises(TiktokSDKError):
        own.dmp_custom_audience_update(access_token=ads.token, body=body, _request_timeout=5)

    said = outcome(lambda: platform(ads).add(audience, people(2)))

    assert isinstance(said, ProviderError) or said == replace(said, is_partial=True)


def test_every_code_is_one_that_tiktoks_own_client_knows():
    known = {value for name, value in vars(NumericErrorCodes).items() if name.startswith("ERROR_CODE_")}

    assert {
        tiktok.OK,
        tiktok.PARTIAL,
        *tiktok.BUSY,
        *tiktok.MISCONFIGURED,
        *tiktok.UNANSWERED,
        *tiktok.REFUSED,
    } <= known
