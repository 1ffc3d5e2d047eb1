"""How a person is reached. SENDERS is the one list of providers; tasks/channels/factory.py opens them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tasks.channels import (
    email_sendgrid,
    email_ses,
    inbox,
    outbox,
    push_sns,
    sms_aws,
    webpush_vapid,
    whatsapp_aws,
    whatsapp_cloud,
)
from tasks.channels.base import Sender
from tasks.channels.email_sendgrid import EmailSendgridSender
from tasks.channels.email_ses import EmailSesSender
from tasks.channels.inbox import InboxSender
from tasks.channels.outbox import Outbox
from tasks.channels.profile import Profile
from tasks.channels.push_sns import PushSnsSender
from tasks.channels.sms_aws import SmsAwsSender
from tasks.channels.webpush_vapid import WebpushVapidSender
from tasks.channels.whatsapp_aws import WhatsappAwsSender
from tasks.channels.whatsapp_cloud import WhatsappCloudSender
from tasks.store.workspace import Workspace

# Each is opened with a workspace, its options in reengage.yaml (the outbox has none) and the longest call in seconds.
SENDERS: Final[dict[str, Callable[[Workspace, Any, float], Sender]]] = {
    "outbox": Outbox.open,
    "email_sendgrid": EmailSendgridSender.open,
    "email_ses": EmailSesSender.open,
    "inbox": InboxSender.open,
    "push_sns": PushSnsSender.open,
    "sms_aws": SmsAwsSender.open,
    "webpush_vapid": WebpushVapidSender.open,
    "whatsapp_aws": WhatsappAwsSender.open,
    "whatsapp_cloud": WhatsappCloudSender.open,
}
PROFILES: Final[dict[str, Profile]] = {
    module.PROFILE.provider: module.PROFILE
    for module in (
        outbox, email_sendgrid, email_ses, inbox, push_sns, sms_aws, webpush_vapid, whatsapp_aws, whatsapp_cloud,
    )
}  # fmt: skip
