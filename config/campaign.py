"""The shape of a campaign: one folder with `campaign.yaml` and message files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from config.errors import ConfigError, Problem, problems_of
from config.settings import ZoneName, read_yaml

Channel = Literal["email", "push", "webpush", "inbox", "sms", "whatsapp"]
PlatformName = Literal["meta", "tiktok", "google"]
Basis = Literal["express", "soft_opt_in", "inquiry"]
Purpose = Literal["marketing", "retargeting", "transactional"]
# What WhatsApp charges by; a message without a template is a service message.
PriceCategory = Literal["marketing", "utility", "authentication", "service"]
PlainText = Annotated[str, Field(min_length=1, max_length=500)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]

MAX_STEPS = 3
LONGEST_OFFSET = timedelta(hours=72)
# Gmail and Yahoo take no bulk mail of a sender whose complaints reach this share (C8, C10).
MOST_COMPLAINTS = 0.003
_DURATION = re.compile(r"^\s*(\d+)\s*(m|min|h|d)\s*$")
_UNIT = {"m": timedelta(minutes=1), "min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def _parse_duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    found = _DURATION.match(value) if isinstance(value, str) else None
    if not found:
        message = "must be a whole number with a unit, such as 30m, 12h or 3d"
        raise ValueError(message)
    return int(found[1]) * _UNIT[found[2]]


def show_duration(length: timedelta) -> str:
    """A duration as campaign files write it: the largest unit that leaves a whole number."""
    minutes = int(length.total_seconds() // 60)
    if minutes and minutes % 1440 == 0:
        return f"{minutes // 1440}d"
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


def _parse_clock(value: Any) -> Any:
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        message = 'must be a time of day in quotes, such as "21:00"'
        raise ValueError(message)
    return time.fromisoformat(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration),
    PlainSerializer(show_duration, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(m|min|h|d)$", "examples": ["30m", "12h", "3d"]}),
]
ClockTime = Annotated[
    time,
    BeforeValidator(_parse_clock),
    PlainSerializer(lambda value: value.strftime("%H:%M"), when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$", "examples": ["21:00"]}),
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


# What a template has beside its text; ours are text only (R6).
MEDIA = ("header", "image", "video", "document", "location", "media", "buttons", "carousel")


class ProviderTemplate(_Part):
    """A template kept at the provider: an approved WhatsApp template, or a dynamic template of SendGrid."""

    name: str = Field(min_length=1, max_length=512, description="its name at WhatsApp, or its `d-...` id at SendGrid")
    language: str = Field("en", pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$", description="WhatsApp only: its language code")
    category: Literal["marketing", "utility", "authentication"] | None = Field(
        None,
        description="WhatsApp only: what it was approved as, which decides its price; default: marketing, or utility "
        "where the campaign's purpose is transactional",
    )
    parameters: dict[str, str] = Field(
        {}, description="its variables in their order, each with a text that may use the message's variables"
    )

    @model_validator(mode="before")
    @classmethod
    def _text_only(cls, given: Any) -> Any:
        found = [name for name in MEDIA if isinstance(given, Mapping) and name in given]
        if found:
            message = f"templates are text only: {', '.join(found)} must go"
            raise ValueError(message)
        return given


class Message(_Part):
    """One message of a step on one channel; files are in the campaign's folder, subject and title are inline."""

    file: str = Field(description="body template, a file in this folder (.html for email, .txt otherwise)")
    subject: str | None = Field(None, max_length=200, description="email only: subject line, may use variables")
    title: str | None = Field(None, max_length=100, description="push, webpush and inbox: title, may use variables")
    link: str | None = Field(None, description="push, webpush and inbox: where a tap leads (https)")
    template: ProviderTemplate | None = Field(
        None, description="email and whatsapp: a template kept at the provider; the file then shows what it says"
    )

    @field_validator("file")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not re.fullmatch(r"[\w.-]+\.(html|txt)", name):
            message = "must be a file name in this folder ending in .html or .txt, without folders"
            raise ValueError(message)
        return name

    @field_validator("link")
    @classmethod
    def _https(cls, link: str | None) -> str | None:
        if link is not None and not link.startswith("https://"):
            message = "must begin with https://"
            raise ValueError(message)
        return link


Messages = dict[Channel, Message]


class Step(_Part):
    """One message of the sequence, counted from the anchor and not from the step before (R13)."""

    send_after: Duration = Field(description="elapsed time from the anchor, more than 0 and at most 72h (A1)")
    messages: Messages = Field(min_length=1, description="one message per channel this step may use")

    @field_validator("send_after")
    @classmethod
    def _within_limits(cls, offset: timedelta) -> timedelta:
        if not timedelta(0) < offset <= LONGEST_OFFSET:
            message = "must be more than 0 and at most 72h"
            raise ValueError(message)
        return offset


class ChannelUse(_Part):
    """A channel this campaign may use, and on which grounds."""

    name: Channel = Field(description="the channel")
    consent: tuple[Basis, ...] = Field(("express",), min_length=1, description="consent bases accepted here")


class PlatformUse(_Part):
    """An ad platform whose audience follows the segment."""

    name: PlatformName = Field(description="the ad platform")
    audience: str | None = Field(None, max_length=100, description="audience name; default: the campaign's name")
    consent: tuple[Basis, ...] = Field(("express",), min_length=1, description="consent bases accepted here")


class QuietHours(_Part):
    """When nobody is written to, on the recipient's wall clock: [start, end), may cross midnight (A3)."""

    start: ClockTime = Field(description="first quiet moment")
    end: ClockTime = Field(description="first moment that is open again")
    on_quiet: Literal["hold", "drop"] = Field("hold", description="hold to the end of the interval, or drop the step")
    unknown_zone: ZoneName | None = Field(
        None, description="zone assumed when none is known; email, push, webpush and inbox only"
    )

    @model_validator(mode="after")
    def _not_empty(self) -> QuietHours:
        if self.start == self.end:
            message = "start and end are equal: leave quiet_hours out, or give an interval"
            raise ValueError(message)
        return self


class Cap(_Part):
    """At most `messages` accepted per person in any rolling period, over all campaigns."""

    messages: int = Field(ge=1, description="how many")
    per: Duration = Field(description="rolling period, such as 7d")
    channel: Channel | None = Field(None, description="one channel; left out: all channels together")


class Voucher(_Part):
    """The discount in every message and in the recorded `voucher` event (B8, A19)."""

    code: str = Field(pattern=r"^[A-Za-z0-9_-]{3,40}$", description="one code for everyone")
    percent: Decimal | None = Field(None, gt=0, le=100, description="what it takes off, for the text of the message")
    valid_days: int | None = Field(None, ge=1, description="how long it is good for, for the text of the message")


class PauseWhen(_Part):
    """When a campaign switches itself off, until somebody resumes it (P18, C10)."""

    errors: float = Field(
        0.2,
        gt=0,
        le=1,
        description="share of a run's messages that was refused or lost, or of the newest ones that failed as reported",
    )
    at_least: int = Field(50, ge=1, description="but not before so many messages were handed over")
    complaints: float = Field(
        0.002,
        gt=0,
        description="share of the last 1,000 or more delivered emails that was called spam; at most 0.003, since from "
        "0.3 % on mailbox providers turn everything away that the sender writes",
        json_schema_extra={"maximum": MOST_COMPLAINTS},
    )

    @field_validator("complaints")
    @classmethod
    def _below_the_hard_stop(cls, share: float) -> float:
        if share > MOST_COMPLAINTS:
            message = f"must be at most {MOST_COMPLAINTS} (0.3 %): from there on mailbox providers turn a sender away"
            raise ValueError(message)
        return share


class Variant(_Part):
    """One arm of a message test; shares take consecutive intervals in file order."""

    name: Name = Field(description="name in reports")
    share: float = Field(gt=0, le=1, description="share of the people who are not held out")
    messages: dict[int, Messages] = Field({}, description="messages that differ from the steps', by step number")


class Goal(_Part):
    """What counts as success: a purchase, or a named event whose properties match (A23)."""

    event: str = Field(
        "purchase", min_length=1, description="`purchase`, `qualified` (the milestone), or the name of an event"
    )
    where: dict[str, str | int | float | bool] = Field({}, description="property values the event must have")


# The milestone of a conversation as goal or stop event.
QUALIFIED = "qualified"
# After so long without a message of the customer WhatsApp takes approved templates only.
SERVICE_WINDOW = timedelta(hours=24)
NEEDS_TEMPLATE = "a step after 24h or more needs a template: WhatsApp takes no other words then"


class Retargeting(_Part):
    """How people from click-to-WhatsApp ads who stalled are written to again (R8, R9, R16, A4)."""

    when_ad_paused: bool = Field(False, description="write also while the ad is paused (R8)")
    after_free_window: bool = Field(
        False, description="write also outside the free window, at WhatsApp's regular price (R9)"
    )
    anchor: Literal["latest_message", "before_first_retarget"] = Field(
        "latest_message",
        description="the customer message that steps count from: the newest, or the newest before the first step (A4)",
    )
    min_quiet_after_reply: Duration = Field(
        timedelta(hours=1), description="no step so soon after a message of the customer"
    )
    backlog: bool = Field(True, description="enrol also who had been silent for more than 72h when first seen (R16)")


class Objective(_Part):
    """What the campaign is for; reporting only, it never changes who is reached (I3, I4)."""

    kind: Literal[
        "average_basket_value_increase", "conversion_increase", "turnover_increase", "number_of_transactions_increase"
    ] = Field(description="one of the four default objectives")
    growth_percent: float = Field(gt=0, le=1000, description="growth wanted, in percent")


class Period(_Part):
    """Active period, inclusive on both days in the campaign's time zone (A20)."""

    start: date | None = Field(None, description="first day")
    end: date | None = Field(None, description="last day")

    @model_validator(mode="after")
    def _in_order(self) -> Period:
        if self.start and self.end and self.end < self.start:
            message = "end lies before start"
            raise ValueError(message)
        return self


def _in_full(given: Mapping[str, Any]) -> dict[str, Any]:
    """Short forms (`channels: [email]`, `all_viable`, `platforms: [meta]`) in full; retargeting with its own goal."""
    full = dict(given)
    if full.get("channels") == "all_viable":
        full |= {"channels": ["email", "push", "sms"], "reach": "all_viable"}
    if full.get("retargeting") is not None:
        full = {"goal": {"event": QUALIFIED}, "stop_event": {"event": QUALIFIED}} | full
    for field in ("channels", "platforms"):
        if isinstance(full.get(field), list):
            full[field] = [{"name": entry} if isinstance(entry, str) else entry for entry in full[field]]
    return full


_CADENCE = re.compile(r"daily|weekly|every (?:5|15) minutes|every 14 days from (\d{4}-\d{2}-\d{2})")


class Campaign(_Part):
    """One campaign: whom (segment), what (steps), how (channels, platforms), and what success is."""

    name: Name = Field(description="the folder's name; appears in keys, reports and run names")
    description: str = Field("", max_length=500, description="one sentence for the people who read the dashboard")
    segment: Name = Field(description="a file of sql/segments, without .sql")
    params: dict[str, Any] = Field({}, description="parameters of the segment that differ from its header's defaults")
    cadence: str = Field(
        "daily", description="daily, weekly, `every 14 days from 2026-01-05`, `every 15 minutes`, `every 5 minutes`"
    )
    at: ClockTime = Field(time(6), description="time of day of daily and rarer runs, in the campaign's time zone")
    time_zone: ZoneName | None = Field(None, description="the campaign's time zone; default: the business time zone")
    period: Period = Field(Period(), description="active period; left out: switched by hand")
    purpose: Purpose = Field("marketing", description="purpose the consent must name")
    channels: tuple[ChannelUse, ...] = Field(min_length=1, description="in order: the first viable one is used")
    reach: Literal["first_viable", "all_viable"] = Field(
        "first_viable", description="one message per step, or one on each viable channel (sms only when no other is)"
    )
    platforms: tuple[PlatformUse, ...] = Field((), description="ad platforms whose audiences follow the segment")
    audience_max_days: int = Field(30, ge=1, le=540, description="longest stay of a person in an audience")
    steps: tuple[Step, ...] = Field(min_length=1, max_length=MAX_STEPS, description="one to three messages")
    expires_after: Duration = Field(timedelta(days=7), description="how long a step may wait for a way to be sent")
    quiet_hours: QuietHours | None = Field(None, description="when nobody is written to")
    caps: tuple[Cap, ...] = Field((), description="frequency caps, rolling, over all campaigns")
    priority: int = Field(0, ge=-100, le=100, description="who goes first when a cap leaves room for one")
    pause_when: PauseWhen = Field(PauseWhen(), description="when the campaign switches itself off")
    voucher: Voucher | None = Field(None, description="discount in every message")
    holdout: float = Field(0.0, ge=0, lt=1, description="share of people who are never written to, to measure lift")
    variants: tuple[Variant, ...] = Field((), description="message test; left out: everyone gets the same")
    goal: Goal = Field(Goal(), description="what counts as success")
    stop_event: Goal = Field(Goal(), description="what ends the sequence; default: a purchase")
    objective: Objective | None = Field(None, description="what the campaign is for; reporting only")
    ads: tuple[str, ...] = Field(
        (), description="ids of the ads whose conversations it retargets (R2); left out: all that have a bot"
    )
    retargeting: Retargeting | None = Field(
        None, description="for a segment that returns conversations; goal and stop event are then `qualified`"
    )
    currency: str | None = Field(None, pattern=r"^[A-Z]{3}$", description="main currency of its reports (ISO 4217)")

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, given: Any) -> Any:
        return _in_full(given) if isinstance(given, Mapping) else given

    @field_validator("cadence")
    @classmethod
    def _known_cadence(cls, cadence: str) -> str:
        found = _CADENCE.fullmatch(cadence)
        if not found:
            message = "must be daily, weekly, `every 14 days from YYYY-MM-DD`, `every 15 minutes` or `every 5 minutes`"
            raise ValueError(message)
        if found[1]:
            date.fromisoformat(found[1])
        return cadence

    def problems(self) -> list[Problem]:
        """Findings that concern several fields at once, each with its path."""
        found = []
        offsets = [step.send_after for step in self.steps]
        found += [
            Problem(f"steps.{number}.send_after", "must be later than the step before")
            for number in range(1, len(offsets))
            if offsets[number] <= offsets[number - 1]
        ]
        names = [use.name for use in self.channels]
        found += _repeated("channels", names) + _repeated("platforms", [use.name for use in self.platforms])
        found += _repeated("variants", [variant.name for variant in self.variants])
        for number, step in enumerate(self.steps):
            found += [
                Problem(f"steps.{number}.messages.{name}", "is not among the campaign's channels")
                for name in step.messages
                if name not in names
            ]
        if self.variants and abs(sum(variant.share for variant in self.variants) - 1) > 1e-9:
            found.append(Problem("variants", "shares must add up to 1"))
        for position, variant in enumerate(self.variants):
            found += [
                Problem(f"variants.{position}.messages.{number}", f"there is no step {number}")
                for number in variant.messages
                if not 1 <= number <= len(self.steps)
            ]
        for path, channel, message in self.all_messages():
            found += _message_problems(path, channel, message)
        found += [
            Problem(f"{name}.where", f"{QUALIFIED} is a milestone and has no properties")
            for name, goal in (("goal", self.goal), ("stop_event", self.stop_event))
            if goal.event == QUALIFIED and goal.where
        ]
        found += _repeated("ads", self.ads)
        if self.retargeting:
            found += self._retargeting_problems()
        if self.quiet_hours and self.quiet_hours.unknown_zone and {"sms", "whatsapp"} & set(names):
            found.append(
                Problem("quiet_hours.unknown_zone", "may not be assumed for sms and whatsapp; leave those out or this")
            )
        return found

    def _retargeting_problems(self) -> list[Problem]:
        """What WhatsApp would refuse: words of our own to someone who was silent for a day."""
        late = [number for number, step in enumerate(self.steps, 1) if step.send_after >= SERVICE_WINDOW]
        found = [
            Problem(f"steps.{number - 1}.messages.whatsapp.template", NEEDS_TEMPLATE)
            for number in late
            if (message := self.steps[number - 1].messages.get("whatsapp")) and not message.template
        ]
        found += [
            Problem(f"variants.{place}.messages.{number}.whatsapp.template", NEEDS_TEMPLATE)
            for place, variant in enumerate(self.variants)
            for number in late
            if (message := variant.messages.get(number, {}).get("whatsapp")) and not message.template
        ]
        if "whatsapp" not in [use.name for use in self.channels]:
            found.append(Problem("retargeting", "conversations are on WhatsApp: name it among the channels"))
        return found

    def all_messages(self) -> list[tuple[str, Channel, Message]]:
        """Every message with its path in the file: the steps' and the variants' own."""
        of_steps = [
            (f"steps.{number}.messages.{channel}", channel, message)
            for number, step in enumerate(self.steps)
            for channel, message in step.messages.items()
        ]
        of_variants = [
            (f"variants.{position}.messages.{number}.{channel}", channel, message)
            for position, variant in enumerate(self.variants)
            for number, messages in variant.messages.items()
            for channel, message in messages.items()
        ]
        return of_steps + of_variants

    def messages_for(self, step: int, variant: str) -> Messages:
        """Messages of a step (counted from 1) as one variant sends them."""
        own = next((arm.messages.get(step, {}) for arm in self.variants if arm.name == variant), {})
        return {**self.steps[step - 1].messages, **own}

    def price_category(self, message: Message) -> PriceCategory:
        """What WhatsApp charges one of its messages by."""
        if message.template is None:
            return "service"
        return message.template.category or ("utility" if self.purpose == "transactional" else "marketing")

    @property
    def looks_back(self) -> timedelta:
        """How long ago what the ledger says may still count for this campaign: its caps, stays in its audiences."""
        return max([timedelta(days=self.audience_max_days), *(cap.per for cap in self.caps)])

    def steps_in_own_words(self) -> list[int]:
        """Steps (counted from 1) with a WhatsApp message that has no template, of some variant or of everyone."""
        variants = [arm.name for arm in self.variants] or [""]  # a name no variant has: the step's own
        return [
            number
            for number in range(1, len(self.steps) + 1)
            if any(
                (message := self.messages_for(number, variant).get("whatsapp")) and message.template is None
                for variant in variants
            )
        ]

    def zone(self, business_zone: str) -> str:
        """The campaign's time zone."""
        return self.time_zone or business_zone


def _repeated(path: str, names: Sequence[str]) -> list[Problem]:
    return [Problem(path, f"{name} appears twice") for name in sorted({n for n in names if names.count(n) > 1})]


def _message_problems(path: str, channel: Channel, message: Message) -> list[Problem]:
    found = []
    if channel == "email" and not message.subject:
        found.append(Problem(f"{path}.subject", "an email needs a subject"))
    if channel != "email" and message.subject:
        found.append(Problem(f"{path}.subject", f"a {channel} message has no subject"))
    if (channel == "email") != message.file.endswith(".html"):
        found.append(Problem(f"{path}.file", "email bodies are .html files, all others .txt"))
    if channel not in ("email", "whatsapp") and message.template:
        found.append(Problem(f"{path}.template", f"no provider keeps templates for {channel}"))
    if channel in ("sms", "whatsapp") and (message.title or message.link):
        found.append(Problem(path, f"a {channel} message has neither title nor link"))
    return found


def load_campaign(folder: Path) -> Campaign:
    """The campaign of one folder. Raises ConfigError with every problem of the file, each with its path."""
    campaign, found = read_campaign(folder)
    if campaign is None or found:
        raise ConfigError(*found)
    return campaign


def read_campaign(folder: Path) -> tuple[Campaign | None, list[Problem]]:
    """The campaign of one folder, and every problem of its file with its path.

    Where fields are wrong the campaign is what the file says besides, so that whoever goes on reading finds the other
    problems too; None when too little is left. Raises ConfigError where the file is no mapping of fields at all.
    """
    path = folder / "campaign.yaml"
    given = read_yaml(path)
    if not isinstance(given, dict):
        raise ConfigError(Problem(str(path), "must be a mapping of fields; `reengage campaign new` writes one"))
    found: list[Problem] = []
    wrong: list[str] = []
    try:
        campaign = Campaign.model_validate({"name": folder.name, **given})
    except ValidationError as error:
        found = problems_of(error, str(path))
        wrong = [problem.where.removeprefix(f"{path}: ") for problem in found]
        campaign, late = _rest({"name": folder.name, **given}, error, str(path))
        found += late
    if campaign is None:
        return None, found
    others = campaign.problems()
    if campaign.name != folder.name:
        others.append(Problem("name", f"must be the folder's name, {folder.name}"))
    others += [
        Problem(f"{where}.file", f"{message.file} is not in {folder.name}/")
        for where, _, message in campaign.all_messages()
        if not (folder / message.file).is_file()
    ]
    found += [
        Problem(f"{path}: {problem.where}", problem.what)
        for problem in others
        if not any(_touch(problem.where, place) for place in wrong)
    ]
    return campaign, found


def _touch(one: str, other: str) -> bool:
    """Whether one path lies within the other: what depends on a wrong value is not wrong a second time."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


# Others rest on these: without them it would seem that messages name what is not there.
_STAND_INS: dict[int | str, Any] = {"share": 1, "code": "CODE", "percent": 1, "valid_days": 1}


def _rest(given: dict[str, Any], error: ValidationError, path: str) -> tuple[Campaign | None, list[Problem]]:
    """The campaign without what is wrong in it, and what only then comes to light.

    Steps keep their places; a wrong offset is taken for that of the step before.
    """
    rest = deepcopy(_in_full(given))
    late: list[Problem] = []
    for _ in range(4):  # leaving one field out may leave its owner without what it needs
        for found in reversed(error.errors(include_url=False)):
            if found["type"] == "too_long" and found["loc"] == ("steps",):
                del rest["steps"][MAX_STEPS:]
            else:
                _leave_out(rest, found["loc"], missing=found["type"] == "missing")
        try:
            return Campaign.model_validate(rest), late
        except ValidationError as still:
            error = still
        # An overlong list is told only once its entries are right.
        late += [
            problem for problem in problems_of(error, path) if problem.what.startswith("Tuple should have at most")
        ]
    return None, late


def _leave_out(rest: Any, loc: tuple[int | str, ...], *, missing: bool) -> None:
    *way, last = loc or ("",)
    if last == "[key]":
        *way, last = way
    owners = [rest]
    for part in way:
        inner = owners[-1][part] if isinstance(owners[-1], dict | list) and _has(owners[-1], part) else None
        owners.append(inner)
    owner = owners[-1]
    if last == "send_after" and isinstance(owner, dict) and way[0:1] == ["steps"] and len(way) == 2:
        position = way[1]
        before = owners[-2][position - 1] if isinstance(position, int) and position else None
        owner["send_after"] = before.get("send_after", "1m") if isinstance(before, dict) else "1m"
    elif last in _STAND_INS and isinstance(owner, dict) and way:
        owner[last] = _STAND_INS[last]
    elif missing and len(owners) > 1 and way[0] != "steps":
        _leave_out(rest, tuple(way), missing=False)
    elif isinstance(owner, dict | list) and _has(owner, last) and not (isinstance(owner, list) and way == ["steps"]):
        del owner[last]


def _has(owner: dict[Any, Any] | list[Any], part: int | str) -> bool:
    return part in owner if isinstance(owner, dict) else isinstance(part, int) and part < len(owner)


def load_campaigns(folder: Path) -> dict[str, Campaign]:
    """Every campaign below a folder, by name. Raises one ConfigError with the problems of all of them."""
    campaigns, problems = {}, []
    for path in sorted(folder.glob("*/campaign.yaml")):
        try:
            campaigns[path.parent.name] = load_campaign(path.parent)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return campaigns
