"""SendGrid's Mail Send on loopback: requests judged by SendGrid's published description and by what it leaves out.

The description is public data beside the checkout, never part of it. Without it the rules below still judge, and the
tests that are about the description are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from config.settings import CHECKOUT
from tests.channels.loopback import Answer, Loopback, Request

DESCRIPTION = CHECKOUT.parent / "shared" / "data" / "sendgrid_mail_v3_openapi.json"
ABSENT = "SendGrid's published description is not here"
KEY = "SG.test-key"
FORBIDDEN_HEADERS = {
    "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to", "from",
    "subject", "reply-to", "cc", "bcc",
}  # fmt: skip


def provider(**given: Any) -> Loopback:
    """SendGrid itself, as far as one endpoint goes."""
    return Loopback(judge=judge, keys=attempts, yes=accepted, no=refusal, **given)


def attempts(request: Request) -> list[str]:
    """Our keys in the order of the people."""
    return [one["custom_args"]["attempt_id"] for one in request.json["personalizations"]]


def accepted(request: Request) -> Answer:
    """202 and a number for the request; 200 and none in the sandbox."""
    if request.json.get("mail_settings", {}).get("sandbox_mode", {}).get("enable") is True:
        return Answer(200)
    return Answer(202, b"", {"X-Message-Id": f"request-{attempts(request)[0][-4:]}"})


def refusal(status: int, *fields: str | None, message: str = "told so") -> Answer:
    """An error as SendGrid writes it, about these fields."""
    return Answer(status, {"errors": [{"message": message, "field": name} for name in fields or (None,)]})


def judge(request: Request) -> Answer | None:
    """What SendGrid would answer to a request that it does not take."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    if headers.get("authorization") != f"Bearer {KEY}":
        return refusal(401)
    if (request.method, request.path) != ("POST", "/v3/mail/send"):
        return refusal(404)
    if len(request.body) > 30_000_000:
        return refusal(413)
    findings = [*against_rules(request.json), *(against_description(request) if DESCRIPTION.is_file() else ())]
    return refusal(400, *(field for field, _ in findings), message=findings[0][1]) if findings else None


@cache
def description() -> Any:
    """What openapi-core reads the published description into."""
    from openapi_core import OpenAPI

    return OpenAPI.from_file_path(str(DESCRIPTION))


@cache
def request_schema() -> dict[str, Any]:
    """The description of a request's body, and the named schemas it refers to."""
    read = json.loads(DESCRIPTION.read_text("utf-8"))
    body = read["components"]["requestBodies"]["PostMailSend"]["content"]["application/json"]["schema"]
    return {"body": body, "schemas": read["components"]["schemas"]}


def against_description(request: Request) -> Iterator[tuple[str | None, str]]:
    """Findings of openapi-core, and fields that the description does not know (it forbids none)."""
    from openapi_core.exceptions import OpenAPIError
    from openapi_core.testing import MockRequest

    content = dict(request.headers).get("Content-Type", "")
    asked = MockRequest(
        "https://api.sendgrid.com",
        request.method.lower(),
        request.path,
        headers={"Authorization": request.headers["Authorization"]},
        data=request.body,
        content_type=content,
    )
    try:
        description().validate_request(asked)
    except OpenAPIError as error:
        details = getattr(error.__cause__, "schema_errors", None) or [error.__cause__ or error]
        yield from ((".".join(str(part) for part in getattr(one, "path", ())), str(one)[:200]) for one in details)
        return
    yield from _unknown(request_schema()["body"], request.json, "")


def _unknown(schema: dict[str, Any], value: Any, where: str) -> Iterator[tuple[str, str]]:
    if reference := schema.get("$ref"):
        schema = request_schema()["schemas"][reference.rsplit("/", 1)[1]]
    if isinstance(value, dict) and "properties" in schema:
        for name, one in value.items():
            path = f"{where}.{name}".strip(".")
            if name not in schema["properties"]:
                yield path, f"{path} is not a field"
            else:
                yield from _unknown(schema["properties"][name], one, path)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _unknown(schema.get("items", {}), one, f"{where}.{number}")


def against_rules(body: dict[str, Any]) -> Iterator[tuple[str | None, str]]:
    """Findings by SendGrid's documented rules that no schema holds."""
    people = body.get("personalizations", [])
    addresses = [to["email"].casefold() for one in people for kind in ("to", "cc", "bcc") for to in one.get(kind, [])]
    if not addresses or len(addresses) > 1000 or len(people) > 1000:
        yield "personalizations", "1 to 1,000 recipients"
    if len(set(addresses)) < len(addresses):
        yield "personalizations", "Each unique email address in the personalizations array should only be included once"
    if "custom_args" in body:
        yield "custom_args", "a whole request's arguments would not tell people apart"
    categories = body.get("categories", [])
    if len(categories) > 10 or len(set(categories)) < len(categories) or any(len(one) > 255 for one in categories):
        yield "categories", "at most 10 unique ones of 255 characters"
    is_dynamic = body.get("template_id", "").startswith("d-")
    if not is_dynamic and not (body.get("content") and all(one.get("value") for one in body["content"])):
        yield "content", "the content is required"
    for number, one in enumerate(people):
        where = f"personalizations.{number}"
        if is_dynamic and "substitutions" in one:
            yield f"{where}.substitutions", "not with a dynamic template"
        if not is_dynamic and not (one.get("subject") or body.get("subject")):
            yield f"{where}.subject", "the subject is required"
        for name, limit in (("substitutions", 10_000), ("custom_args", 10_000)):
            if len(json.dumps(one.get(name, {})).encode()) > limit:
                yield f"{where}.{name}", f"larger than {limit} bytes"
        if not all(isinstance(value, str) for value in one.get("custom_args", {}).values()):
            yield f"{where}.custom_args", "texts only"
        for name, value in one.get("headers", {}).items():
            if name.lower() in FORBIDDEN_HEADERS or not f"{name}{value}".isprintable() or len(value) > 998:
                yield f"{where}.headers", f"{name} cannot be set so"


def texts(request: Request) -> dict[str, tuple[str, str]]:
    """(subject, html) that each address would get, its substitutions put in as SendGrid does."""
    body = request.json
    made = {}
    for one in body["personalizations"]:
        subject, html = one["subject"], body["content"][0]["value"]
        for tag, value in one.get("substitutions", {}).items():
            subject, html = subject.replace(tag, value), html.replace(tag, value)
        made[one["to"][0]["email"]] = (subject, html)
    return made
