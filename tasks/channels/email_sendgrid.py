"""Email over Twilio SendGrid's Mail Send API, v3.

One request carries many people where it can. A dynamic template takes each person's values as data. Our own words
are rendered here, so every person has another text, while a request has one: the lines that are the same for all go
into it, and each person's other lines travel as substitutions of tags that stand in their place. SendGrid limits the
substitutions of a person to 10,000 bytes; who needs more, or whose words contain our tags, gets a request alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from config.providers import EmailSendgrid
from config.settings import Sender as Writer
from tasks.channels import clients, envelope
from tasks.channels.base import SANDBOX, OutgoingMessage, Receipt
from tasks.channels.profile import HALT, TEMPLATE, Meaning, Profile
from tasks.rules.errors import Misconfigured, Unreached, WrongTemplate
from tasks.rules.reports import ECHOES
from tasks.store.workspace import Workspace

_CONTENT = Meaning("refused", "content")

# SendGrid has no error codes: a 400 names the field it does not like, which is the code here, without numbers in it.
# It publishes no rate either: how fast it may be called is between it and the account, and a 429 names the moment from
# which it takes requests again, which every process then waits for.
# What is the same in every request we make is our own doing, so it halts the channel.
PROFILE: Final = Profile(
    provider="email_sendgrid",
    channels=frozenset({"email"}),
    echo=ECHOES["email_sendgrid"],
    batch=100,
    codes={
        "personalizations.to": Meaning("refused", "invalid_address"),
        **dict.fromkeys(
            (
                "personalizations.subject", "personalizations.headers", "personalizations.substitutions",
                "personalizations.dynamic_template_data", "personalizations.custom_args", "personalizations.send_at",
                "personalizations.cc", "personalizations.bcc", "personalizations", "subject", "content",
            ),
            _CONTENT,
        ),
        **dict.fromkeys(
            (
                "personalizations.from", "from", "reply_to", "reply_to_list", "attachments", "headers",
                "categories", "custom_args", "send_at", "batch_id", "asm", "ip_pool_name", "mail_settings",
                "tracking_settings",
            ),
            HALT,
        ),
        "template_id": TEMPLATE,
    },
    statuses={413: _CONTENT},
)  # fmt: skip

MOST_SUBSTITUTIONS = 10_000  # bytes per person
MOST_CUSTOM_ARGS = 10_000  # bytes per person
MOST_BYTES = 30_000_000  # of a request, rounded down from SendGrid's 30 MB
MOST_CATEGORIES = 10
# What a request may hold of shared words or of template data, when each of a hundred people has substitutions, a
# subject and headers of their own beside them.
_ROOM = MOST_BYTES - 100 * (MOST_SUBSTITUTIONS + 10_000)
_CUSTOM_ARGS_LEFT = MOST_CUSTOM_ARGS - len(json.dumps(PROFILE.echoed("")))
_TAG = "-reengage-line-"
_LONGEST_TAG = len(_TAG) + 20  # with the line's number and what JSON puts around both
_TRIED = 8  # calls of a kind that a message is compared with, so that many unlike ones cost little
_A_DAY = 86_400.0


class EmailSendgridSender:
    """Hands messages to SendGrid; the attempt id comes back in every event of a message."""

    profile = PROFILE

    def __init__(
        self,
        client: Any,
        writer: Writer,
        *,
        categories: Sequence[str] = (),
        sandbox: bool = False,
    ) -> None:
        self._post = client.client.mail.send.post
        self._writer = envelope.checked(writer)
        self._categories = tuple(categories)
        self._sandbox = sandbox

    @classmethod
    def open(cls, work: Workspace, options: EmailSendgrid, timeout: float) -> EmailSendgridSender:
        """The client with the key of the settings; `timeout` in seconds.

        Raises Misconfigured when the key or who writes cannot stand in a header.
        """
        secret = work.settings.sendgrid_api_key
        key = secret.get_secret_value() if secret else ""
        if not re.fullmatch(r"[!-~]+", key):
            raise Misconfigured("REENGAGE_SENDGRID_API_KEY is empty or has characters that no key has")
        client = clients.sendgrid(key, endpoint=options.endpoint.rstrip("/"), timeout=timeout)
        return cls(client, work.settings.pipeline.sender, categories=options.categories, sandbox=options.sandbox)

    def calls(self, messages: Sequence[OutgoingMessage]) -> list[list[OutgoingMessage]]:
        """Divide messages so that each call has one campaign and template, nobody twice, and keeps to the sizes.

        SendGrid refuses a whole request for one message that breaks these rules, so one that cannot leave is alone.
        """
        return [_Ready(call) for call in _divided([(message, self._flaw(message) is None) for message in messages])]

    def send(self, messages: Sequence[OutgoingMessage]) -> list[Receipt]:
        """Make one request of the messages that can go together; none when nothing in them can leave at all.

        A message that does not fit into the request is returned: it was not sent and may go in another call.
        """
        if isinstance(messages, _Ready) and messages.call.is_sound:
            return self._send(messages.call, is_all=True)
        flaws = {message.attempt_id: flaw for message in messages if (flaw := self._flaw(message)) is not None}
        receipts = [Receipt(attempt_id, "refused", reason=flaw) for attempt_id, flaw in flaws.items()]
        sound = [message for message in messages if message.attempt_id not in flaws]
        if not sound:
            return receipts
        going, *others = _divided([(message, True) for message in sound])
        receipts += [Receipt(part.message.attempt_id, "returned") for call in others for part in call.parts]
        return receipts + self._send(going, is_all=len(going.parts) == len(messages))

    def close(self) -> None:
        """Every call had a connection of its own; there is nothing to let go of."""

    def _send(self, call: _Call, *, is_all: bool) -> list[Receipt]:
        from python_http_client.exceptions import HTTPError

        from tasks.channels.direct import NoConnection

        messages = [part.message for part in call.parts]
        template = messages[0].fields.get("template")
        if template is not None and not template.startswith("d-"):
            raise WrongTemplate(f"template {template} is none of SendGrid's dynamic templates: their ids begin with d-")
        try:
            answer = self._post(request_body=self._body(call))
        except HTTPError as error:
            return self._no(error, messages, is_all=is_all)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is sorted by whether bytes had left
            reason = getattr(error, "reason", None)
            words = type(reason if isinstance(reason, Exception) else error).__name__
            if isinstance(reason, NoConnection):
                raise Unreached(f"{PROFILE.provider}: cannot be reached ({reason})") from None
            raise PROFILE.failure(Meaning("unanswered"), f"no answer ({words})") from None
        if answer.status_code == 202:
            number = answer.headers.get("X-Message-Id")
            return [_receipt(message, "accepted", 202, number=number) for message in messages]
        if answer.status_code == 200:  # the sandbox: looked at, and thrown away
            return [_receipt(message, "refused", 200, reason=SANDBOX) for message in messages]
        raise PROFILE.failure(PROFILE.judge(answer.status_code), f"status {answer.status_code}")

    def _no(self, error: Any, messages: Sequence[OutgoingMessage], *, is_all: bool) -> list[Receipt]:
        """What an error answer says about each message; raises when it says the same about all of them."""
        status = error.status_code
        named = list(_named_fields(error.body)) if status == 400 else []
        meanings = [PROFILE.judge(status, codes) for _, codes in named] or [PROFILE.judge(status)]
        worst = next((meaning for meaning in meanings if meaning.verdict == "misconfigured"), meanings[0])
        known = sorted({code for _, codes in named for code in codes if code in PROFILE.codes})
        words = " ".join([f"status {status}", *known])
        if worst.verdict != "refused" or (is_all and len(messages) == 1):
            raise PROFILE.failure(worst, words, retry_after=_wait(error.headers) if status == 429 else None)
        people = [number for number, _ in named]
        blamed = dict(zip(people, [meaning.reason for meaning in meanings], strict=False))
        if len(messages) == 1:
            blamed = {0: worst.reason}
        return [
            _receipt(message, "refused", status, reason=blamed[number])
            if number in blamed
            else _receipt(message, "returned", status)
            for number, message in enumerate(messages)
        ]

    def _flaw(self, message: OutgoingMessage) -> str | None:
        """Why a message certainly cannot leave, found before any byte does; None when it can."""
        found = envelope.flaw(message)
        if found is not None:
            return found
        categories = self._named(message)
        if (
            _bytes(_words(message), _ROOM) > _ROOM
            or _bytes(message.attempt_id, _CUSTOM_ARGS_LEFT) > _CUSTOM_ARGS_LEFT
            or any(not 0 < len(category) <= 255 for category in categories)
            or len(categories) > MOST_CATEGORIES
        ):
            return "content"
        return None

    def _named(self, message: OutgoingMessage) -> list[str]:
        """Categories, which SendGrid keeps for years and shows its staff: nothing of a person is in them."""
        return list(dict.fromkeys((message.campaign, *self._categories)))

    def _body(self, call: _Call) -> dict[str, Any]:
        first = call.parts[0].message
        body: dict[str, Any] = {
            "from": {"email": envelope.wire_address(self._writer.email), "name": self._writer.name},
            "personalizations": [_personalization(part.message) for part in call.parts],
            "categories": self._named(first),
            # The unsubscribe link is ours; SendGrid would add its own footer and headers beside it.
            "tracking_settings": {"subscription_tracking": {"enable": False}},
        }
        if self._writer.reply_to:
            body["reply_to"] = {"email": envelope.wire_address(self._writer.reply_to)}
        if self._sandbox:
            body["mail_settings"] = {"sandbox_mode": {"enable": True}}
        if "template" in first.fields:
            body["template_id"] = first.fields["template"]
            return body
        body["content"] = [{"type": "text/html", "value": call.shared}]
        if call.differing:
            tags = _tags(call.differing)
            for one, part in zip(body["personalizations"], call.parts, strict=True):
                one["substitutions"] = part.substitutions(tags)
        return body


@dataclass(frozen=True)
class _Part:
    """A message with what decides whom it can share a request with."""

    message: OutgoingMessage
    person: str  # nobody is twice in a request
    lines: list[str]
    data: int  # bytes of template data, at most

    @classmethod
    def of(cls, message: OutgoingMessage) -> _Part:
        person = message.address.casefold()
        if "template" in message.fields:
            return cls(message, person, [], _bytes(_words(message), _ROOM))
        return cls(message, person, message.fields.get("html", "").split("\n"), 0)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What all messages of a request have in common, as far as it can be told before they are compared."""
        return (self.message.campaign, self.message.fields.get("template"), len(self.lines))

    @property
    def may_share(self) -> bool:
        """False when its words look like our tags, for which SendGrid would put in somebody else's."""
        return not any(_TAG in self.message.fields.get(name, "") for name in ("html", "subject"))

    def substitutions(self, tags: Mapping[int, str]) -> dict[str, str]:
        """Its own lines, by the tags that stand for them."""
        return {tag: self.lines[number] for number, tag in tags.items()}

    def fits(self, numbers: Collection[int]) -> bool:
        """Whether its own lines keep to the limit, counted as the JSON that leaves."""
        most = sum(6 * len(self.lines[number]) + _LONGEST_TAG for number in numbers)
        return most <= MOST_SUBSTITUTIONS or len(json.dumps(self.substitutions(_tags(numbers)))) <= MOST_SUBSTITUTIONS


class _Call:
    """Messages of one kind that go in one request; one that is not sound is alone, and none is made of it."""

    def __init__(self, first: _Part, *, is_sound: bool) -> None:
        self.parts = [first]
        self.is_sound = is_sound
        self.differing: set[int] = set()  # numbers of the lines that are not the same in all messages
        self._people = {first.person}
        self._data = first.data

    @property
    def shared(self) -> str:
        """The words of all, with tags for the lines that differ."""
        lines = enumerate(self.parts[0].lines)
        return "\n".join(_tag(number) if number in self.differing else line for number, line in lines)

    def takes(self, part: _Part) -> bool:
        """Add a message, unless that would break a rule."""
        if len(self.parts) >= PROFILE.batch or part.person in self._people:
            return False
        if self._data + part.data > _ROOM:
            return False
        differing = self._with(part)
        if not part.fits(differing):
            return False
        if differing != self.differing and not all(one.fits(differing) for one in self.parts):
            return False
        self.differing = differing
        self.parts.append(part)
        self._people.add(part.person)
        self._data += part.data
        return True

    def _with(self, part: _Part) -> set[int]:
        pairs = enumerate(zip(self.parts[0].lines, part.lines, strict=True))
        return self.differing.union([number for number, (mine, other) in pairs if mine != other])


class _Ready(list[OutgoingMessage]):
    """The messages of a call that was made up here, with what was found out about them: it need not be asked twice."""

    def __init__(self, call: _Call) -> None:
        super().__init__(part.message for part in call.parts)
        self.call = call


def _divided(messages: Sequence[tuple[OutgoingMessage, bool]]) -> list[_Call]:
    """Messages in calls; one that is not sound (False) gets a call of its own."""
    made: list[_Call] = []
    alike: dict[tuple[Any, ...], list[_Call]] = {}
    for message, is_sound in messages:
        part = _Part.of(message)
        if not is_sound or not part.may_share:
            made.append(_Call(part, is_sound=is_sound))
            continue
        beside = alike.setdefault(part.kind, [])
        if any(call.takes(part) for call in beside[-_TRIED:]):
            continue
        made.append(_Call(part, is_sound=True))
        beside.append(made[-1])
    return made


def _tag(number: int) -> str:
    return f"{_TAG}{number}-"


def _tags(numbers: Collection[int]) -> dict[int, str]:
    return {number: _tag(number) for number in sorted(numbers)}


def _personalization(message: OutgoingMessage) -> dict[str, Any]:
    made: dict[str, Any] = {
        "to": [{"email": envelope.wire_address(message.address)}],
        "custom_args": PROFILE.echoed(message.attempt_id),
    }
    if headers := envelope.headers(message):
        made["headers"] = headers
    if subject := message.fields.get("subject"):
        made["subject"] = subject
    if "template" in message.fields:
        made["dynamic_template_data"] = dict(envelope.parameters(message) or {})
    return made


def _words(message: OutgoingMessage) -> str:
    return message.fields.get("parameters" if "template" in message.fields else "html", "")


def _bytes(text: str, limit: int) -> int:
    """Bytes that a text takes in a request: at most, or exactly where that decides about the limit.

    A request leaves as JSON in ASCII, in which a character takes six bytes at most.
    """
    most = 6 * len(text) + 2
    return most if most <= limit else len(json.dumps(text))


def _receipt(
    message: OutgoingMessage, outcome: Any, status: int, *, number: str | None = None, reason: str | None = None
) -> Receipt:
    return Receipt(message.attempt_id, outcome, provider_message_id=number or None, reason=reason, status_code=status)


def _named_fields(body: bytes) -> Iterator[tuple[int | None, list[str]]]:
    """(number of the person, field names from the exact one to its root) of each error in an answer."""
    try:
        errors = json.loads(body)["errors"]
        fields = [str(error["field"]) for error in errors if error.get("field")]
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    for name in fields:
        person = re.match(r"personalizations[.\[](\d+)", name)
        parts = [part for part in re.split(r"[.\[\]]+", name) if part and not part.isdigit()]
        yield int(person[1]) if person else None, [".".join(parts[:upto]) for upto in range(len(parts), 0, -1)]


def _number(text: str | None) -> float | None:
    try:
        found = float(text) if text else None
    except ValueError:
        return None
    return found if found is not None and 0 <= found < 1e11 else None


def _wait(headers: Any) -> float | None:
    """Seconds until SendGrid takes requests again: it names the moment, which is read by SendGrid's own clock."""
    seconds = _number(headers.get("Retry-After"))
    reset = _number(headers.get("X-RateLimit-Reset"))
    if seconds is None and reset is not None:
        try:
            seconds = max(reset - parsedate_to_datetime(headers.get("Date") or "").timestamp(), 0.0)
        except ValueError:
            return None
    return seconds if seconds is not None and seconds <= _A_DAY else None
