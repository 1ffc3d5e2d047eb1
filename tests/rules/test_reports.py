"""What providers report, read from their own published examples; whatever else comes is neither a crash nor lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from config.settings import CHECKOUT
from tasks.rules.reports import PARSERS, Parsed, Report, phone_of_wa_id, whatsapp_name
from tasks.rules.words import REASONS

KEY = "a-key"
ATTEMPT = "0b0f3c1e-6a3e-4f7e-9a43-7c1f0f5c9a10"
WHATSAPP_EXAMPLES = CHECKOUT.parent / "shared" / "data" / "whatsapp_webhook_examples.json"


def parsed(provider: str, body: Any) -> Parsed:
    return PARSERS[provider](body if isinstance(body, bytes) else json.dumps(body).encode(), KEY)


def one(provider: str, body: Any) -> Report:
    found = parsed(provider, body)
    assert (len(found.reports), found.replies, found.broken) == (1, (), ())
    return found.reports[0]


# ------------------------------------------------------------------------------------------- SendGrid

SENDGRID = {
    "email": "Ann@Example.com",
    "timestamp": 1_600_112_492,
    "smtp-id": "<x@y>",
    "event": "delivered",
    "category": ["back"],
    "sg_event_id": "e1",
    "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
    "attempt_id": ATTEMPT,
}


@pytest.mark.parametrize(
    ("changes", "kind", "reason", "suppresses", "withdraws"),
    [
        ({"event": "processed"}, "accepted", None, None, False),
        ({"event": "deferred", "response": "400 try again"}, "deferred", None, None, False),
        ({"event": "delivered"}, "delivered", None, None, False),
        ({"event": "open"}, "opened", None, None, False),
        ({"event": "click", "url": "https://shop.example.com"}, "clicked", None, None, False),
        ({"event": "bounce", "type": "bounce", "status": "5.0.0"}, "bounced", "hard_bounce", "all", False),
        ({"event": "bounce", "type": "blocked"}, "failed", "blocked", None, False),
        ({"event": "dropped", "reason": "Bounced Address"}, "failed", "hard_bounce", "all", False),
        ({"event": "dropped", "reason": "Spam Reporting Address"}, "failed", "complained", "marketing", True),
        ({"event": "dropped", "reason": "Unsubscribed Address"}, "failed", "unsubscribed", None, True),
        ({"event": "dropped", "reason": "Invalid"}, "failed", "invalid_address", None, False),
        ({"event": "dropped", "reason": "Recipient List over Package Quota"}, "failed", None, None, False),
        ({"event": "spamreport"}, "complained", "complained", "marketing", True),
        ({"event": "unsubscribe"}, "unsubscribed", "unsubscribed", None, True),
        ({"event": "group_unsubscribe", "asm_group_id": 1}, "unsubscribed", "unsubscribed", None, True),
        ({"event": "group_resubscribe", "asm_group_id": 1}, "resubscribed", None, None, False),
        ({"event": "something_new"}, "other", None, None, False),
    ],
)
def test_every_event_of_sendgrid_has_a_meaning(
    changes: dict[str, Any], kind: str, reason: str | None, suppresses: str | None, *, withdraws: bool
) -> None:
    report = one("email_sendgrid", [SENDGRID | changes])

    assert (report.kind, report.reason, report.suppresses, report.withdraws) == (kind, reason, suppresses, withdraws)
    assert (report.channel, report.attempt_id) == ("email", ATTEMPT)
    assert report.provider_message_id == "14c5d75ce93"
    assert report.occurred_at == datetime(2020, 9, 14, 19, 41, 32, tzinfo=UTC)
    assert reason is None or reason in REASONS


def test_opens_by_machines_are_told_apart() -> None:
    assert one("email_sendgrid", [SENDGRID | {"event": "open", "sg_machine_open": True}]).is_machine
    assert not one("email_sendgrid", [SENDGRID | {"event": "open", "sg_machine_open": False}]).is_machine


def test_a_repeated_delivery_has_the_same_name_though_sendgrid_gives_it_another_id() -> None:
    first = one("email_sendgrid", [SENDGRID])

    assert one("email_sendgrid", [SENDGRID | {"sg_event_id": "e2"}]).event_key == first.event_key
    for change in (
        {"timestamp": 1_600_112_493},
        {"event": "open"},
        {"sg_message_id": "other.0"},
        {"attempt_id": ATTEMPT.replace("0b", "0c")},
    ):
        assert one("email_sendgrid", [SENDGRID | change]).event_key != first.event_key


def test_without_our_echo_the_recipient_tells_events_apart_and_is_not_in_their_names() -> None:
    plain = {name: value for name, value in SENDGRID.items() if name != "attempt_id"}
    ann, bob = (one("email_sendgrid", [plain | {"email": f"{name}@example.com"}]) for name in ("ann", "bob"))

    assert ann.event_key != bob.event_key
    assert ann.attempt_id is None
    assert "ann@example.com" not in repr(ann)


def test_an_archive_may_hold_one_event_a_line() -> None:
    assert one("email_sendgrid", SENDGRID) == one("email_sendgrid", [SENDGRID])


def test_good_events_beside_bad_ones_are_kept_and_the_bad_ones_are_named() -> None:
    found = parsed("email_sendgrid", [SENDGRID, "no event", {"email": "x"}, None])

    assert len(found.reports) == 1
    assert found.broken == ("not_an_event",) * 3


# ------------------------------------------------------------------------------------------------ SES

MAIL = {
    "timestamp": "2017-08-05T00:40:02.012Z",
    "messageId": "EXAMPLE7c191be45",
    "destination": ["recipient@example.com"],
    "tags": {"ses:configuration-set": ["ConfigSet"], "attempt_id": [ATTEMPT]},
}
BOUNCE = {
    "bounceType": "Permanent",
    "bounceSubType": "General",
    "bouncedRecipients": [{"emailAddress": "Recipient@example.com", "action": "failed", "status": "5.1.1"}],
    "timestamp": "2017-08-05T00:41:02.669Z",
    "feedbackId": "01000157c44f053b",
}
COMPLAINT = {
    "complainedRecipients": [{"emailAddress": "recipient@example.com"}],
    "timestamp": "2017-08-05T00:41:02.669Z",
    "feedbackId": "01000157c44f053c",
    "complaintFeedbackType": "abuse",
}
APPLE = {"timestamp": "2017-08-09T22:00:19.652Z", "userAgent": "Mozilla/5.0"}
PERSON = {
    "timestamp": "2017-08-09T22:00:19.652Z",
    "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 10_3_3 like Mac OS X)",
}
OPT_OUT = {"unsubscribeAll": True, "topicSubscriptionStatus": [{"topicName": "news", "subscriptionStatus": "OptOut"}]}


@pytest.mark.parametrize(
    ("event", "kind", "reason", "suppresses"),
    [
        ({"eventType": "Send", "send": {}}, "accepted", None, None),
        ({"eventType": "Delivery", "delivery": {"timestamp": "2016-10-19T23:21:04.133Z"}}, "delivered", None, None),
        ({"eventType": "Bounce", "bounce": BOUNCE}, "bounced", "hard_bounce", "all"),
        ({"eventType": "Bounce", "bounce": BOUNCE | {"bounceType": "Transient"}}, "failed", "soft_bounce", None),
        ({"eventType": "Bounce", "bounce": BOUNCE | {"bounceType": "Undetermined"}}, "failed", "soft_bounce", None),
        ({"eventType": "Complaint", "complaint": COMPLAINT}, "complained", "complained", "marketing"),
        (
            {"eventType": "Complaint", "complaint": COMPLAINT | {"complaintFeedbackType": "not-spam"}},
            "other", None, None,
        ),
        (
            {"eventType": "Complaint", "complaint": COMPLAINT | {"complaintSubType": "OnAccountSuppressionList"}},
            "failed", "complained", "marketing",
        ),
        ({"eventType": "Reject", "reject": {"reason": "Bad content"}}, "failed", "refused", None),
        ({"eventType": "Open", "open": PERSON}, "opened", None, None),
        ({"eventType": "Click", "click": {"timestamp": "2017-08-09T23:51:25.570Z"}}, "clicked", None, None),
        ({"eventType": "Rendering Failure", "failure": {"errorMessage": "x"}}, "failed", "content", None),
        ({"eventType": "DeliveryDelay", "deliveryDelay": {"delayType": "General"}}, "deferred", None, None),
        (
            {"eventType": "Subscription", "subscription": {"newTopicPreferences": OPT_OUT}},
            "unsubscribed", "unsubscribed", None,
        ),
        ({"notificationType": "Bounce", "bounce": BOUNCE}, "bounced", "hard_bounce", "all"),
        ({"notificationType": "Complaint", "complaint": COMPLAINT}, "complained", "complained", "marketing"),
        ({"notificationType": "Delivery", "delivery": {}}, "delivered", None, None),
        ({"eventType": "Teleported"}, "other", None, None),
    ],
)  # fmt: skip
def test_every_event_of_ses_has_a_meaning_in_both_of_its_shapes(
    event: dict[str, Any], kind: str, reason: str | None, suppresses: str | None
) -> None:
    report = one("email_ses", event | {"mail": MAIL})

    assert (report.kind, report.reason, report.suppresses) == (kind, reason, suppresses)
    assert (report.attempt_id, report.provider_message_id) == (ATTEMPT, "EXAMPLE7c191be45")
    assert report.address == "recipient@example.com"
    assert report.occurred_at is not None


def test_a_feedback_notification_has_no_tags_and_is_known_by_the_providers_number() -> None:
    mail = {name: value for name, value in MAIL.items() if name != "tags"}

    report = one("email_ses", {"notificationType": "Bounce", "bounce": BOUNCE, "mail": mail})

    assert (report.attempt_id, report.provider_message_id) == (None, "EXAMPLE7c191be45")


def test_a_bounce_of_two_recipients_is_two_reports() -> None:
    two = BOUNCE | {"bouncedRecipients": [{"emailAddress": "a@example.com"}, {"emailAddress": "b@example.com"}]}

    found = parsed("email_ses", {"eventType": "Bounce", "bounce": two, "mail": MAIL})

    assert [report.address for report in found.reports] == ["a@example.com", "b@example.com"]
    assert len({report.event_key for report in found.reports}) == 2


def test_apples_mail_proxy_is_a_machine_and_a_phone_is_not() -> None:
    assert one("email_ses", {"eventType": "Open", "open": APPLE, "mail": MAIL}).is_machine
    assert not one("email_ses", {"eventType": "Open", "open": PERSON, "mail": MAIL}).is_machine


def envelope(message: Any, **changes: Any) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:events",
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": "2026-05-02T00:54:06.655Z",
        **changes,
    }


def test_an_event_means_the_same_inside_a_notification() -> None:
    event = {"eventType": "Bounce", "bounce": BOUNCE, "mail": MAIL}

    assert one("email_ses", envelope(event)) == one("email_ses", event)


def test_amazons_greeting_and_confirmations_hold_no_event() -> None:
    greeting = envelope("Successfully validated SNS topic for Amazon SES event publishing.")

    assert parsed("email_ses", greeting) == Parsed()
    assert parsed("email_ses", envelope("You have chosen to subscribe", Type="SubscriptionConfirmation")) == Parsed()
    assert parsed("email_ses", envelope("something else")).broken == ("not_an_event",)


# ------------------------------------------------------------------------------------------- SMS, push

# The example of Amazon's user guide, with our context.
TEXT = {
    "eventType": "TEXT_SUCCESSFUL",
    "eventVersion": "1.0",
    "eventTimestamp": 1_686_975_103_470,
    "isFinal": True,
    "originationPhoneNumber": "+12065550152",
    "destinationPhoneNumber": "+14255550156",
    "isoCountryCode": "US",
    "messageId": "862a8790-60c0-4430-9b2b-658bdexample",
    "messageStatus": "SUCCESSFUL",
    "messageStatusDescription": "Message has been accepted by phone carrier",
    "context": {"attempt_id": ATTEMPT},
    "totalMessageParts": 1,
}


def test_every_text_event_of_amazons_own_model_has_a_meaning() -> None:
    import botocore.session

    model = botocore.session.get_session().get_service_model("pinpoint-sms-voice-v2")
    names = [name for name in model.shape_for("EventType").enum if name.startswith("TEXT_") and name != "TEXT_ALL"]

    kinds = {name: one("sms_aws", TEXT | {"eventType": name}).kind for name in names}

    assert len(kinds) > 10
    assert [name for name, kind in kinds.items() if kind == "other"] == ["TEXT_UNKNOWN"]
    assert {name for name, kind in kinds.items() if kind == "delivered"} == {"TEXT_SUCCESSFUL", "TEXT_DELIVERED"}
    assert {name for name, kind in kinds.items() if kind == "bounced"} == {"TEXT_INVALID"}


def test_a_text_event_carries_our_echo_and_its_time_in_milliseconds() -> None:
    report = one("sms_aws", TEXT)

    assert (report.channel, report.attempt_id) == ("sms", ATTEMPT)
    assert report.occurred_at == datetime(2023, 6, 17, 4, 11, 43, 470_000, tzinfo=UTC)


def test_a_carriers_opt_out_ends_the_number_for_texts() -> None:
    report = one(
        "sms_aws", TEXT | {"eventType": "TEXT_BLOCKED", "messageStatusDescription": "Phone number is opted out"}
    )

    assert (report.kind, report.reason, report.suppresses, report.withdraws) == (
        "unsubscribed", "opted_out", "all", True,
    )  # fmt: skip


def test_an_inbound_text_is_a_reply_with_the_time_of_its_notification() -> None:
    found = parsed(
        "sms_aws",
        envelope(
            {
                "originationNumber": "+14255550182",
                "destinationNumber": "+12125550101",
                "messageKeyword": "JOIN",
                "messageBody": "STOP",
                "inboundMessageId": "cae173d2-66b9-564c-8309-21f858e9fb84",
                "previousPublishedMessageId": "wJalrXUtnFEMI",
            }
        ),
    )

    [reply] = found.replies
    assert (reply.text, reply.address, reply.in_reply_to) == ("STOP", "+14255550182", "wJalrXUtnFEMI")
    assert reply.occurred_at == datetime(2026, 5, 2, 0, 54, 6, 655_000, tzinfo=UTC)
    assert "STOP" not in repr(reply)


@pytest.mark.parametrize(
    ("failure", "is_gone"), [("EndpointDisabled", True), ("InvalidPlatformToken", True), ("InvalidCredentials", False)]
)
def test_a_push_that_failed_for_good_says_whether_the_device_is_gone(failure: str, *, is_gone: bool) -> None:
    report = one(
        "push_sns",
        {"EventType": "DeliveryFailure", "FailureType": failure, "EndpointArn": "arn:x", "MessageId": "m",
         "Time": "2026-05-02T00:54:06.655Z"},
    )  # fmt: skip

    assert (report.kind, report.ends_token, report.provider_message_id) == ("failed", is_gone, "m")
    assert one("push_sns", {"EventType": "EndpointCreated", "EndpointArn": "arn:x"}).kind == "other"


# -------------------------------------------------------------------------------------------- WhatsApp

WAMID = "wamid.HBgLMTY1MDM4Nzk0MzkVAgARGBI3MTE5MjY1NTlDNDVDRTA4NTAA"


def whatsapp(**value: Any) -> dict[str, Any]:
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1"}, **value}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"value": value, "field": "m"}]}]}


def status(word: str, *codes: int, **changes: Any) -> dict[str, Any]:
    errors = {"errors": [{"code": code, "title": "x"} for code in codes]} if codes else {}
    found = {"id": WAMID, "status": word, "timestamp": "1750030073", "recipient_id": "16505551234"}
    return whatsapp(statuses=[found | errors | changes])


@pytest.mark.parametrize(
    ("word", "codes", "kind", "reason", "suppresses", "withdraws"),
    [
        ("sent", (), "accepted", None, None, False),
        ("delivered", (), "delivered", None, None, False),
        ("read", (), "opened", None, None, False),
        ("failed", (131049,), "failed", "provider_cap", None, False),
        ("failed", (131050,), "failed", "unsubscribed", "marketing", True),
        ("failed", (131026,), "failed", "undeliverable", None, False),
        ("failed", (131047,), "failed", "needs_template", None, False),
        ("failed", (130472,), "failed", "provider_cap", None, False),
        ("failed", (132015,), "failed", "template", None, False),
        ("failed", (132016,), "failed", "template", None, False),
        ("failed", (131042,), "failed", "misconfigured", None, False),
        ("failed", (999999,), "failed", "refused", None, False),
        ("failed", (), "failed", "refused", None, False),
        ("warning", (), "other", None, None, False),
    ],
)
def test_every_status_of_whatsapp_has_a_meaning(
    word: str, codes: tuple[int, ...], kind: str, reason: str | None, suppresses: str | None, *, withdraws: bool
) -> None:
    report = one("whatsapp_cloud", status(word, *codes, biz_opaque_callback_data=ATTEMPT))

    assert (report.kind, report.reason, report.suppresses, report.withdraws) == (kind, reason, suppresses, withdraws)
    assert (report.attempt_id, report.address) == (ATTEMPT, "+16505551234")
    assert report.provider_message_id == whatsapp_name(KEY, WAMID)
    assert reason is None or reason in REASONS


def test_a_status_without_our_echo_is_known_by_its_number_which_its_name_does_not_show() -> None:
    report = one("whatsapp_cloud", status("delivered"))

    assert (report.attempt_id, report.provider_message_id) == (None, whatsapp_name(KEY, WAMID))
    assert WAMID not in str(report)


def test_a_wish_about_marketing_messages_is_heard() -> None:
    wish = {"wa_id": "16505551234", "category": "marketing_messages", "value": "stop", "timestamp": 1_750_030_073}

    stop = one("whatsapp_cloud", whatsapp(user_preferences=[wish]))

    assert (stop.kind, stop.suppresses, stop.withdraws) == ("unsubscribed", "marketing", True)
    assert one("whatsapp_cloud", whatsapp(user_preferences=[wish | {"value": "resume"}])).kind == "other"


def test_what_an_edit_says_now_and_what_a_person_wrote_before_are_replies() -> None:
    at = {"timestamp": "1750030073"}
    edit = {"original_message_id": "wamid.1", "message": {"type": "text", "text": {"body": "STOP"}}}
    now = {"id": "wamid.2", "from": "16505551234", "type": "edit", "edit": edit, **at}
    before = [
        {"id": "wamid.3", "from": "16505551234", "type": "text", "text": {"body": "stop please"}, **at},
        {"id": "wamid.4", "from": "15550783881", "type": "text", "text": {"body": "our own"}, **at},
    ]

    edited = parsed("whatsapp_cloud", whatsapp(messages=[now]))
    past = parsed("whatsapp_cloud", whatsapp(history=[{"threads": [{"id": "16505551234", "messages": before}]}]))

    assert [reply.text for reply in edited.replies] == ["STOP"]
    assert [(reply.text, reply.address) for reply in past.replies] == [("stop please", "+16505551234")]


def test_what_meta_publishes_as_examples_is_all_read() -> None:
    if not WHATSAPP_EXAMPLES.exists():
        pytest.skip("the WhatsApp examples are not here")
    examples = json.loads(WHATSAPP_EXAMPLES.read_text("utf-8"))
    said = {}
    for name, body in examples.items():
        found = parsed("whatsapp_cloud", body)
        assert found.broken == (), name
        assert len(found.reports) + len(found.replies) == 1, name
        said[name] = [reply.text for reply in found.replies] or [report.kind for report in found.reports]

    assert len(said) == 16
    assert said["Text Message"] == ["Does it come in another color?"]
    assert said["Button Message"] == ["Unsubscribe"]
    assert said["Interactive List Reply Message"] == ["Priority Mail Express"]
    assert said["Interactive Button Reply Message"] == ["Cancel"]
    assert said["Image Message"] == ["Taj Mahal"]
    assert said["Location Message"] == [None]
    assert said["System Message"] == ["other"]
    assert said["Group Create Message"] == ["other"]


def test_a_reply_names_the_message_it_quotes() -> None:
    message = {"from": "16505551234", "id": "wamid.A", "timestamp": "1750091045", "type": "text",
               "text": {"body": "no more"}, "context": {"id": WAMID}}  # fmt: skip

    [reply] = parsed("whatsapp_cloud", whatsapp(messages=[message])).replies

    assert (reply.in_reply_to, reply.address, reply.text) == (whatsapp_name(KEY, WAMID), "+16505551234", "no more")
    assert "wamid" not in reply.reply_id


@pytest.mark.parametrize(
    ("pricing", "billable", "category"),
    [
        ({"billable": True, "pricing_model": "PMP", "category": "marketing", "type": "regular"}, True, "marketing"),
        ({"billable": False, "category": "utility", "type": "free_customer_service"}, False, "utility"),
        ({"billable": True, "category": "marketing_lite"}, True, None),  # a category that no price is kept for
        ({"billable": "yes", "category": 7}, None, None),
        ("free", None, None),
        (None, None, None),
    ],
)
def test_what_whatsapp_says_it_charges_for_is_read(pricing: Any, billable: bool | None, category: str | None) -> None:
    (report,) = parsed("whatsapp_cloud", status("delivered", pricing=pricing)).reports

    assert (report.billable, report.price_category) == (billable, category)


def test_amazons_whatsapp_is_metas_entry_inside_a_text() -> None:
    entry = status("delivered", biz_opaque_callback_data=ATTEMPT)["entry"][0]
    message = {"context": {"MetaWabaIds": []}, "whatsAppWebhookEntry": json.dumps(entry), "aws_account_id": "1"}

    report = one("whatsapp_aws", envelope(message))

    assert (report.provider, report.kind, report.attempt_id) == ("whatsapp_aws", "delivered", ATTEMPT)
    assert parsed("whatsapp_aws", envelope({"whatsAppWebhookEntry": "no json"})).broken == ("not_an_event",)


@pytest.mark.parametrize(
    ("wa_id", "number"),
    [
        ("16505551234", "+16505551234"),
        ("5215512345678", "+525512345678"),  # Mexico: WhatsApp keeps the 1 of old mobiles
        ("525512345678", "+525512345678"),
        ("553199887766", "+5531999887766"),  # Brazil: and leaves out the 9
        ("5531999887766", "+5531999887766"),
        ("551133445566", "+551133445566"),  # a fixed line has none
        ("US.13491208655302741918", None),  # a business-scoped id: the person hides the number
        ("", None),
        (None, None),
    ],
)
def test_the_number_behind_a_whatsapp_id(wa_id: str | None, number: str | None) -> None:
    assert phone_of_wa_id(wa_id) == number


# ---------------------------------------------------------------------------------------- whatever comes

ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3)
    | some.dictionaries(
        some.sampled_from(
            ["event", "email", "timestamp", "sg_message_id", "mail", "eventType", "bounce", "tags", "messageId",
             "entry", "changes", "value", "statuses", "messages", "id", "status", "errors", "code", "context",
             "Message", "TopicArn", "Type", "inboundMessageId", "EventType", "whatsAppWebhookEntry", "text",
             "eventTimestamp", "type", "from", "bouncedRecipients", "destination", "user_preferences"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize("provider", PARSERS)
@given(body=ANYTHING)
def test_no_json_is_a_crash(provider: str, body: Any) -> None:
    parsed(provider, body)


@pytest.mark.parametrize("provider", PARSERS)
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "malformed_json"),
        (b"{", "malformed_json"),
        (b'{"a": "\xff"}', "invalid_utf8"),
        (b"[" * 100_000, "malformed_json"),
        (b"7", "not_an_event"),
        (b'"malformed"', None),
        (b"1" * 5_000, "malformed_json"),
    ],
)
def test_what_is_no_event_at_all_is_named(provider: str, body: bytes, reason: str | None) -> None:
    found = parsed(provider, body)

    assert (found.reports, found.replies) == ((), ())
    assert len(found.broken) == 1
    assert reason is None or found.broken == (reason,)


def test_what_the_database_cannot_hold_is_taken_out_of_texts() -> None:
    body = b'{"inboundMessageId": "a\\u0000b", "messageBody": "st\\u0000op \\ud83d", "originationNumber": "+1"}'

    [reply] = parsed("sms_aws", body).replies

    assert reply.text == "stop ?"


@pytest.mark.parametrize("timestamp", [10**18, -1, 0, "soon", None, True, 1e400, "1e9999", float("nan"), [1]])
def test_a_time_that_is_none_leaves_the_event_without_one(timestamp: Any) -> None:
    assert one("email_sendgrid", [SENDGRID | {"timestamp": timestamp}]).occurred_at is None
