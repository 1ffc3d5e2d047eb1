"""Amazon SES: what leaves is as Amazon's own model says, and every answer comes to the one outcome that is true."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email.header import decode_header, make_header
from email.utils import parseaddr

import httpx
import pytest
from moto.server import ThreadedMotoServer

from config.providers import EmailSes
from config.settings import Sender as Writer
from tasks.channels import clients, factory
from tasks.channels.base import OutgoingMessage, in_calls
from tasks.channels.email_ses import PROFILE, EmailSesSender, account_rate, mailbox
from tasks.rules.errors import Busy, Misconfigured, Refused, Unanswered, Unreached, WrongTemplate
from tasks.rules.words import REASONS
from tests.channels import amazon
from tests.channels.letters import EXPECTED, UNFIT, WRITER, letter, templated
from tests.channels.loopback import Answer, Loopback, Mode, Request

ERRORS = {"busy": Busy, "refused": Refused, "misconfigured": Misconfigured, "unanswered": Unanswered}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing-secret")


@pytest.fixture
def provider() -> Iterator[Loopback]:
    loopback = Loopback(
        judge=amazon.judge("sesv2", "SendEmail"),
        keys=lambda request: [tags(request)["attempt_id"]],
        yes=lambda _: amazon.answer("sesv2", "SendEmail", MessageId="message-1"),
        no=amazon.says("sesv2", {400: "BadRequestException", 429: "TooManyRequestsException"}),
    )
    with loopback.running() as running:
        yield running


def sent(request: Request) -> dict:
    return amazon.read("sesv2", "SendEmail", request)


def tags(request: Request) -> dict[str, str]:
    return {tag["Name"]: tag["Value"] for tag in sent(request)["EmailTags"]}


def open_sender(endpoint: str, *, timeout: float = 20, writer: Writer = WRITER, **options) -> EmailSesSender:
    chosen = EmailSes(provider="email_ses", region="eu-central-1", endpoint=endpoint, **options)
    client = clients.amazon("sesv2", region=chosen.region, endpoint=endpoint, timeout=timeout)
    return EmailSesSender(client, chosen, writer)


def outcome(sender: EmailSesSender, message: OutgoingMessage) -> str | type[Exception]:
    """How a call ended: its outcome, or the kind of error."""
    try:
        (receipt,) = sender.send([message])
    except (Busy, Refused, Misconfigured, Unanswered) as error:
        return type(error)
    assert receipt.attempt_id == message.attempt_id
    return receipt.outcome


@pytest.mark.parametrize("mode", Mode)
def test_each_conduct_of_the_provider_comes_to_one_outcome_after_one_request(provider, mode):
    provider.conduct = mode
    sender = open_sender(provider.url, timeout=2 if mode is Mode.HANG else 20)

    found = outcome(sender, letter(1))

    assert (found, len(provider.accepted)) == EXPECTED[mode]
    assert len(provider.requests) == (0 if mode is Mode.DROP_BEFORE else 1)


def test_a_throttled_call_rests_as_long_as_it_is_told(provider):
    provider.conduct = Mode.BUSY_120

    with pytest.raises(Busy) as busy:
        open_sender(provider.url).send([letter(1)])

    assert busy.value.retry_after == 120


def test_the_number_of_an_accepted_message_is_kept(provider):
    (receipt,) = open_sender(provider.url).send([letter(1)])

    assert (receipt.outcome, receipt.provider_message_id, receipt.status_code) == ("accepted", "message-1", 200)


def test_every_error_of_amazons_model_is_known_and_comes_to_what_the_profile_says(provider):
    sender = open_sender(provider.url)
    codes = [shape.error_code for shape in amazon.model("sesv2").operation_model("SendEmail").error_shapes]

    found = {}
    for code in codes:
        provider.judge = lambda _, code=code: amazon.refusal("sesv2", code)
        found[code] = outcome(sender, letter(1))

    assert len(codes) >= 8
    assert found == {code: ERRORS[PROFILE.codes[code].verdict] for code in codes}
    assert found["AccountSuspendedException"] is found["SendingPausedException"] is Misconfigured
    assert found["MessageRejected"] is found["BadRequestException"] is Refused
    assert found["TooManyRequestsException"] is Busy
    assert provider.accepted == []


@pytest.mark.parametrize(
    ("told", "means"),
    [
        ("Template come_back does not exist", WrongTemplate),
        ("Configuration set <template> does not exist.", Misconfigured),
    ],
)
def test_a_template_that_is_not_there_is_the_campaigns_fault_only(provider, told, means):
    provider.judge = lambda _: amazon.refusal("sesv2", "NotFoundException", told)

    with pytest.raises(Misconfigured) as stopped:
        open_sender(provider.url).send([letter(1)])

    assert type(stopped.value) is means


def test_an_address_that_is_not_verified_is_our_account_and_not_a_persons_fault(provider):
    provider.judge = lambda _: amazon.refusal(
        "sesv2", "MessageRejected", "Email address is not verified. The following identities failed: ann@example.com"
    )

    with pytest.raises(Misconfigured) as halted:
        open_sender(provider.url).send([letter(1)])

    assert "ann" not in str(halted.value)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:{closed}", "https://{plain}", "http://nobody.invalid"])
def test_a_provider_that_cannot_be_reached_has_certainly_accepted_nothing(provider, endpoint):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = endpoint.format(closed=closed.getsockname()[1], plain=provider.url.removeprefix("http://"))

        assert outcome(open_sender(url), letter(1)) is Unreached

    assert provider.requests == []


# what leaves


def test_a_message_leaves_with_its_words_headers_tags_and_settings(provider):
    message = letter(1, address="ann@müller.example.com")
    sender = open_sender(provider.url, configuration_set="events", feedback_to="bounces@example.com")
    sender.send([message])

    assert sent(provider.requests[0]) == {
        "FromEmailAddress": mailbox(WRITER),
        "ReplyToAddresses": ["answers@example.com"],
        "FeedbackForwardingEmailAddress": "bounces@example.com",
        "Destination": {"ToAddresses": ["ann@xn--mller-kva.example.com"]},
        "Content": {
            "Simple": {
                "Subject": {"Data": "Hello person 1 äöü", "Charset": "UTF-8"},
                "Body": {"Html": {"Data": message.fields["html"], "Charset": "UTF-8"}},
                "Headers": [
                    {"Name": "List-Unsubscribe", "Value": f"<{message.fields['list_unsubscribe']}>"},
                    {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
                ],
            }
        },
        "EmailTags": [
            {"Name": "attempt_id", "Value": message.attempt_id},
            {"Name": "campaign", "Value": "lapsing_customers"},
        ],
        "ConfigurationSetName": "events",
    }


def test_a_plain_installation_sets_nothing_that_it_has_not_named(provider):
    sender = open_sender(provider.url, writer=Writer(name="Shop", email="shop@example.com"))
    sender.send([letter(1, fields={"list_unsubscribe": None})])

    request = sent(provider.requests[0])
    assert set(request) == {"FromEmailAddress", "Destination", "Content", "EmailTags"}
    assert set(request["Content"]["Simple"]) == {"Subject", "Body"}


def test_a_template_kept_at_amazon_takes_its_values_and_the_same_headers(provider):
    assert outcome(open_sender(provider.url), templated(1, name="sale")) == "accepted"

    template = sent(provider.requests[0])["Content"]["Template"]
    assert template["TemplateName"] == "sale"
    assert json.loads(template["TemplateData"]) == {"first_name": "Ünal 1"}
    assert [header["Name"] for header in template["Headers"]] == ["List-Unsubscribe", "List-Unsubscribe-Post"]


@pytest.mark.parametrize(
    "name",
    ["Shop", "Grüße & Söhne", 'The "Best" \\ Shop, Ltd. <x@example.org>', "靴とかばんの店" * 12, "Ünder" * 20],
)
def test_who_writes_is_read_back_from_one_line_of_ascii(name):
    line = mailbox(Writer(name=name, email="hello@example.com"))
    read, address = parseaddr(line)

    assert line.isascii()
    assert line.isprintable()
    assert all(len(word) <= 75 for word in line.split() if word.startswith("=?"))
    assert (str(make_header(decode_header(read))), address) == (name, "hello@example.com")


def test_several_messages_go_in_calls_of_one(provider):
    messages = [letter(number) for number in range(3)]

    assert in_calls(open_sender(provider.url), messages) == [[message] for message in messages]


@pytest.mark.parametrize("what", UNFIT)
def test_what_could_become_another_header_or_person_is_refused_before_a_byte_leaves(provider, what):
    changes, reason = UNFIT[what]

    with pytest.raises(Refused) as refused:
        open_sender(provider.url).send([letter(1, **changes)])

    assert refused.value.reason == reason
    assert provider.requests == []


@pytest.mark.parametrize(
    "changes",
    [
        {"campaign": "sale in may"},
        {"campaign": "x" * 257},
        {"fields": {"template": "sale", "parameters": json.dumps({"long": "x" * 262_144})}},
        {"fields": {"html": "x" * 40_000_001}},
    ],
    ids=["a tag with spaces", "a long tag", "template data", "40 MB"],
)
def test_what_is_beyond_amazons_limits_is_refused_before_a_byte_leaves(provider, changes):
    assert outcome(open_sender(provider.url), letter(1, **changes)) is Refused
    assert provider.requests == []


@pytest.mark.parametrize(
    ("writer", "options"),
    [
        (Writer(name="Shop\r\nBcc: eve@example.com", email="hello@example.com"), {}),
        (Writer(name="Shop", email="hello@example.com\nBcc: eve@example.com"), {}),
        (WRITER, {"feedback_to": "nobody"}),
    ],
)
def test_a_writer_who_cannot_stand_in_a_header_halts_before_any_message(writer, options):
    with pytest.raises(Misconfigured, match=r"reengage\.yaml"):
        open_sender("http://127.0.0.1:9", writer=writer, **options)


# an emulator of other people


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_moto_delivers_for_a_verified_sender_and_halts_us_for_another(moto):
    client = clients.amazon("sesv2", region="eu-central-1", endpoint=moto, timeout=20)
    client.create_email_identity(EmailIdentity="hello@example.com")

    assert outcome(open_sender(moto), letter(1)) == "accepted"
    assert outcome(open_sender(moto, writer=Writer(email="other@example.org")), letter(2)) is Misconfigured

    stored = httpx.get(f"{moto}/moto-api/data.json").json()["ses"]["Message"]
    assert len(stored) == 1
    assert "Hello person 1" in json.dumps(stored)


# secrets and people


@pytest.mark.parametrize("mode", [Mode.ACCEPT, Mode.BAD_400, Mode.DROP_AFTER, Mode.UNKNOWN_401])
def test_nothing_of_a_person_or_a_key_reaches_logs_or_errors(provider, caplog, mode):
    canary = "canary.person"
    message = letter(1, address=f"{canary}@example.com", fields={"subject": canary, "html": canary})
    provider.conduct = mode
    provider.no = lambda status: amazon.refusal("sesv2", "BadRequestException", f"no {canary}", status=status)
    caplog.set_level("DEBUG")

    error = ""
    try:
        open_sender(provider.url).send([message])
    except (Refused, Misconfigured, Unanswered) as failed:
        error = repr(failed) + repr(failed.__cause__)

    assert not [word for word in (canary, "testing-secret") if word in caplog.text + error]
    assert {meaning.reason for meaning in PROFILE.codes.values() if meaning.reason} <= set(REASONS)


def test_the_factory_opens_it_with_the_keys_that_boto3_finds(provider, make_workspace, tmp_path):
    (tmp_path / "reengage.yaml").write_text(
        f"sender: {{email: shop@example.com}}\n"
        f"providers:\n  - {{provider: email_ses, region: eu-central-1, endpoint: '{provider.url}'}}\n"
    )
    sender = factory.open_sender(make_workspace(config=tmp_path), "email_ses", mode="live")

    assert outcome(sender, letter(1)) == "accepted"
    assert sent(provider.requests[-1])["FromEmailAddress"] == '"Example Shop" <shop@example.com>'
    sender.close()


@contextmanager
def account(*answers: Answer) -> Iterator[tuple[Loopback, object]]:
    """An account that answers so, one after the other, and a client for it."""
    told = iter(answers)
    loopback = Loopback(judge=lambda _: next(told), keys=lambda _: [], yes=lambda _: Answer(200))
    with loopback.running():
        yield loopback, clients.amazon("sesv2", region="eu-central-1", endpoint=loopback.url, timeout=5)


def quota(rate: float) -> Answer:
    return amazon.answer("sesv2", "GetAccount", SendQuota={"Max24HourSend": 5e4, "MaxSendRate": rate})


BUSY = amazon.refusal("sesv2", "TooManyRequestsException")


@pytest.mark.parametrize(
    ("answers", "rate"),
    [
        ([quota(14.0)], 14),
        ([quota(0.0)], 1),
        ([BUSY, quota(50.0)], 50),
        ([BUSY, Answer(500), BUSY], None),
        ([amazon.refusal("sesv2", "BadRequestException", status=403)], 1),
        ([Answer(403, {"message": "not authorized"}, {"x-amzn-ErrorType": "AccessDeniedException"})], 1),
        ([Answer(200, b"{")], 1),
    ],
)
def test_the_rate_is_the_accounts_own(answers, rate):
    with account(*answers) as (loopback, client):
        assert account_rate(client, pause=0) == rate
        assert len(loopback.requests) == len(answers)


def test_a_rate_in_the_options_asks_nobody(provider, make_workspace, tmp_path):
    (tmp_path / "reengage.yaml").write_text(
        f"providers: [{{provider: email_ses, region: eu-central-1, endpoint: '{provider.url}', rate: 7}}]\n"
    )
    sender = factory.open_sender(make_workspace(config=tmp_path), "email_ses", mode="live")

    assert sender.profile.rate == 7
    assert provider.requests == []
    sender.close()


def test_no_keys_at_all_halt_the_channel(provider, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    assert outcome(open_sender(provider.url), letter(1)) is Misconfigured
    assert provider.requests == []
