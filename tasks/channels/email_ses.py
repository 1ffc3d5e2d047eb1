"""Email over Amazon SES, API v2: one message to a call, since its call for many takes templates only."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from email.header import Header
from email.utils import quote
from typing import Any, Final

from config.providers import SES_SANDBOX_RATE, EmailSes
from config.settings import Sender as Writer
from tasks.channels import clients, envelope
from tasks.channels.amazon import CODES, Answer, Service
from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.profile import BUSY, HALT, REFUSED, TEMPLATE, Meaning, Profile
from tasks.rules.errors import Busy, Misconfigured, ProviderError, Refused, Unanswered
from tasks.rules.reports import ECHOES
from tasks.store.workspace import Workspace

# Said of an address that is not verified: ours, or anybody's while the account may only write to itself.
NOT_VERIFIED: Final = "MessageRejected (not verified)"
NO_TEMPLATE: Final = "NotFoundException (template)"

PROFILE: Final = Profile(
    provider="email_ses",
    channels=frozenset({"email"}),
    echo=ECHOES["email_ses"],
    codes={
        **CODES,
        "TooManyRequestsException": BUSY,
        "LimitExceededException": Meaning("busy", wait=900),  # a quota, of a day at most, not the rate
        "MessageRejected": REFUSED,
        NOT_VERIFIED: HALT,
        "BadRequestException": REFUSED,
        "AccountSuspendedException": HALT,
        "SendingPausedException": HALT,
        "MailFromDomainNotVerifiedException": HALT,
        "NotFoundException": HALT,  # the configuration set
        NO_TEMPLATE: TEMPLATE,
    },
)

MOST_TEMPLATE_DATA = 262_144
MOST_BYTES = 40_000_000  # of a message; Amazon counts its encoded form, so this lets a little too much through
_TAG = re.compile(r"[A-Za-z0-9_.@-]{1,256}")


class EmailSesSender:
    """Hands over one message at a time; the attempt id comes back in the events of the configuration set.

    `rate` is in messages a second; None = as fast as it answers.
    """

    def __init__(self, client: Any, options: EmailSes, writer: Writer, *, rate: float | None = None) -> None:
        self.profile = replace(PROFILE, rate=rate)
        self._service = Service(client, PROFILE)
        self._options = options
        self._writer = envelope.checked(writer)
        if options.feedback_to and envelope.wire_address(options.feedback_to) is None:
            raise Misconfigured("reengage.yaml: feedback_to of email_ses is not an email address")

    @classmethod
    def open(cls, work: Workspace, options: EmailSes, timeout: float) -> EmailSesSender:
        """The emails of reengage.yaml's provider and sender, with a timeout in seconds; boto3 finds the keys.

        Asks the account how many messages a second it may send, unless the options say so.
        """
        client = clients.amazon(
            "sesv2",
            region=options.region,
            endpoint=options.endpoint,
            timeout=timeout,
            connections=options.calls_in_flight or PROFILE.calls_in_flight,
        )
        return cls(client, options, work.settings.pipeline.sender, rate=options.rate or account_rate(client))

    def send(self, messages: Sequence[OutgoingMessage]) -> list[Receipt]:
        """Hand over one message, once. Raises Refused without a call for one that cannot leave."""
        (message,) = messages
        if flaw := _flaw(message):
            raise Refused(f"{PROFILE.provider}: not sent, found unfit before the call", flaw)
        answer = self._service.ask("send_email", self._arguments(message))
        if not answer.is_yes:
            raise self._service.failure(_by_cause(answer))
        return [
            Receipt(message.attempt_id, "accepted", answer.fields.get("MessageId") or None, status_code=answer.status)
        ]

    def close(self) -> None:
        """Let go of connections."""
        self._service.close()

    def _arguments(self, message: OutgoingMessage) -> Mapping[str, Any]:
        arguments: dict[str, Any] = {
            "FromEmailAddress": mailbox(self._writer),
            "Destination": {"ToAddresses": [envelope.wire_address(message.address)]},
            "Content": _content(message),
            "EmailTags": [
                *({"Name": name, "Value": value} for name, value in PROFILE.echoed(message.attempt_id).items()),
                {"Name": "campaign", "Value": message.campaign},
            ],
        }
        if self._writer.reply_to:
            arguments["ReplyToAddresses"] = [envelope.wire_address(self._writer.reply_to)]
        if self._options.configuration_set:
            arguments["ConfigurationSetName"] = self._options.configuration_set
        if self._options.feedback_to:
            arguments["FeedbackForwardingEmailAddress"] = envelope.wire_address(self._options.feedback_to)
        return arguments


def account_rate(client: Any, *, pause: float = 1) -> float | None:
    """Messages a second that the account may send (GetAccount), asked for up to three times, `pause` seconds apart.

    What SES allows everybody where our key may not ask; None, as fast as it answers, when nothing can be heard.
    """
    service = Service(client, PROFILE)
    for _ in range(3):
        try:
            found = service.call("get_account", {})
            return max(float(found["SendQuota"]["MaxSendRate"]), SES_SANDBOX_RATE)
        except (Busy, Unanswered):  # a question may be repeated; SES takes one a second
            time.sleep(pause)
        except (ProviderError, LookupError, TypeError, ValueError):
            return SES_SANDBOX_RATE
    return None


def mailbox(writer: Writer) -> str:
    """Name and address as a From header has them, in ASCII (RFC 2047)."""
    if writer.name.isascii():
        name = f'"{quote(writer.name)}"'
    else:
        name = Header(writer.name, "utf-8", maxlinelen=75).encode(linesep="")
    return f"{name} <{envelope.wire_address(writer.email)}>"


def _content(message: OutgoingMessage) -> dict[str, Any]:
    headers = [{"Name": name, "Value": value} for name, value in envelope.headers(message).items()]
    fields = message.fields
    if "template" in fields:
        made: dict[str, Any] = {
            "TemplateName": fields["template"],
            "TemplateData": json.dumps(envelope.parameters(message)),
        }
        return {"Template": made | ({"Headers": headers} if headers else {})}
    made = {
        "Subject": {"Data": fields["subject"], "Charset": "UTF-8"},
        "Body": {"Html": {"Data": fields["html"], "Charset": "UTF-8"}},
    }
    return {"Simple": made | ({"Headers": headers} if headers else {})}


def _flaw(message: OutgoingMessage) -> str | None:
    """Why a message certainly cannot leave: what boto3 would let through, and Amazon would not."""
    found = envelope.flaw(message)
    if found is None and (
        any(not _TAG.fullmatch(tag) for tag in (message.attempt_id, message.campaign))
        or len(json.dumps(envelope.parameters(message))) > MOST_TEMPLATE_DATA
        or len(message.fields.get("html", "").encode()) > MOST_BYTES
    ):
        return "content"
    return found


def _by_cause(answer: Answer) -> Answer:
    """An answer whose code tells two causes apart, which Amazon does in its text only."""
    if answer.code == "MessageRejected" and "not verified" in answer.message:
        return replace(answer, code=NOT_VERIFIED)
    if answer.code == "NotFoundException" and answer.message.startswith("Template "):
        return replace(answer, code=NO_TEMPLATE)
    return answer
