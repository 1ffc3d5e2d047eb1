"""Who delivers each channel: one set of options per provider.

`providers:` in reengage.yaml names one for each channel that really leaves; a channel left out goes to the outbox.
Keys and tokens are never written here: they come from the environment (`.env.example` lists them), Amazon's from
wherever boto3 finds its own.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

OUTBOX = "outbox"
Topic = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256}$")]
# Emails a second of an account that may write to itself only: the one rate Amazon publishes for SES.
SES_SANDBOX_RATE = 1.0
E164 = r"^\+?[1-9][0-9]{1,18}$"


class _Provider(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    channel: ClassVar[str]
    secrets: ClassVar[tuple[str, ...]] = ()  # settings that must be there before anything can leave
    is_amazon: ClassVar[bool] = False  # its keys come from wherever boto3 finds them

    rate: float | None = Field(
        None, gt=0, le=100_000, description="most messages a second, over all processes; default: the provider's own"
    )
    calls_in_flight: int | None = Field(
        None, ge=1, le=64, description="calls one worker may have under way; default: the provider's own"
    )

    @property
    def pace(self) -> str | None:
        """What limits how fast it is called when no `rate` says so, in words; None where that needs none."""
        return None

    @property
    def only_checks(self) -> bool:
        """Whether its options let it look at messages and deliver none."""
        return bool(getattr(self, "sandbox", False) or getattr(self, "dry_run", False))


class _Amazon(_Provider):
    is_amazon: ClassVar[bool] = True

    region: str = Field(min_length=2, description="AWS region, such as eu-central-1")
    endpoint: str | None = Field(None, description="another base address; default: Amazon's own")
    topics: tuple[Topic, ...] = Field(
        (), description="ARNs of the SNS topics that report events to the receiver; anybody else's are refused"
    )


class EmailSendgrid(_Provider):
    """Twilio SendGrid, API v3."""

    channel: ClassVar[str] = "email"
    secrets: ClassVar[tuple[str, ...]] = ("sendgrid_api_key",)

    provider: Literal["email_sendgrid"]
    endpoint: str = Field(
        "https://api.sendgrid.com",
        pattern=r"^https?://[^\s/]+/?$",
        description="base address; https://api.eu.sendgrid.com in the EU",
    )
    categories: tuple[Annotated[str, Field(min_length=1, max_length=255)], ...] = Field(
        (), max_length=8, description="categories of every message beside the campaign's name; never personal data"
    )
    sandbox: bool = Field(False, description="let SendGrid check messages and deliver none; they count as not sent")
    event_key: str | None = Field(None, description="public key of the signed event webhook (base64), for the receiver")

    @property
    def pace(self) -> str | None:
        """SendGrid publishes no number."""
        return "as fast as SendGrid answers: it publishes no limit, and what it asks for is obeyed by every process"


class EmailSes(_Amazon):
    """Amazon SES, API v2."""

    channel: ClassVar[str] = "email"

    provider: Literal["email_ses"]
    configuration_set: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_-]{1,64}$", description="configuration set that reports events"
    )
    feedback_to: str | None = Field(
        None, description="verified address that bounces and complaints are mailed to; default: the From address"
    )

    @property
    def pace(self) -> str | None:
        """The account's own rate, which the sender reads."""
        return (
            f"the account's own MaxSendRate, read at each dispatch; {SES_SANDBOX_RATE:g} a second where the key may "
            "not ask for it (ses:GetAccount): allow that, or set `rate`"
        )


class PushSns(_Amazon):
    """Mobile push over Amazon SNS platform endpoints."""

    channel: ClassVar[str] = "push"

    provider: Literal["push_sns"]
    applications: dict[Literal["apns", "fcm"], str] = Field(
        {}, description="platform application ARNs, when push_tokens hold device tokens instead of endpoint ARNs"
    )


class SmsAws(_Amazon):
    """AWS End User Messaging SMS, API v2."""

    channel: ClassVar[str] = "sms"

    provider: Literal["sms_aws"]
    origination_identity: str = Field(
        max_length=256, pattern=r"^[A-Za-z0-9_:/+-]+$", description="number, sender id or pool that texts come from"
    )
    configuration_set: str | None = Field(
        None, max_length=256, pattern=r"^[A-Za-z0-9_:/-]+$", description="configuration set that reports events"
    )
    message_type: Literal["PROMOTIONAL", "TRANSACTIONAL"] | None = Field(
        None, description="route texts take; default: promotional, unless the campaign's purpose is transactional"
    )
    max_parts: int | None = Field(
        None, ge=1, le=24, description="most parts a text may be cut into and billed as; a longer one is not sent"
    )
    max_price: str | None = Field(
        None, pattern=r"^[0-9]{0,2}\.[0-9]{1,5}$", description="most to pay for one text, in US dollars, such as 0.10"
    )
    dry_run: bool = Field(False, description="let Amazon check texts and deliver none; they count as not sent")
    rate: float | None = Field(
        None,
        gt=0,
        le=100_000,
        description="most message parts a second, over all processes; default: Amazon's for this kind of number",
    )

    @property
    def usual_rate(self) -> float:
        """Message parts a second that Amazon publishes for what texts come from; the least where it cannot be told.

        A pool, a sender id or an ARN does not say what is behind it.
        """
        if self.dry_run:
            return 5
        origin = self.origination_identity
        if re.fullmatch(r"[0-9]{5,6}", origin):
            return 100  # a short code of the United States or Canada; elsewhere that differs
        if re.fullmatch(r"\+?18(00|33|44|55|66|77|88)[0-9]{7}", origin):
            return 3  # toll-free
        if re.fullmatch(E164, origin) and not origin.removeprefix("+").startswith("1"):
            return 10  # a number outside North America
        return 1  # a number of North America, 10DLC included

    @property
    def pace(self) -> str | None:
        """The published rate of the kind of number."""
        return f"{self.usual_rate:g} message parts a second, as far as origination_identity tells; `rate` sets yours"


class WhatsappAws(_Amazon):
    """WhatsApp over AWS End User Messaging Social."""

    channel: ClassVar[str] = "whatsapp"

    provider: Literal["whatsapp_aws"]
    phone_number_id: str = Field(
        max_length=115,
        pattern=r"^(phone-number-id-\S+|arn:\S+:phone-number-id/[0-9a-zA-Z]+)$",
        description="`phone-number-id-...` or its ARN",
    )
    account: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="what `account` of conversations is where people wrote to this number: what they write to another "
        "opens no free window here; default: not known",
    )
    api_version: str = Field("v23.0", pattern=r"^v[0-9]{2}\.0$", description="version of Meta's API in the message")
    us_marketing: bool = Field(
        False, description="send marketing templates to numbers of the United States, which Meta paused in 2025"
    )


class WhatsappCloud(_Provider):
    """Meta's WhatsApp Cloud API."""

    channel: ClassVar[str] = "whatsapp"
    secrets: ClassVar[tuple[str, ...]] = ("whatsapp_token",)

    provider: Literal["whatsapp_cloud"]
    endpoint: str = Field("https://graph.facebook.com", description="base address")
    phone_number_id: str = Field(pattern=r"^[0-9]{1,32}$", description="id of the number that messages come from")
    account: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="what `account` of conversations is where people wrote to this number: what they write to another "
        "opens no free window here; default: phone_number_id, in conversations made of webhooks",
    )
    api_version: str = Field("v23.0", pattern=r"^v[0-9]{2}\.0$", description="version of Meta's API")
    us_marketing: bool = Field(
        False, description="send marketing templates to numbers of the United States, which Meta paused in 2025"
    )


class WebpushVapid(_Provider):
    """Web push with a VAPID key; push_tokens of platform webpush hold the browser's subscription as JSON."""

    channel: ClassVar[str] = "webpush"
    secrets: ClassVar[tuple[str, ...]] = ("vapid_private_key",)

    provider: Literal["webpush_vapid"]
    subject: str = Field(pattern=r"^(mailto:|https://).+", description="whom push services may write to about abuse")
    public_key: str = Field(
        pattern=r"^[A-Za-z0-9_-]{87}=?$",
        description="the `applicationServerKey` your pages subscribe with, base64url; the private key must be its own",
    )
    private_services: tuple[Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$")], ...] = Field(
        (), description="push services in your own network; any other must have a public address and https"
    )


class Inbox(_Provider):
    """The app inbox served by `reengage hooks`."""

    channel: ClassVar[str] = "inbox"

    provider: Literal["inbox"]
    days: int = Field(30, ge=1, le=365, description="how long a message stays readable")


Provider = Annotated[
    EmailSendgrid | EmailSes | PushSns | SmsAws | WhatsappAws | WhatsappCloud | WebpushVapid | Inbox,
    Field(discriminator="provider"),
]
