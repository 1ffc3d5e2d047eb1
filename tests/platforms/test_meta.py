"""Meta's audiences: calls are as published and as its own library makes them, and every answer means one thing."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from config.platforms import Meta
from config.settings import Settings
from tasks import http
from tasks.platforms.base import Deletes, Outcome, Person, Size, Taken
from tasks.platforms.identity import Contact, identifiers
from tasks.platforms.meta import MetaPlatform
from tasks.rules.errors import Busy, Misconfigured, ProviderError, Refused, Unanswered, Unreached
from tasks.store.workspace import Workspace
from tests.channels.loopback import Answer, Mode, Request
from tests.platforms.meta_server import ACCOUNT, LONGEST_URL, MOST_ROWS, TOKEN, VERSION, MetaServer, error

NAME = "reengage lapsing_customers"
SCHEMA = ["EMAIL", "PHONE", "FN", "LN", "COUNTRY"]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def person(name: str, **more: str) -> Person:
    return identifiers("meta", Contact(email=f"{name}@example.com", **more))


ANN = person("ann", phone="+4915112345678", first_name="Ann", last_name="Zander", country="DE")
BOB, CAT = person("bob"), person("cat", country="AT")
PEOPLE = [ANN, BOB, CAT]


@pytest.fixture(scope="module")
def loopback() -> Iterator[MetaServer]:
    with MetaServer().running() as running:
        yield running


@pytest.fixture
def meta(loopback) -> MetaServer:
    loopback.forget()
    return loopback


connection = functools.cache(http.client)  # making one reads all certificates


def client(url: str, *, seconds: float = 1.5, **options: Any) -> MetaPlatform:
    given = Meta(platform="meta", endpoint=url, **{"ad_account": ACCOUNT, "api_version": VERSION, **options})
    made = connection(url, timeout=seconds)
    made.headers["Authorization"] = f"Bearer {TOKEN}"
    return MetaPlatform(made, given, seconds=seconds)


def row(who: Person) -> dict[str, str]:
    kinds = ("email", "phone", "first_name", "last_name", "country")
    return dict(zip(SCHEMA, (who.get(kind, "") for kind in kinds), strict=True))


def emails(people: list[dict[str, str]]) -> list[str]:
    return sorted(one["EMAIL"] for one in people)


def query(request: Request) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(request.path).query, keep_blank_values=True))


def raised(act: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        act()
    return caught.value


# finding and making


def test_an_audience_is_found_by_its_name_on_whatever_page_it_stands(meta):
    wanted = meta.has(NAME)
    for n in range(120):
        meta.has(f"another {n}")

    assert client(meta.url).find(NAME) == wanted.id

    assert [query(request).get("after") for request in meta.requests] == [None, "50", "100"]
    assert all(query(request)["fields"] == "id,name" for request in meta.requests)


def test_a_name_that_nobody_has_is_not_found_and_no_other_name_will_do(meta):
    meta.has(NAME.upper())
    meta.has(f"{NAME} 2")

    assert client(meta.url).find(NAME) is None


def test_of_two_audiences_with_one_name_it_is_always_the_same(meta):
    first = meta.has(NAME)
    for n in range(60):
        meta.has(f"another {n}")
    meta.has(NAME)

    assert client(meta.url).find(NAME) == first.id


def test_a_list_whose_cursor_does_not_move_is_not_read_for_ever(meta):
    listed = {"data": [], "paging": {"cursors": {"after": "same"}, "next": "https://graph.facebook.com/"}}
    meta.errors = [Answer(200, listed)] * 9

    assert client(meta.url).find(NAME) is None
    assert len(meta.requests) == 2


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data": {}}', b"x" * 70_000, b'{"data": ['])
def test_a_list_that_cannot_be_read_is_no_empty_list(meta, body):
    meta.errors = [Answer(200, body)]

    assert type(raised(lambda: client(meta.url).find(NAME))) is Unanswered


def test_an_audience_is_made_of_people_the_business_knows_itself(meta):
    made = client(meta.url).create(NAME, PEOPLE)

    assert meta.audiences[made].name == NAME
    assert meta.audiences[made].people == []  # they are told by `add`
    (request,) = meta.requests
    assert request.json == {"name": NAME, "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    assert client(meta.url).find(NAME) == made


@pytest.mark.parametrize("account", [ACCOUNT, ACCOUNT.removeprefix("act_")])
def test_the_account_may_be_written_with_or_without_its_prefix(meta, account):
    made = client(meta.url, ad_account=account).create(NAME, [])

    assert made in meta.audiences


def test_an_audience_whose_making_got_lost_is_found_by_its_name(meta):
    meta.conduct = Mode.DROP_AFTER
    assert type(raised(lambda: client(meta.url).create(NAME, []))) is Unanswered

    meta.conduct = Mode.ACCEPT
    (made,) = meta.audiences
    assert client(meta.url).find(NAME) == made


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": null}', b'{"success": true}'])
def test_a_yes_without_an_id_leaves_open_whether_an_audience_was_made(meta, body):
    meta.errors = [Answer(200, body)]

    assert type(raised(lambda: client(meta.url).create(NAME, []))) is Unanswered


# putting in and taking out


def test_people_are_told_by_every_hash_there_is_and_by_nothing_else(meta):
    audience = meta.has(NAME)

    taken = client(meta.url).add(audience.id, PEOPLE)

    assert audience.people == [row(ANN), row(BOB), row(CAT)]
    assert row(ANN) == {
        "EMAIL": sha("ann@example.com"),
        "PHONE": sha("4915112345678"),
        "FN": sha("ann"),
        "LN": sha("zander"),
        "COUNTRY": sha("de"),
    }
    (request,) = meta.requests
    assert request.json["payload"]["schema"] == SCHEMA
    assert request.json["payload"]["data"][1] == [sha("bob@example.com"), "", "", "", ""]
    session = request.json["session"]
    assert session == {
        "session_id": session["session_id"], "batch_seq": 1, "last_batch_flag": True, "estimated_num_total": 3,
    }  # fmt: skip
    assert taken == Taken(request=f"{audience.id}/{session['session_id']}")


def test_who_is_in_stays_in_and_who_is_out_stays_out(meta):
    audience = meta.has(NAME)
    telling = client(meta.url)

    for _ in range(2):
        telling.add(audience.id, [ANN, BOB])
    assert emails(audience.people) == emails([row(ANN), row(BOB)])

    for _ in range(2):
        telling.remove(audience.id, [ANN, CAT])
    assert audience.people == [row(BOB)]


def test_a_small_audience_lets_nobody_go_but_is_deleted_with_everybody_in_it(meta):
    meta.keeps_minimum = True
    audience = meta.has(NAME, row(ANN), row(BOB))
    telling = client(meta.url)

    said = raised(lambda: telling.remove(audience.id, [ANN]))
    assert (type(said), said.reason) == (Refused, "audience_too_small")
    assert "cannot remove users" in str(said)
    telling.delete(audience.id)

    assert not meta.audiences
    assert isinstance(telling, Deletes)
    assert raised(lambda: telling.delete(audience.id)).reason == "unknown_audience"


@pytest.mark.parametrize("no", ["in use", "no success"])
def test_an_audience_that_meta_does_not_delete_is_there_still_and_it_says_so(meta, no):
    audience = meta.has(NAME)
    if no == "in use":
        meta.in_use = {audience.id}
    else:
        meta.errors = [Answer(200, {"success": False})]

    said = raised(lambda: client(meta.url).delete(audience.id))

    assert type(said) is Refused
    assert ("Active ad sets use" if no == "in use" else "not deleted") in str(said)


@pytest.mark.parametrize("verb", ["add", "remove"])
def test_nothing_about_a_person_and_no_token_stands_in_a_url(meta, verb):
    audience = meta.has(NAME)
    telling = client(meta.url)
    getattr(telling, verb)(audience.id, PEOPLE)
    telling.ask(f"{audience.id}/1")
    telling.size(audience.id)
    telling.find(NAME)

    for request in meta.requests:
        assert TOKEN not in request.path
        assert not any(value in request.path for who in PEOPLE for value in who.values())


@pytest.mark.parametrize("verb", ["add", "remove"])
def test_a_whole_page_goes_in_one_call_and_more_does_not_leave(meta, verb):
    audience = meta.has(NAME)
    telling = client(meta.url, seconds=30)
    page = [person(f"person{n}") for n in range(MOST_ROWS)]
    assert telling.page == MOST_ROWS

    taken = getattr(telling, verb)(audience.id, page)

    assert not taken.refused
    assert len(audience.people) == (MOST_ROWS if verb == "add" else 0)
    (request,) = meta.requests
    assert len(request.body) > LONGEST_URL
    with pytest.raises(ValueError, match="10000 at most"):
        getattr(telling, verb)(audience.id, [*page, ANN])
    assert len(meta.requests) == 1


def test_every_call_is_an_upload_session_of_its_own(meta):
    audience = meta.has(NAME)
    telling = client(meta.url)

    requests = {telling.add(audience.id, [ANN]).request for _ in range(20)}

    assert len(requests) == 20
    assert len(audience.sessions) == 20


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ({"email": "ann@example.com"}, "invalid_identifier"),
        ({"email": sha("a").upper()}, "invalid_identifier"),
        ({"email": sha("a")[:-1]}, "invalid_identifier"),
        ({"email": sha("a") + "\n"}, "invalid_identifier"),
        ({"email": ""}, "invalid_identifier"),
        ({"email": sha("a"), "phone": "+4915112345678"}, "invalid_identifier"),
        ({"email": sha("a"), "country": "de"}, "invalid_identifier"),
        ({"email": sha("a"), "shoe_size": sha("43")}, "invalid_identifier"),
        ({"first_name": sha("ann"), "last_name": sha("zander"), "country": sha("de")}, "no_identifier"),
        ({}, "no_identifier"),
    ],
)
@pytest.mark.parametrize("verb", ["add", "remove"])
def test_who_has_no_identifier_in_metas_form_is_refused_by_place_and_the_others_are_told(meta, who, why, verb):
    audience = meta.has(NAME, row(BOB))
    telling = client(meta.url)

    taken = getattr(telling, verb)(audience.id, [ANN, who, BOB])

    assert taken.refused == {1: why}
    assert [line[0] for line in meta.requests[0].json["payload"]["data"]] == [ANN["email"], BOB["email"]]
    assert meta.requests[0].json["session"]["estimated_num_total"] == 2
    assert emails(audience.people) == (emails([row(ANN), row(BOB)]) if verb == "add" else [])


@pytest.mark.parametrize("people", [[], [{}], [{"email": "ann@example.com"}, {}]])
def test_where_nobody_can_be_told_no_call_leaves(meta, people):
    taken = client(meta.url).add(meta.has(NAME).id, people)

    assert taken.request is None
    assert len(taken.refused) == len(people)
    assert not meta.requests


def test_rows_that_meta_makes_nothing_of_are_told_in_words(meta):
    audience = meta.has(NAME)
    meta.unreadable = {BOB["email"]}

    taken = client(meta.url).add(audience.id, PEOPLE)

    assert not taken.is_partial
    assert taken.words == "1 of 3 rows could not be read"
    assert not taken.refused  # nobody says who
    assert emails(audience.people) == emails([row(ANN), row(CAT)])


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff\xfe", b"[" * 9999, b'{"num_invalid_entries": "?"}'])
def test_a_yes_that_cannot_be_read_is_a_yes_and_the_session_can_be_asked_about(meta, body):
    meta.errors = [Answer(200, body)]

    taken = client(meta.url).add("120209", [ANN])

    assert taken == Taken(request=f"120209/{meta.requests[0].json['session']['session_id']}")


@pytest.mark.parametrize("mode", [Mode.DROP_AFTER, Mode.LIE_500, Mode.HANG])
@pytest.mark.parametrize("verb", ["add", "remove"])
def test_a_lost_answer_told_again_ends_in_the_same_membership(meta, mode, verb):
    lost, plain = meta.has(NAME, row(CAT), row(BOB)), meta.has("plain", row(CAT), row(BOB))
    telling = client(meta.url, seconds=0.5)
    meta.conduct = mode
    assert type(raised(lambda: getattr(telling, verb)(lost.id, [ANN, BOB]))) is Unanswered
    assert len(lost.sessions) == 1  # Meta took it all the same

    meta.conduct = Mode.ACCEPT
    getattr(telling, verb)(lost.id, [ANN, BOB])
    getattr(telling, verb)(plain.id, [ANN, BOB])

    assert emails(lost.people) == emails(plain.people)


# asking


def test_an_upload_waits_until_meta_says_when_it_ended(meta):
    audience = meta.has(NAME)
    telling = client(meta.url)
    request = telling.add(audience.id, PEOPLE).request
    telling.add(audience.id, PEOPLE)

    assert telling.ask(request) == Outcome("waiting", received=3, matched=3, words="uploading")
    meta.settle()
    assert telling.ask(request) == Outcome("done", received=3, matched=3, words="done")


def test_an_upload_with_rows_that_could_not_be_read_is_partial(meta):
    audience = meta.has(NAME)
    meta.unreadable = {BOB["email"]}
    telling = client(meta.url)
    request = telling.add(audience.id, PEOPLE).request
    meta.settle()

    assert telling.ask(request) == Outcome("partial", received=3, matched=2, words="done; 1 rows could not be read")


def test_an_upload_that_meta_does_not_list_yet_waits(meta):
    assert client(meta.url).ask(f"{meta.has(NAME).id}/17") == Outcome("waiting")


def test_a_size_lies_between_two_numbers(meta):
    audience = meta.has(NAME, *(row(person(f"p{n}")) for n in range(42)))

    assert client(meta.url).size(audience.id) == Size(least=40, most=50, is_usable=True)


def test_an_audience_that_is_too_small_is_of_no_use_yet(meta):
    audience = meta.has(NAME, row(ANN))

    said = client(meta.url).size(audience.id)

    assert said.is_usable is False
    assert said.words == "This audience is smaller than it should be"


@pytest.mark.parametrize(
    ("status", "is_usable", "words"),
    [
        ({"operation_status": {"code": 471, "description": "Blocked"}}, False, "Blocked"),
        ({"operation_status": {"code": 470, "description": "Inactive"}}, False, "Inactive"),
        ({"operation_status": {"code": 411, "description": "Low match rate"}}, True, "Low match rate"),
        ({"delivery_status": {"code": 400, "description": "Policy"}}, False, "Policy"),
        ({"delivery_status": None}, None, ""),
        ({"delivery_status": {"code": "200", "description": "Ready"}}, True, ""),
        ({"delivery_status": {"code": 300, "description": "ann@example.com +4915112345678"}}, False, "[...] [...]"),
    ],
)
def test_an_audience_says_whether_ads_can_use_it_and_why_not(meta, status, is_usable, words):
    audience = meta.has(NAME, *map(row, PEOPLE))
    audience.status = status

    said = client(meta.url).size(audience.id)

    assert (said.is_usable, said.words) == (is_usable, words)


def test_a_size_that_meta_does_not_say_is_none(meta):
    audience = meta.has(NAME)
    audience.status = {"approximate_count_lower_bound": -1, "approximate_count_upper_bound": -1}

    said = client(meta.url).size(audience.id)

    assert (said.least, said.most, said.match_rate) == (None, None, None)


# errors

VERBS = {
    "find": lambda telling, _: telling.find(NAME),
    "create": lambda telling, _: telling.create(NAME, []),
    "add": lambda telling, audience: telling.add(audience, PEOPLE),
    "remove": lambda telling, audience: telling.remove(audience, PEOPLE),
    "ask": lambda telling, audience: telling.ask(f"{audience}/17"),
    "size": lambda telling, audience: telling.size(audience),
}
ON_AUDIENCE = ("add", "remove", "ask", "size")
MEANS: dict[Mode, type[ProviderError]] = {
    Mode.DROP_AFTER: Unanswered,
    Mode.DROP_BEFORE: Unanswered,
    Mode.HANG: Unanswered,
    Mode.LIE_500: Unanswered,
    Mode.BUSY: Busy,
    Mode.BUSY_120: Busy,
    Mode.ERROR_500: Unanswered,
    Mode.ERROR_502: Unanswered,
    Mode.ERROR_503: Unanswered,
    Mode.BAD_400: Refused,
    Mode.UNKNOWN_401: Misconfigured,
}


@pytest.mark.parametrize("mode", MEANS)
@pytest.mark.parametrize("verb", VERBS)
def test_every_fault_has_one_meaning_and_leaves_one_request(meta, verb, mode):
    audience = meta.has(NAME)
    meta.conduct = lambda _: mode  # the connection ends after the request was read

    said = raised(lambda: VERBS[verb](client(meta.url, seconds=0.5), audience.id))

    assert type(said) is MEANS[mode]
    assert len(meta.requests) == 1
    if isinstance(said, Busy):
        assert said.retry_after == (120 if mode is Mode.BUSY_120 else None)


@pytest.mark.parametrize("verb", ["add", "remove"])
def test_a_dripped_or_garbled_yes_is_a_yes(meta, verb):
    audience = meta.has(NAME)
    for mode in (Mode.SLOW, Mode.MALFORMED):
        meta.conduct = mode
        assert VERBS[verb](client(meta.url, seconds=0.5), audience.id).request


@pytest.mark.parametrize(
    ("answer", "means", "reason"),
    [
        (error(4), Busy, None),
        (error(17, 2_446_079), Busy, None),
        (error(613, 1_487_742), Busy, None),
        (error(80_003), Busy, None),
        (error(80_004, status=403), Busy, None),
        (error(2650, 1_870_145), Busy, None),
        (error(2650, 1_870_158), Busy, None),
        (error(1, 99), Unanswered, None),
        (error(2, is_transient=True), Unanswered, None),
        (error(100, is_transient=True), Unanswered, None),
        (error(2, status=503), Unanswered, None),
        (error(100, status=500), Unanswered, None),
        (Answer(502, b"<html>"), Unanswered, None),
        (Answer(429, b""), Busy, None),
        (Answer(302, b"", {"Location": "/elsewhere"}), Unanswered, None),
        (error(190, 463, status=401), Misconfigured, None),
        (error(190, 460), Misconfigured, None),
        (error(10, status=403), Misconfigured, None),
        (error(200), Misconfigured, None),
        (error(200, 1_870_034), Misconfigured, None),
        (error(200, 1_870_090), Misconfigured, None),
        (error(1_870_092), Misconfigured, None),
        (error(2655), Misconfigured, None),
        (error(2654, 1_713_092), Misconfigured, None),
        (error(294), Misconfigured, None),
        (error(368), Misconfigured, None),
        (error(2635), Misconfigured, None),
        (error(200, 1_870_047), Refused, "audience_too_small"),
        (error(100, 1_713_230), Refused, "audience_blocked"),
        (error(100, 1_713_228), Refused, "audience_blocked"),
        (error(1_487_366), Refused, "unknown_audience"),
        (error(100, 33), Refused, "unknown_audience"),
        (error(803, status=404), Refused, "unknown_audience"),
        (error(100), Refused, "refused"),
        (error(2650), Refused, "refused"),
        (error(100, status=200), Refused, "refused"),  # an error object is a no under any status
        (Answer(400, b"<html>Sorry, something went wrong</html>"), Refused, "refused"),
        (Answer(403, b""), Misconfigured, None),
        (Answer(400, {"error": {"code": "100"}}), Refused, "refused"),
        (Answer(400, {"error": "no"}), Refused, "refused"),
    ],
)
@pytest.mark.parametrize("verb", ["add", "ask"])
def test_every_code_of_meta_says_what_happens_next(meta, verb, answer, means, reason):
    meta.errors = [answer]

    said = raised(lambda: VERBS[verb](client(meta.url), meta.has(NAME).id))

    assert type(said) is means
    assert getattr(said, "reason", None) == reason
    assert f"status {answer.status}" in str(said)
    assert len(meta.requests) == 1


def test_a_dripped_no_is_read_no_longer_than_a_call_may_take(meta):
    meta.conduct = Mode.SLOW
    meta.errors = [error(190, status=401, message="x" * 9_000)]

    assert type(raised(lambda: client(meta.url, seconds=0.5).find(NAME))) is Misconfigured


@pytest.mark.parametrize("verb", ON_AUDIENCE)
def test_an_audience_that_is_not_there_is_refused(meta, verb):
    said = raised(lambda: VERBS[verb](client(meta.url), "999"))

    assert isinstance(said, Refused)
    assert said.reason == "unknown_audience"


@pytest.mark.parametrize("verb", ["find", "create"])
def test_an_account_that_is_not_there_or_not_ours_halts(meta, verb):
    telling = client(meta.url, ad_account="act_1")

    assert type(raised(lambda: VERBS[verb](telling, ""))) is Misconfigured


def test_a_version_that_is_gone_halts(meta):
    assert type(raised(lambda: client(meta.url, api_version="v11.0").find(NAME))) is Misconfigured


@pytest.mark.parametrize("verb", VERBS)
def test_a_token_that_has_expired_halts_in_metas_own_words(meta, verb):
    audience = meta.has(NAME)
    meta.tokens = set()

    said = raised(lambda: VERBS[verb](client(meta.url), audience.id))

    assert type(said) is Misconfigured
    assert str(said) == ("meta: status 401, code 190/463: Error validating access token: Session has expired")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "90"}, 90),
        ({"X-Business-Use-Case-Usage": json.dumps({"1": [{"type": "custom_audience", "call_count": 100,
                                                         "estimated_time_to_regain_access": 19}]})}, 19 * 60),
        ({"X-Business-Use-Case-Usage": json.dumps({"1": [{"estimated_time_to_regain_access": 0}]})}, None),
        ({"X-Business-Use-Case-Usage": json.dumps({"1": [{"estimated_time_to_regain_access": 2}],
                                                   "2": [{"estimated_time_to_regain_access": 7}]})}, 7 * 60),
        ({"X-Business-Use-Case-Usage": "{"}, None),
        ({"X-Business-Use-Case-Usage": "[1]"}, None),
        ({"X-Business-Use-Case-Usage": '{"1": [{}]}'}, None),
        ({"X-Business-Use-Case-Usage": '{"1": 7}'}, None),
    ],
)  # fmt: skip
def test_a_throttled_call_waits_as_long_as_meta_says(meta, headers, seconds):
    meta.errors = [error(80_003, headers=headers)]

    said = raised(lambda: client(meta.url).add(meta.has(NAME).id, PEOPLE))

    assert isinstance(said, Busy)
    assert said.retry_after == seconds


def test_a_persons_hash_a_contact_and_the_token_stand_in_no_error_and_no_log(meta, caplog):
    caplog.set_level(logging.DEBUG)
    private = [TOKEN, "ann@example.com", "+49 151 12345678", "4915112345678", *ANN.values()]
    texts = {"message": " ".join(private), "error_user_title": f"Not good: {TOKEN}", "error_user_msg": ANN["email"]}

    for code in (80_003, 1, 190, 100):
        meta.errors = [error(code, **texts)]
        said = str(raised(lambda: client(meta.url).add(meta.has(NAME).id, PEOPLE)))

        assert "Not good" in said
        assert not [text for text in private if text in said or text in caplog.text]


def test_metas_words_are_told_once_and_on_one_line(meta):
    meta.errors = [error(200, error_user_title="Terms", error_user_msg="Accept\nthe terms", message="Terms")]

    said = raised(lambda: client(meta.url).create(NAME, []))

    assert str(said) == "meta: status 400, code 200: Terms: Accept the terms"


def test_metas_words_are_cut(meta):
    meta.errors = [error(200, message="why not " * 99)]

    said = raised(lambda: client(meta.url).create(NAME, []))

    assert len(str(said)) == len("meta: status 400, code 200: ") + 200


def test_nobody_listening_is_unreached_since_no_byte_has_left():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        telling = client(f"http://127.0.0.1:{free.getsockname()[1]}")
        for act in VERBS.values():
            assert type(raised(lambda act=act: act(telling, "1"))) is Unreached


@pytest.mark.parametrize(("verb", "edge"), [("add", "/users"), ("ask", "/sessions"), ("size", "")])
def test_an_id_cannot_lead_to_another_address(meta, verb, edge):
    raised(lambda: VERBS[verb](client(meta.url), "..?x="))

    assert urlsplit(meta.requests[0].path).path == f"/{VERSION}/..%3Fx%3D{edge}"


# opening


def workspace(folder: Path, **options: str) -> Workspace:
    platforms = [{"platform": "meta", "ad_account": ACCOUNT, "api_version": VERSION, **options}] if options else []
    (folder / "reengage.yaml").write_text(json.dumps({"ad_platforms": platforms}))
    return Workspace(Settings(config=folder, meta_ads_token=TOKEN, _env_file=None))


def test_it_is_opened_with_the_account_of_the_options_and_the_settings_token(meta, tmp_path):
    opened = MetaPlatform.open(workspace(tmp_path, endpoint=meta.url), timeout=5)
    made = opened.create(NAME, [])
    opened.close()

    assert made in meta.audiences
    assert meta.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_it_cannot_be_opened_without_an_ad_account(tmp_path):
    with pytest.raises(Misconfigured, match="ad_platforms"):
        MetaPlatform.open(workspace(tmp_path))


# second opinion: Meta's own library, told to do the same against the same server


class Sdk:
    """Meta's library, speaking to `url` with our token; a warning of its own type checks is an error."""

    def __init__(self, url: str) -> None:
        from facebook_business.api import FacebookAdsApi
        from facebook_business.session import FacebookSession

        self.session = FacebookSession(access_token=TOKEN, timeout=5)
        self.session.GRAPH = url
        self.session.requests.trust_env = False
        self.api = FacebookAdsApi(self.session, api_version=VERSION)

    def account(self) -> Any:
        from facebook_business.adobjects.adaccount import AdAccount

        return AdAccount(ACCOUNT, api=self.api)

    def audience(self, audience: str) -> Any:
        from facebook_business.adobjects.customaudience import CustomAudience

        return CustomAudience(audience, api=self.api)


@pytest.fixture
def sdk(meta) -> Iterator[Sdk]:
    made = Sdk(meta.url)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=UserWarning, module="facebook_business")
        yield made
    made.session.requests.close()


def parameters(request: Request) -> dict[str, Any]:
    """What a call carries, wherever it stands; the token and the library's own wish for a summary apart."""
    kind = {name.lower(): value for name, value in request.headers.items()}.get("content-type")
    body = (
        request.json if kind == "application/json" else dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    )
    given = {**query(request), **body}
    for name in ("payload", "session"):
        if isinstance(given.get(name), str):
            given[name] = json.loads(given[name])
    return {name: value for name, value in given.items() if name not in ("access_token", "summary")}


def same_call(meta: MetaServer) -> dict[str, Any]:
    """What both of two calls carried; they went to one place in one way."""
    ours, theirs = meta.requests
    assert not meta.refused, meta.refused[0].body
    assert (ours.method, urlsplit(ours.path).path) == (theirs.method, urlsplit(theirs.path).path.rstrip("/"))
    assert parameters(ours) == parameters(theirs)
    return parameters(ours)


@pytest.mark.parametrize("verb", ["add", "remove"])
def test_metas_library_tells_people_in_the_same_way(meta, sdk, verb):
    audience = meta.has(NAME)
    getattr(client(meta.url), verb)(audience.id, PEOPLE)
    audience.sessions.clear()  # the same session once more

    keys = sdk.audience(audience.id).Schema.MultiKeySchema
    getattr(sdk.audience(audience.id), f"{verb}_users")(
        [keys.email, keys.phone, keys.fn, keys.ln, keys.country],
        [list(row(who).values()) for who in PEOPLE],
        is_raw=True,
        pre_hashed=True,
        session=meta.requests[0].json["session"],
    )

    assert set(same_call(meta)) == {"payload", "session"}


@pytest.mark.parametrize("verb", ["create_user", "delete_users"])
def test_metas_library_knows_what_we_tell_of_people(meta, sdk, verb):
    audience = meta.has(NAME)
    client(meta.url).add(audience.id, PEOPLE)

    asked = getattr(sdk.audience(audience.id), verb)(params=parameters(meta.requests[0]), pending=True)

    assert asked._path == (audience.id, "users")
    assert asked._method == {"create_user": "POST", "delete_users": "DELETE"}[verb]


def test_metas_library_makes_an_audience_in_the_same_way(meta, sdk):
    client(meta.url).create(NAME, [])

    kinds = sdk.audience("1")
    sdk.account().create_custom_audience(
        params={
            "name": NAME,
            "subtype": kinds.Subtype.custom,
            "customer_file_source": kinds.CustomerFileSource.user_provided_only,
        }
    )

    assert set(same_call(meta)) == {"name", "subtype", "customer_file_source"}


def test_metas_library_deletes_an_audience_in_the_same_way(meta, sdk):
    audience = meta.has(NAME)
    client(meta.url).delete(audience.id)
    meta.audiences[audience.id] = audience

    sdk.audience(audience.id).api_delete()

    assert not meta.audiences
    assert same_call(meta) == {}


def test_metas_library_lists_audiences_in_the_same_way(meta, sdk):
    meta.has(NAME)
    client(meta.url).find(NAME)

    found = sdk.account().get_custom_audiences(fields=["id", "name"], params={"limit": "50"})

    assert [one["name"] for one in found] == [NAME]
    same_call(meta)


def test_metas_library_reads_the_same_fields_of_an_audience(meta, sdk):
    audience = meta.has(NAME, row(ANN))
    client(meta.url).size(audience.id)

    said = sdk.audience(audience.id).api_get(fields=query(meta.requests[0])["fields"].split(","))

    assert said["delivery_status"]["code"] == 300
    same_call(meta)


def test_metas_library_asks_about_an_upload_in_the_same_way(meta, sdk):
    audience = meta.has(NAME)
    request = client(meta.url).add(audience.id, PEOPLE).request
    meta.requests.clear()
    client(meta.url).ask(request)

    asked = query(meta.requests[0])
    (said,) = sdk.audience(audience.id).get_sessions(
        fields=asked["fields"].split(","), params={"session_id": asked["session_id"]}
    )

    assert said["num_received"] == "3"
    same_call(meta)


def test_metas_library_reads_the_errors_of_this_server_as_metas(meta, sdk):
    from facebook_business.exceptions import FacebookRequestError

    meta.errors = [error(200, 1_870_047, error_user_title="Audience Size too Low", is_transient=False)]
    with pytest.raises(FacebookRequestError) as caught:
        sdk.audience(meta.has(NAME).id).api_get(fields=["id"])

    said = caught.value
    assert (said.api_error_code(), said.api_error_subcode(), said.http_status()) == (200, 1_870_047, 400)


def test_metas_library_puts_people_into_the_url_where_not_many_fit_and_we_do_not(meta, sdk):
    page = [person(f"person{n}") for n in range(500)]
    audience = meta.has(NAME, *map(row, page))

    sdk.audience(audience.id).remove_users(["EMAIL"], [[who["email"]] for who in page], is_raw=True, pre_hashed=True)
    assert [answer.status for answer in meta.refused] == [414]
    assert len(audience.people) == 500

    client(meta.url).remove(audience.id, page)
    assert not audience.people
