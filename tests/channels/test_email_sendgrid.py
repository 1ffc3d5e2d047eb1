"""SendGrid: what leaves is as SendGrid publishes it, and every answer comes to the one outcome that is true."""

from __future__ import annotations

import json
import logging
import random
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from config.providers import EmailSendgrid
from config.settings import Sender as Writer
from tasks.channels import clients, factory
from tasks.channels.base import SANDBOX, Dividing, OutgoingMessage, in_calls
from tasks.channels.email_sendgrid import MOST_SUBSTITUTIONS, PROFILE, EmailSendgridSender
from tasks.rules.errors import Busy, Misconfigured, Refused, Unanswered, Unreached, WrongTemplate
from tasks.rules.words import REASONS
from tests.channels import mail_send
from tests.channels.letters import EXPECTED, UNFIT, WRITER, letter, templated
from tests.channels.loopback import Answer, Loopback, Mode

LONG = "<p>" + "Everything must go. " * 1000 + "</p>"
needs_description = pytest.mark.skipif(not mail_send.DESCRIPTION.is_file(), reason=mail_send.ABSENT)


@pytest.fixture
def provider() -> Iterator[Loopback]:
    if mail_send.DESCRIPTION.is_file():
        mail_send.description()  # read before the first request waits for it
    with mail_send.provider().running() as running:
        yield running


def open_sender(endpoint: str, *, timeout: float = 20, writer: Writer = WRITER, **given) -> EmailSendgridSender:
    return EmailSendgridSender(clients.sendgrid(mail_send.KEY, endpoint=endpoint, timeout=timeout), writer, **given)


def outcome(sender: EmailSendgridSender, *messages: OutgoingMessage):
    """How a call ended: its outcomes, or the kind of error."""
    try:
        receipts = sender.send(messages)
    except (Busy, Refused, Misconfigured, Unanswered) as error:
        return type(error)
    assert Counter(one.attempt_id for one in receipts) == Counter(one.attempt_id for one in messages)
    told = {one.attempt_id: one.outcome for one in receipts}
    return [told[message.attempt_id] for message in messages]


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize("mode", Mode)
def test_each_conduct_of_the_provider_comes_to_one_outcome_after_one_request(provider, mode, size):
    expected, count = EXPECTED[mode]
    if mode is Mode.BAD_400 and size > 1:
        expected = "returned"  # it names nobody, so each may go again alone
    provider.conduct = mode
    sender = open_sender(provider.url, timeout=2 if mode is Mode.HANG else 20)
    began = time.monotonic()

    found = outcome(sender, *(letter(number) for number in range(size)))

    assert time.monotonic() - began < 60  # a provider that hangs does so for two minutes
    assert found == ([expected] * size if isinstance(expected, str) else expected)
    assert len(provider.accepted) == count * size
    assert len(provider.requests) == (0 if mode is Mode.DROP_BEFORE else 1)


def test_the_number_of_an_accepted_request_is_kept_for_each_of_its_messages(provider):
    receipts = open_sender(provider.url).send([letter(7), letter(8)])

    assert [(one.outcome, one.provider_message_id, one.status_code) for one in receipts] == [
        ("accepted", "request-0007", 202)
    ] * 2


def test_a_yes_without_a_number_or_with_a_body_that_breaks_off_is_a_yes(provider):
    provider.yes = lambda _: Answer(202, b"", {"Content-Length": "100"})

    (receipt,) = open_sender(provider.url).send([letter(1)])

    assert (receipt.outcome, receipt.provider_message_id) == ("accepted", None)


def test_the_sandbox_checks_a_message_and_it_counts_as_not_sent(provider):
    (receipt,) = open_sender(provider.url, sandbox=True).send([letter(1)])

    assert (receipt.outcome, receipt.reason, receipt.status_code) == ("refused", SANDBOX, 200)
    assert provider.requests[0].json["mail_settings"] == {"sandbox_mode": {"enable": True}}


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"Retry-After": "120"}, 120, 120),
        ({"X-RateLimit-Reset": "in 1000 seconds"}, 800, 1001),
        ({"X-RateLimit-Reset": "1000000000"}, 0, 0),
    ],
    ids=["seconds", "a moment", "a moment that has passed"],
)
def test_a_throttled_call_rests_until_the_provider_takes_requests_again(provider, headers, least, most):
    headers = {name: value.replace("in 1000 seconds", f"{time.time() + 1000:.0f}") for name, value in headers.items()}
    provider.conduct = Mode.BUSY
    provider.no = lambda status: Answer(status, {"errors": [{"field": None, "message": "too many requests"}]}, headers)

    with pytest.raises(Busy) as busy:
        open_sender(provider.url).send([letter(1)])

    assert least <= busy.value.retry_after <= most


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"X-RateLimit-Reset": "soon"}, {"X-RateLimit-Reset": "99999999999999"}, {"Retry-After": "nan"},
        {"Retry-After": "1000000"}, {"X-RateLimit-Reset": "99999999999"},
    ],
)  # fmt: skip
def test_a_throttled_call_that_is_not_told_how_long_leaves_that_to_the_ledger(provider, headers):
    provider.conduct = Mode.BUSY
    provider.no = lambda status: Answer(status, {}, headers)

    with pytest.raises(Busy) as busy:
        open_sender(provider.url).send([letter(1)])

    assert busy.value.retry_after is None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, Misconfigured), (403, Misconfigured), (404, Misconfigured), (405, Misconfigured),
        (408, Unanswered), (500, Unanswered), (504, Unanswered), (302, Unanswered), (201, Unanswered),
        (413, Refused), (422, Refused),
    ],
)  # fmt: skip
def test_each_status_means_what_sendgrid_publishes(provider, status, error):
    provider.judge = lambda _: mail_send.refusal(status, "content")  # a field decides for a 400 only

    assert outcome(open_sender(provider.url), letter(1)) is error


def test_a_redirect_is_not_followed_and_our_key_goes_nowhere_else(provider):
    with mail_send.provider().running() as elsewhere:
        provider.judge = lambda _: Answer(302, b"", {"Location": f"{elsewhere.url}/v3/mail/send"})

        assert outcome(open_sender(provider.url), letter(1)) is Unanswered
        assert elsewhere.requests == []


def test_a_refused_request_is_laid_at_the_door_of_the_person_it_names_and_the_others_are_returned(provider):
    provider.judge = lambda _: mail_send.refusal(
        400, "personalizations.1.to.0.email", "personalizations.3.headers.X-One", message="Does not contain ann@x.de"
    )

    receipts = open_sender(provider.url).send([letter(number) for number in range(4)])

    assert [(one.outcome, one.reason) for one in receipts] == [
        ("returned", None),
        ("refused", "invalid_address"),
        ("returned", None),
        ("refused", "content"),
    ]
    assert provider.accepted == []


@pytest.mark.parametrize("name", ["from.email", "asm.group_id", "categories.3", "mail_settings"])
def test_a_refusal_of_what_is_the_same_in_every_request_halts_the_channel(provider, name):
    provider.judge = lambda _: mail_send.refusal(400, "personalizations.0.to.0.email", name)

    with pytest.raises(Misconfigured, match=name.split(".", maxsplit=1)[0]):
        open_sender(provider.url).send([letter(1), letter(2)])


def test_a_template_that_sendgrid_does_not_know_is_the_campaigns_fault_only(provider):
    provider.judge = lambda _: mail_send.refusal(400, "template_id")

    with pytest.raises(WrongTemplate):
        open_sender(provider.url).send([letter(1), letter(2)])


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"errors": 3}', b'{"errors": [null]}', b'{"errors": [{}]}'])
def test_a_refusal_that_says_nothing_readable_refuses_one_message_and_returns_several(provider, body):
    provider.judge = lambda _: Answer(400, body)
    sender = open_sender(provider.url)

    with pytest.raises(Refused) as refused:
        sender.send([letter(1)])
    assert refused.value.reason in REASONS
    assert outcome(sender, letter(1), letter(2)) == ["returned", "returned"]


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:{closed}", "https://{plain}", "http://nobody.invalid"])
def test_a_provider_that_cannot_be_reached_has_certainly_accepted_nothing(provider, endpoint):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = endpoint.format(closed=closed.getsockname()[1], plain=provider.url.removeprefix("http://"))

        assert outcome(open_sender(url), letter(1)) is Unreached

    assert provider.requests == []


def test_a_connection_that_never_comes_about_is_given_up_in_time_and_is_no_doubt():
    with socket.socket() as full:  # a queue that is full and never emptied: further connections wait
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())

        began = time.monotonic()
        assert outcome(open_sender(f"http://127.0.0.1:{full.getsockname()[1]}", timeout=120), letter(1)) is Unreached
        assert time.monotonic() - began < 60  # nobody waits a whole call's time for a connection

        for one in waiting:
            one.close()


# what leaves


def test_a_single_message_is_one_personalization_with_its_own_words(provider):
    message = letter(1)
    open_sender(provider.url, categories=("retention", "lapsing_customers")).send([message])
    body = provider.requests[0].json

    assert body == {
        "from": {"email": "hello@example.com", "name": "Grüße & Söhne"},
        "reply_to": {"email": "answers@example.com"},
        "personalizations": [
            {
                "to": [{"email": "person.1@example.com"}],
                "subject": "Hello person 1 äöü",
                "custom_args": {"attempt_id": message.attempt_id},
                "headers": {
                    "List-Unsubscribe": f"<{message.fields['list_unsubscribe']}>",
                    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                },
            }
        ],
        "content": [{"type": "text/html", "value": message.fields["html"]}],
        "categories": ["lapsing_customers", "retention"],
        "tracking_settings": {"subscription_tracking": {"enable": False}},
    }


def test_a_transactional_message_has_no_headers_and_an_idn_domain_leaves_in_ascii(provider):
    open_sender(provider.url).send([letter(1, address="ann@müller.example.com", fields={"list_unsubscribe": None})])
    (one,) = provider.requests[0].json["personalizations"]

    assert one["to"] == [{"email": "ann@xn--mller-kva.example.com"}]
    assert "headers" not in one


def test_a_dynamic_template_takes_each_persons_values_in_one_request(provider):
    open_sender(provider.url).send([templated(1), templated(2)])
    body = provider.requests[0].json

    assert body["template_id"] == "d-0123456789abcdef"
    assert "content" not in body
    assert [one["dynamic_template_data"] for one in body["personalizations"]] == [
        {"first_name": "Ünal 1"}, {"first_name": "Ünal 2"},
    ]  # fmt: skip
    assert all("substitutions" not in one for one in body["personalizations"])


def test_a_template_that_is_not_dynamic_stops_its_campaign_before_anything_leaves(provider):
    assert outcome(open_sender(provider.url), templated(1, name="sale")) is WrongTemplate
    assert provider.requests == []


def test_a_hundred_people_share_a_request_that_is_larger_than_the_substitutions_of_any(provider):
    messages = [letter(number, filler=LONG) for number in range(100)]
    sender = open_sender(provider.url)

    assert outcome(sender, *messages) == ["accepted"] * 100
    assert len(provider.requests) == 1
    assert len(provider.requests[0].body) < 120_000
    assert mail_send.texts(provider.requests[0]) == {
        one.address: (one.fields["subject"], one.fields["html"]) for one in messages
    }


def crowd(seed: int) -> list[OutgoingMessage]:
    """People of several campaigns, templates and layouts, some twice, some with words of their own at any length."""
    chance = random.Random(seed)
    made = []
    for number in range(250):
        filler = chance.choice(
            ["<p>Sale</p>", "<p>Sale</p>\n<p>today</p>", LONG, f"own {number} " * 900, "", "own" * 9000]
        )
        address = f"Person.{chance.randrange(200)}@example.com"
        campaign = chance.choice(["lapsing_customers", "abandoned_orders"])
        if chance.random() < 0.2:
            made.append(templated(number, chance.choice(["d-1", "d-2"]), address=address, campaign=campaign))
            continue
        fields = {"subject": "one of our -reengage-line-4- tags"} if chance.random() < 0.05 else {}
        made.append(letter(number, filler=filler, address=address, campaign=campaign, fields=fields))
    return made


@pytest.mark.parametrize("seed", range(4))
def test_any_crowd_is_divided_into_calls_that_sendgrid_takes_and_everyone_gets_their_own_words(provider, seed):
    messages = crowd(seed)
    sender = open_sender(provider.url)

    calls = in_calls(sender, messages)
    for call in calls:
        assert outcome(sender, *call) == ["accepted"] * len(call)

    assert isinstance(sender, Dividing)
    assert provider.refused == []
    assert len(provider.requests) == len(calls) < 120
    assert sorted(provider.keys_accepted) == sorted(one.attempt_id for one in messages)
    for call, request in zip(calls, provider.requests, strict=True):
        assert len(call) <= PROFILE.batch
        assert request.json["categories"] == [call[0].campaign]
        if "template" not in call[0].fields:
            expected = {one.address: (one.fields["subject"], one.fields["html"]) for one in call}
            assert mail_send.texts(request) == expected


def test_substitutions_are_shared_up_to_the_limit_and_not_a_byte_beyond():
    line = '{"-reengage-line-4-": ""}'  # the fifth line of a letter differs, beside those of name and link
    sender = open_sender("http://127.0.0.1:9")

    def calls(length: int) -> int:
        plain = letter(1)
        html = plain.fields["html"].split("\n")
        same = "\n".join([*html[:4], "", *html[5:]])
        other = "\n".join([*html[:4], "x" * length, *html[5:]])
        return len(sender.calls([letter(1, fields={"html": same}), letter(2, fields={"html": other})]))

    assert calls(MOST_SUBSTITUTIONS - len(line)) == 1
    assert calls(MOST_SUBSTITUTIONS - len(line) + 1) == 2


def test_template_data_beyond_one_request_are_divided_over_several(provider):
    data = json.dumps({"long": "x" * 2_000_000})
    messages = [templated(number, fields={"parameters": data}) for number in range(12)]
    sender = open_sender(provider.url)

    calls = sender.calls(messages)
    assert [outcome(sender, *call) for call in calls] == [["accepted"] * len(call) for call in calls]
    assert 1 < len(calls) < 12
    assert max(len(request.body) for request in provider.requests) <= 30_000_000


def test_messages_that_do_not_go_together_are_returned_and_not_sent(provider):
    sender = open_sender(provider.url)
    messages = [letter(1), letter(2, address="PERSON.1@example.com"), letter(3, campaign="other"), templated(4)]

    assert outcome(sender, *messages) == ["accepted", "returned", "returned", "returned"]
    assert provider.keys_accepted == [messages[0].attempt_id]
    assert provider.refused == []


@pytest.mark.parametrize("what", UNFIT)
def test_what_could_become_another_header_or_person_is_refused_before_a_byte_leaves(provider, what):
    changes, reason = UNFIT[what]
    sender = open_sender(provider.url)
    bad, good = letter(1, **changes), letter(2)

    (receipt,) = sender.send([bad])
    assert (receipt.outcome, receipt.reason) == ("refused", reason)
    assert provider.requests == []
    assert reason in REASONS

    assert outcome(sender, bad, good) == ["refused", "accepted"]
    assert sender.calls([bad, good]) == [[bad], [good]]


@pytest.mark.parametrize(
    ("categories", "fields"),
    [
        (("x" * 256,), {}),
        (tuple(str(number) for number in range(10)), {}),
        ((), {"html": "<p>" + "x" * 30_000_000}),
    ],
    ids=["a long category", "too many categories", "30 MB"],
)
def test_what_is_beyond_sendgrids_sizes_is_refused_before_a_byte_leaves(provider, categories, fields):
    assert outcome(open_sender(provider.url, categories=categories), letter(1, fields=fields)) == ["refused"]
    assert provider.requests == []


@pytest.mark.parametrize(
    "writer",
    [
        Writer(name="Shop\r\nBcc: eve@example.com", email="hello@example.com"),
        Writer(name="Shop", email="hello@example.com\nBcc: eve@example.com"),
        Writer(name="Shop", email="hello@example.com", reply_to="nobody"),
    ],
)
def test_a_writer_who_cannot_stand_in_a_header_halts_before_any_message(writer):
    with pytest.raises(Misconfigured, match=r"reengage\.yaml"):
        open_sender("http://127.0.0.1:9", writer=writer)


# what is published


@needs_description
@pytest.mark.parametrize(
    "messages",
    [
        [letter(1)],
        [letter(1, fields={"list_unsubscribe": None})],
        [letter(number) for number in range(100)],
        [templated(number) for number in range(100)],
    ],
    ids=["one", "transactional", "a hundred", "a template"],
)
def test_every_kind_of_request_is_as_the_published_description_says(provider, messages):
    assert outcome(open_sender(provider.url, sandbox=True), *messages) == ["refused"] * len(messages)

    (request,) = provider.requests
    assert list(mail_send.against_description(request)) == []


@needs_description
@pytest.mark.parametrize(
    "change",
    [
        {"from": {"name": "no address"}},
        {"personalizations": [{"subject": "to nobody"}]},
        {"personalizations": [{"to": [{"email": "no address"}]}]},
        {"categories": [str(number) for number in range(11)]},
        {"priority": "high"},
        {"personalizations": [{"to": [{"email": "ann@example.com"}], "custom_arguments": {}}]},
        {"tracking_settings": {"subscription_tracking": {"enabled": False}}},
    ],
    ids=["no from", "no to", "no address", "categories", "unknown", "unknown below", "unknown deep below"],
)
def test_the_published_description_refuses_what_is_not_in_it(provider, change):
    open_sender(provider.url).send([letter(1)])
    (request,) = provider.requests
    changed = type(request)(request.method, request.path, request.headers, json.dumps(request.json | change).encode())

    assert list(mail_send.against_description(request)) == []
    assert list(mail_send.against_description(changed))


@needs_description
def test_every_field_that_sendgrid_can_blame_is_known():
    body = mail_send.request_schema()["body"]["properties"]
    ours = {name for name in body if name != "personalizations"}
    persons = {f"personalizations.{name}" for name in body["personalizations"]["items"]["properties"]}

    assert ours | persons <= set(PROFILE.codes)
    assert {meaning.reason for meaning in PROFILE.codes.values() if meaning.reason} <= set(REASONS)


# secrets and people


@pytest.mark.parametrize("mode", [Mode.ACCEPT, Mode.BAD_400, Mode.BUSY, Mode.DROP_AFTER, Mode.UNKNOWN_401])
def test_nothing_of_a_person_or_a_key_reaches_logs_or_errors(provider, caplog, mode):
    canary = "canary.person"
    said = [canary, mail_send.KEY]
    message = letter(
        1, address=f"{canary}@example.com", fields={"subject": canary, "html": canary, "list_unsubscribe": f"https://x.example/{canary}"}
    )  # fmt: skip
    provider.conduct = mode
    provider.no = lambda status: mail_send.refusal(status, f"personalizations.0.{canary}", message=f"no {canary}")
    library = logging.getLogger("python_http_client")
    library.setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)

    sender = open_sender(provider.url)
    error = ""
    try:
        sender.send([message])
    except (Busy, Refused, Misconfigured, Unanswered) as failed:
        error = repr(failed) + repr(failed.__cause__)
    assert not [word for word in said if word in caplog.text + error]

    library.setLevel(logging.DEBUG)  # what the library says when it is let: the silence above is not for nothing
    outcome(sender, message)
    assert all(word in caplog.text for word in said)
    library.setLevel(logging.WARNING)


def test_the_factory_opens_it_with_the_key_of_the_settings_and_not_without(provider, make_workspace, tmp_path):
    (tmp_path / "reengage.yaml").write_text(
        f"providers:\n  - {{provider: email_sendgrid, endpoint: '{provider.url}/', categories: [retention]}}\n"
    )
    for key in (None, SecretStr("SG.key\n")):
        without = make_workspace(config=tmp_path, sendgrid_api_key=key)
        with pytest.raises(Misconfigured, match="REENGAGE_SENDGRID_API_KEY"):
            factory.open_sender(without, "email_sendgrid", mode="live")
    work = make_workspace(config=tmp_path, sendgrid_api_key=SecretStr(mail_send.KEY))

    sender = factory.open_sender(work, "email_sendgrid", mode="live")

    assert outcome(sender, letter(1)) == ["accepted"]
    assert provider.requests[0].json["categories"] == ["lapsing_customers", "retention"]
    sender.close()


def test_a_base_address_is_a_web_address():
    with pytest.raises(ValueError, match="endpoint"):
        EmailSendgrid(provider="email_sendgrid", endpoint="api.sendgrid.com")
