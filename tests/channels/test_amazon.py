"""The judge of Amazon's requests: what it lets through is what boto3 can send and the service's model allows."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tasks.channels import clients
from tests.channels import amazon
from tests.channels.loopback import Answer, Loopback

CALLS: dict[tuple[str, str], dict[str, Any]] = {
    ("sesv2", "SendEmail"): {
        "FromEmailAddress": "hello@example.com",
        "Destination": {"ToAddresses": ["ann@example.com"]},
        "Content": {
            "Simple": {
                "Subject": {"Data": "Grüße", "Charset": "UTF-8"},
                "Body": {"Html": {"Data": "<p>ä</p>", "Charset": "UTF-8"}},
                "Headers": [{"Name": "List-Unsubscribe", "Value": "<https://example.com/u>"}],
            }
        },
    },
    ("sns", "Publish"): {
        "TargetArn": "arn:aws:sns:eu-central-1:1:endpoint/GCM/app/1",
        "Message": '{"default": "ä & <b>"}',
        "MessageStructure": "json",
        "MessageAttributes": {
            "AWS.SNS.MOBILE.FCM.TTL": {"DataType": "String", "StringValue": "60"},
            "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
    },
    ("pinpoint-sms-voice-v2", "SendTextMessage"): {
        "DestinationPhoneNumber": "+4915112345678",
        "MessageBody": "Grüße",
        "TimeToLive": 60,
        "Context": {"attempt_id": "a-1"},
        "DryRun": False,
    },
    ("socialmessaging", "SendWhatsAppMessage"): {
        "originationPhoneNumberId": "phone-number-id-01",
        "message": b'{"to": "1"}',
        "metaApiVersion": "v23.0",
    },
    ("sesv2", "GetSuppressedDestination"): {"EmailAddress": "ann+b@example.com"},
}
WRONG = {
    "a pattern": (("pinpoint-sms-voice-v2", "SendTextMessage"), {"DestinationPhoneNumber": "not a number"}),
    "a largest length": (("pinpoint-sms-voice-v2", "SendTextMessage"), {"MessageBody": "x" * 1601}),
    "a blank text": (("pinpoint-sms-voice-v2", "SendTextMessage"), {"MessageBody": "  "}),
    "a largest number": (("pinpoint-sms-voice-v2", "SendTextMessage"), {"TimeToLive": 259_201}),
    "a largest map": (("pinpoint-sms-voice-v2", "SendTextMessage"), {"Context": {str(n): "x" for n in range(6)}}),
    "an enumeration": (("pinpoint-sms-voice-v2", "SendTextMessage"), {"MessageType": "MARKETING"}),
    "a largest blob": (("socialmessaging", "SendWhatsAppMessage"), {"message": b"x" * 2_048_001}),
    "a header with a line break": (
        ("sesv2", "SendEmail"),
        {
            "Content": {
                "Simple": {
                    "Subject": {"Data": "s"},
                    "Body": {"Html": {"Data": "b"}},
                    "Headers": [{"Name": "X-One", "Value": "a\r\nBcc: eve@example.com"}],
                }
            }
        },
    ),
}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def provider(service: str, operation: str, yes: Answer | None = None) -> AbstractContextManager[Loopback]:
    loopback = Loopback(
        judge=amazon.judge(service, operation),
        keys=lambda _: ["one"],
        yes=lambda _: yes or Answer(200, {}),
        no=amazon.says(service),
    )
    return loopback.running()


def call(url: str, service: str, operation: str, **values: Any) -> Any:
    client = clients.amazon(service, region="eu-central-1", endpoint=url, timeout=5)
    try:
        return client._make_api_call(operation, values)
    finally:
        client.close()


@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_a_request_as_published_is_read_back_to_the_parameters_that_boto3_was_given(service, operation):
    values = CALLS[service, operation]
    query = amazon.model(service).metadata["protocol"] == "query"
    with provider(service, operation, amazon.answer(service, operation) if query else None) as loopback:
        call(loopback.url, service, operation, **values)

    assert loopback.refused == []
    assert amazon.read(service, operation, loopback.requests[0]) == values


@pytest.mark.parametrize("what", WRONG)
def test_what_leaves_boto3_and_the_model_forbids_is_refused(what):
    (service, operation), change = WRONG[what]
    with provider(service, operation) as loopback, pytest.raises(ClientError) as error:
        call(loopback.url, service, operation, **(CALLS[service, operation] | change))

    assert loopback.accepted == []
    assert error.value.response["Error"]["Code"] in amazon.INVALID


def test_a_request_to_another_operation_or_without_a_signature_is_refused():
    with provider("sns", "Publish") as loopback:
        with pytest.raises(ClientError) as error:
            call(loopback.url, "sns", "Subscribe", TopicArn="arn:aws:sns:eu-central-1:1:t", Protocol="https")
        request = loopback.requests[0]
        judged = amazon.judge("sns", "Subscribe")

    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert judged(request) is None
    assert judged(type(request)(request.method, request.path, {}, request.body)).status == 403


def test_a_member_that_the_model_does_not_have_is_refused():
    with provider("sns", "Publish", amazon.answer("sns", "Publish", MessageId="m-1")) as loopback:
        said = call(loopback.url, "sns", "Publish", **CALLS["sns", "Publish"])
        request = loopback.requests[0]
    longer = type(request)(request.method, request.path, request.headers, request.body + b"&Priority=high")

    assert said["MessageId"] == "m-1"
    assert amazon.judge("sns", "Publish")(longer).status == 400


@pytest.mark.parametrize(
    ("service", "operation", "code", "status", "more"),
    [
        ("sesv2", "SendEmail", "TooManyRequestsException", 429, {}),
        ("sns", "Publish", "EndpointDisabled", 400, {}),
        ("sns", "Publish", "NotFound", 404, {}),
        (
            "pinpoint-sms-voice-v2",
            "SendTextMessage",
            "ConflictException",
            400,
            {"Reason": "DESTINATION_PHONE_NUMBER_OPTED_OUT"},
        ),
        ("socialmessaging", "SendWhatsAppMessage", "DependencyException", 502, {}),
    ],
)
def test_an_error_of_the_model_reaches_the_caller_with_code_status_and_members(service, operation, code, status, more):
    with provider(service, operation) as loopback:
        loopback.judge = lambda _: amazon.refusal(service, code, **more)
        with pytest.raises(ClientError) as error:
            call(loopback.url, service, operation, **CALLS[service, operation])

    said = error.value.response
    assert (said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert {name: said[name] for name in more} == more
