"""WhatsApp over the Cloud API: what leaves is what Meta publishes, and every answer means one thing."""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from config.providers import WhatsappCloud
from tasks import http
from tasks.channels import whatsapp
from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.whatsapp_cloud import PROFILE, WhatsappCloudSender
from tasks.rules.errors import Busy, Misconfigured, ProviderError, Refused, Unanswered, Unreached, WrongTemplate
from tasks.rules.words import REASONS
from tests.channels.faults import CANARY, MEANS, is_as_it_must_be, noon, outcome, outgoing
from tests.channels.loopback import Answer, Loopback, Mode, Request

NUMBER = "106540352242922"
PATH = f"/v23.0/{NUMBER}/messages"
GERMAN, AMERICAN = "+4915112345678", "+16505551212"
TEXT = {"type": "object", "required": ["type", "text"], "additionalProperties": False, "properties": {
    "type": {"const": "text"}, "text": {"type": "string", "minLength": 1}, "parameter_name": {"type": "string"},
}}  # fmt: skip
# What Meta documents of a message, so far as we may send it: no media, no buttons (R6).
MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["messaging_product", "recipient_type", "to", "type"],
    "additionalProperties": False,
    "properties": {
        "messaging_product": {"const": "whatsapp"},
        "recipient_type": {"const": "individual"},
        "to": {"type": "string", "pattern": "^[1-9][0-9]{6,14}$"},
        "biz_opaque_callback_data": {"type": "string", "minLength": 1, "maxLength": 512},
        "type": {"enum": ["text", "template"]},
        "text": {
            "type": "object",
            "required": ["body"],
            "additionalProperties": False,
            "properties": {
                "preview_url": {"type": "boolean"},
                "body": {"type": "string", "minLength": 1, "maxLength": 4096},
            },
        },
        "template": {
            "type": "object",
            "required": ["name", "language"],
            "additionalProperties": False,
            "properties": {
                "name": {"type": "string", "pattern": "^[a-z0-9_]{1,512}$"},
                "language": {
                    "type": "object",
                    "required": ["code", "policy"],
                    "additionalProperties": False,
                    "properties": {
                        "code": {"type": "string", "pattern": "^[a-z]{2,3}(_[A-Z]{2})?$"},
                        "policy": {"const": "deterministic"},
                    },
                },
                "components": {
                    "type": "array",
                    "maxItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["type", "parameters"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"const": "body"},
                            "parameters": {"type": "array", "minItems": 1, "items": TEXT},
                        },
                    },
                },
            },
        },
    },
    "oneOf": [
        {"properties": {"type": {"const": "text"}}, "required": ["text"], "not": {"required": ["template"]}},
        {"properties": {"type": {"const": "template"}}, "required": ["template"], "not": {"required": ["text"]}},
    ],
}


def error(code: int, status: int = 400, **more: Any) -> Answer:
    """An error as Meta words it, with the person's number in its texts."""
    told = {"message": f"(#{code}) {GERMAN}", "type": "OAuthException", "code": code, "fbtrace_id": "Az8or2yhqkZfEZ"}
    data = {"messaging_product": "whatsapp", "details": f"The number {GERMAN} is at fault"}
    return Answer(status, {"error": {**told, "error_data": data, **more}})


def judge(request: Request) -> Answer | None:
    headers = {name.lower(): value for name, value in request.headers.items()}
    if request.method != "POST" or request.path != PATH:
        return error(100, error_subcode=33)
    if headers.get("authorization") != "Bearer a-token":
        return error(190, 401)
    if headers.get("content-type") != "application/json":
        return error(100)
    try:
        jsonschema.validate(request.json, MESSAGE)
    except jsonschema.ValidationError as wrong:
        return Answer(400, {"error": {"code": 100, "message": wrong.message}})
    return None


def yes(request: Request, status: str = "accepted") -> Answer:
    to = request.json["to"]
    return Answer(
        200,
        {
            "messaging_product": "whatsapp",
            "contacts": [{"input": to, "wa_id": to}],
            "messages": [{"id": f"wamid.{to}", "message_status": status}],
        },
    )


@pytest.fixture
def meta() -> Iterator[Loopback]:
    loopback = Loopback(
        judge=judge,
        keys=lambda request: [request.json["biz_opaque_callback_data"]],
        yes=yes,
        no=lambda status: Answer(status, {"error": {"message": "told so", "type": "x", "code": -status}}),
    )
    with loopback.running():
        yield loopback


def sender(url: str, *, token: str = "a-token", seconds: float = 1.5, **options: Any) -> WhatsappCloudSender:
    given = WhatsappCloud(provider="whatsapp_cloud", endpoint=url, phone_number_id=NUMBER, **options)
    client = http.client(url, timeout=seconds, headers={"Authorization": f"Bearer {token}"})
    return WhatsappCloudSender(client, given, seconds=seconds, wall_clock=noon)


def template(address: str = GERMAN, parameters: dict[str, str] | None = None, **changes: Any) -> OutgoingMessage:
    fields = {"text": "Hello Ann", "template": "come_back", "template_language": "de_DE"}
    if parameters is not None:
        fields["parameters"] = json.dumps(parameters)
    return outgoing("whatsapp", address, **{"fields": fields, **changes})


def sent(meta: Loopback) -> Any:
    assert not meta.refused, meta.refused[0].body
    return meta.accepted[-1].request.json


@pytest.mark.parametrize("mode", Mode)
def test_every_fault_has_one_meaning_and_leaves_one_request(meta, mode):
    meta.yes = lambda _: Answer(200, {"messages": [{"id": "wamid.1"}]})
    seconds = 30 if mode is Mode.SLOW else 1.5

    is_as_it_must_be(mode, meta, sender(meta.url, seconds=seconds), outgoing("whatsapp", GERMAN))


def test_the_faults_are_all_there():
    assert set(MEANS) == set(Mode)


def test_a_text_goes_to_the_digits_of_a_number_and_carries_the_attempt(meta):
    message = outgoing("whatsapp", GERMAN)

    (receipt,) = sender(meta.url).send([message])

    assert receipt == Receipt(message.attempt_id, "accepted", "wamid.4915112345678", status_code=200)
    assert sent(meta)["to"] == "4915112345678"
    assert sent(meta)["text"]["body"] == message.fields["text"]
    assert sent(meta)["biz_opaque_callback_data"] == message.attempt_id


def test_parameters_named_by_numbers_are_given_in_their_order(meta):
    sender(meta.url).send([template(parameters={"10": "ten", "2": "two", "1": "Ann"})])

    assert sent(meta)["template"] == {
        "name": "come_back",
        "language": {"code": "de_DE", "policy": "deterministic"},
        "components": [
            {
                "type": "body",
                "parameters": [
                    {"type": "text", "text": "Ann"},
                    {"type": "text", "text": "two"},
                    {"type": "text", "text": "ten"},
                ],
            }
        ],
    }


def test_parameters_with_names_are_given_by_name(meta):
    sender(meta.url).send([template(parameters={"first_name": "Ann", "2": "two"})])

    (component,) = sent(meta)["template"]["components"]
    assert component["parameters"] == [
        {"type": "text", "parameter_name": "first_name", "text": "Ann"},
        {"type": "text", "parameter_name": "2", "text": "two"},
    ]


@pytest.mark.parametrize("parameters", [None, {}])
def test_a_template_without_parameters_has_no_components(meta, parameters):
    sender(meta.url).send([template(parameters=parameters)])

    assert "components" not in sent(meta)["template"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (outgoing("whatsapp", "not a number"), "invalid_address"),
        (outgoing("whatsapp", "+49 151 12345678"), "invalid_address"),
        (outgoing("whatsapp", "+4915112345678\n"), "invalid_address"),
        (outgoing("whatsapp", GERMAN, fields={"text": "x" * 4097}), "content"),
        (outgoing("whatsapp", GERMAN, fields={"text": "  "}), "content"),
        (template(parameters={"1": " "}), "content"),
    ],
)
def test_what_meta_would_refuse_does_not_leave(meta, message, reason):
    said = outcome(sender(meta.url), [message])

    assert isinstance(said, Refused)
    assert said.reason == reason
    assert not meta.requests


def test_what_can_no_longer_arrive_in_time_does_not_leave(meta):
    (receipt,) = sender(meta.url).send([outgoing("whatsapp", GERMAN, seconds=0)])

    assert (receipt.outcome, receipt.retry_after) == ("busy", 1)
    assert not meta.requests


@pytest.mark.parametrize(
    ("address", "is_american"),
    [
        (AMERICAN, True),
        ("+18005550100", True),  # a toll-free number belongs to no place that could be ruled out
        ("+19995551212", True),  # no such area
        ("+16045551212", False),  # Vancouver
        ("+18765551212", False),  # Jamaica
        ("+447700900123", False),
        (GERMAN, False),
    ],
)
def test_no_marketing_template_goes_to_the_united_states_until_the_options_allow_it(meta, address, is_american):
    said = outcome(sender(meta.url), [template(address)])
    assert isinstance(said, Refused) is is_american
    assert len(meta.accepted) == (not is_american)
    if is_american:
        assert said.reason == "marketing_not_delivered"

    assert sender(meta.url, us_marketing=True).send([template(address)])[0].outcome == "accepted"


@pytest.mark.parametrize("message", [template(AMERICAN, purpose="transactional"), outgoing("whatsapp", AMERICAN)])
def test_other_messages_may_go_to_the_united_states(meta, message):
    assert sender(meta.url).send([message])[0].outcome == "accepted"


@pytest.mark.parametrize("status", ["held_for_quality_assessment", "paused"])
def test_a_message_that_meta_holds_back_for_now_is_accepted(meta, status):
    meta.yes = lambda request: yes(request, status)

    assert sender(meta.url).send([outgoing("whatsapp", GERMAN)])[0].outcome == "accepted"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"messages": []}', b'{"messages": [{"id": 7}]}', b"\xff\xfe", b"[" * 9999]
)
def test_a_yes_that_cannot_be_read_is_a_yes_without_an_id(meta, body):
    meta.yes = lambda _: Answer(200, body)

    (receipt,) = sender(meta.url).send([outgoing("whatsapp", GERMAN)])

    assert (receipt.outcome, receipt.provider_message_id) == ("accepted", None)


def test_a_yes_that_never_ends_is_read_no_longer_than_a_call_may_take(meta):
    meta.yes = lambda _: Answer(200, {"messages": [{"id": "wamid.1"}]})  # dripped: more than a second
    meta.conduct = Mode.SLOW

    (receipt,) = sender(meta.url, seconds=0.5).send([outgoing("whatsapp", GERMAN)])

    assert (receipt.outcome, receipt.provider_message_id) == ("accepted", None)


CODES: dict[int, tuple[type[ProviderError] | str, str | None]] = {
    130429: (Busy, None),
    4: (Busy, None),
    80007: (Busy, None),
    131016: (Busy, None),
    131057: (Busy, None),
    131056: ("busy", "provider_pair"),
    131049: ("busy", "provider_cap"),
    131000: (Unanswered, None),
    131050: (Refused, "unsubscribed"),
    131026: (Refused, "undeliverable"),
    131021: (Refused, "refused"),
    131047: (Refused, "needs_template"),
    130472: (Refused, "provider_cap"),
    130497: (Refused, "country_closed"),
    131062: (Refused, "refused"),
    132005: (Refused, "content"),
    100: (Refused, "refused"),
    **dict.fromkeys([132000, 132001, 132007, 132008, 132012, 132015, 132016], (WrongTemplate, None)),
    **dict.fromkeys([0, 10, 190, 200, 299, 368, 131031, 131042, 131048, 131063, 131064, 133010], (Misconfigured, None)),
    999_999: (Refused, "refused"),  # unknown: the status says it
}


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_meta_says_what_happens_next(meta, code, caplog):
    caplog.set_level(logging.DEBUG)
    meta.judge = lambda _: error(code)
    means, reason = CODES[code]

    said = outcome(sender(meta.url), [outgoing("whatsapp", GERMAN)])

    if isinstance(means, str):
        assert isinstance(said, list)
        assert (said[0].outcome, said[0].reason) == (means, reason)
    else:
        assert type(said) is means
        assert getattr(said, "reason", None) == reason
        assert str(code) in str(said)
    assert len(meta.requests) == 1
    for told in (caplog.text, str(said)):
        assert GERMAN.removeprefix("+") not in told
        assert CANARY not in told


@pytest.mark.parametrize("asked", [None, "60", "200000"])
def test_a_person_who_has_had_enough_marketing_is_left_alone_for_a_day_at_least(meta, asked):
    answer = error(131049)
    meta.judge = lambda _: Answer(answer.status, answer.body, {"Retry-After": asked} if asked else {})

    (receipt,) = sender(meta.url).send([outgoing("whatsapp", GERMAN)])

    assert receipt.retry_after == max(86_400, int(asked or 0))


def test_a_wrong_number_of_ours_halts_and_a_wrong_parameter_does_not(meta):
    wrong = WhatsappCloud(provider="whatsapp_cloud", endpoint=meta.url, phone_number_id="1")
    client = http.client(meta.url, timeout=1, headers={"Authorization": "Bearer a-token"})

    with pytest.raises(Misconfigured):
        WhatsappCloudSender(client, wrong, wall_clock=noon).send([outgoing("whatsapp", GERMAN)])


def test_a_wrong_token_halts(meta):
    with pytest.raises(Misconfigured, match="190"):
        sender(meta.url, token="another").send([outgoing("whatsapp", GERMAN)])


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("120", 120),
        ("Tue, 10 Mar 2026 12:02:00 GMT", 120),
        ("Tue, 10 Mar 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_a_wait_may_be_asked_for_as_a_date_by_the_providers_own_clock(asked, seconds):
    answer = http.Answer(429, {"retry-after": asked, "date": "Tue, 10 Mar 2026 12:00:00 GMT"}, b"")

    assert answer.retry_after == seconds


def test_a_redirect_is_not_followed(meta):
    meta.judge = lambda _: Answer(307, b"", {"Location": f"{meta.url}/elsewhere"})

    with pytest.raises(Unanswered):
        sender(meta.url).send([outgoing("whatsapp", GERMAN)])

    assert len(meta.requests) == 1


def test_nobody_listening_is_unreached_since_no_byte_has_left():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(Unreached):
            sender(f"http://127.0.0.1:{port}").send([outgoing("whatsapp", GERMAN)])


@pytest.mark.parametrize("address", ["http://nobody.invalid", "https://127.0.0.1:{port}"])
def test_no_name_and_no_tls_are_unreached_too(meta, address):
    with pytest.raises(Unreached):
        sender(address.format(port=meta.url.rpartition(":")[2])).send([outgoing("whatsapp", GERMAN)])

    assert not meta.accepted


def test_every_reason_of_a_code_has_words_and_every_busy_one_about_a_person_is_named():
    reasons = {meaning.reason for meaning in PROFILE.codes.values()} - {None}

    assert reasons <= set(REASONS)
    assert {code for code, means in whatsapp.CODES.items() if means.verdict == "busy" and means.reason} == {
        "131049", "131056",
    }  # fmt: skip
    assert all(re.fullmatch(r"\d+(/\d+)?", code) for code in whatsapp.CODES)


def test_it_is_opened_with_the_settings_token_and_hides_it(make_workspace, meta):
    work = make_workspace(whatsapp_token="a-token")
    options = WhatsappCloud(provider="whatsapp_cloud", endpoint=meta.url, phone_number_id=NUMBER)

    opened = WhatsappCloudSender.open(work, options, 5)
    message = outgoing("whatsapp", GERMAN)
    (receipt,) = WhatsappCloudSender(opened._client, options, wall_clock=noon).send([message])
    opened.close()

    assert receipt.outcome == "accepted"
