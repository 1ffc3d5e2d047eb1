"""Amazon's services on loopback: requests judged, and answers written, by the service models that come with botocore.

botocore itself checks types, required members and smallest sizes only. Amazon also checks patterns, largest sizes and
enumerations, which the same models state; the judge here checks those too. Use with tests/channels/loopback.py:

    Loopback(
        judge=amazon.judge("sesv2", "SendEmail"),
        keys=lambda request: [amazon.read("sesv2", "SendEmail", request)["EmailTags"][0]["Value"]],
        yes=lambda _: amazon.answer("sesv2", "SendEmail", MessageId="m-1"),
        no=amazon.says("sesv2", {429: "TooManyRequestsException"}),
    )
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from botocore.model import OperationModel, ServiceModel, Shape
from botocore.session import get_session
from botocore.validate import ParamValidator

from tests.channels.loopback import Answer, Judge, Request

# What each protocol calls a request that its model does not allow; the first one that the operation knows is said.
INVALID = ("ValidationException", "BadRequestException", "InvalidParameter", "InvalidParametersException")


@cache
def model(service: str) -> ServiceModel:
    """The service's model, as botocore has it."""
    return get_session().get_service_model(service)


def judge(service: str, *operations: str) -> Judge:
    """What refuses a request that is none of `operations`, is not signed, or is not as the model says."""

    def judged(request: Request) -> Answer | None:
        name = next((name for name in operations if _is_for(model(service).operation_model(name), request)), None)
        if name is None:
            return refusal(service, "UnknownOperationException", "no such operation here", status=404)
        headers = {key.lower(): value for key, value in request.headers.items()}
        if not headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
            return refusal(service, "MissingAuthenticationTokenException", "not signed", status=403)
        operation = model(service).operation_model(name)
        try:
            values = read(service, name, request)
        except (ValueError, KeyError, binascii.Error) as unreadable:
            return refusal(service, _invalid(operation), f"cannot be read: {unreadable}", status=400)
        if findings := list(against(operation.input_shape, values)):
            return refusal(service, _invalid(operation), "; ".join(findings), status=400)
        return None

    return judged


def read(service: str, operation: str, request: Request) -> dict[str, Any]:
    """The parameters of a request, named as boto3 names them; blobs as bytes."""
    found = model(service).operation_model(operation)
    shape = found.input_shape
    if model(service).metadata["protocol"] == "query":
        pairs = dict(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))
        del pairs["Action"], pairs["Version"]
        return _from_query(shape, pairs)
    values = _from_json(shape, json.loads(request.body) if request.body else {})
    if model(service).metadata["protocol"] == "rest-json":
        values |= _from_address(found, request)
    return values


def against(shape: Shape, values: Any) -> Iterator[str]:
    """Whatever a service would find wrong with values for one of its shapes; nothing when they are as published."""
    report = ParamValidator().validate(values, shape)
    if report.has_errors():
        yield report.generate_report()
        return
    yield from _beyond_botocore(shape, values, shape.name)


def answer(service: str, operation: str, **values: Any) -> Answer:
    """The service's way to say yes, with these members of the operation's output (texts)."""
    shape = model(service).operation_model(operation).output_shape
    if unknown := set(values) - set(shape.members):
        raise ValueError(f"{service} {operation} answers with no {', '.join(sorted(unknown))}")
    if model(service).metadata["protocol"] != "query":
        named = {shape.members[name].serialization.get("name", name): value for name, value in values.items()}
        return Answer(200, named, {"x-amzn-RequestId": "request-1"})
    inner = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in values.items())
    return _xml(200, f"{operation}Response", f"<{operation}Result>{inner}</{operation}Result>", service)


def refusal(service: str, code: str, message: str = "told so", *, status: int | None = None, **more: Any) -> Answer:
    """The service's way to say no; `more` are further members of that error, its status is the model's unless given."""
    known = next((one for one in model(service).error_shapes if code in (one.error_code, one.name)), None)
    if status is None:
        # json 1.0 and 1.1 models give no status: a client's error is 400, a server's 500
        fallback = 500 if code.startswith("Internal") else 400
        status = known.metadata.get("error", {}).get("httpStatusCode", fallback) if known else fallback
    code = known.error_code if known else code
    if model(service).metadata["protocol"] != "query":
        return Answer(
            status, {"__type": code, "message": message, **more}, {"x-amzn-ErrorType": code, "x-amzn-RequestId": "r-1"}
        )
    kind = "Receiver" if status >= 500 else "Sender"
    inner = f"<Error><Type>{kind}</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    return _xml(status, "ErrorResponse", inner, service)


def says(service: str, codes: Mapping[int, str] | None = None) -> Callable[[int], Answer]:
    """How the service answers when loopback tells it to answer a status, with its own code where `codes` has one."""
    usual = {401: "UnrecognizedClientException", 429: "ThrottlingException", 500: "InternalFailure"}
    told = usual | {502: "ServiceUnavailable", 503: "ServiceUnavailable"} | dict(codes or {})
    return lambda status: refusal(service, told.get(status, "ValidationException"), status=status)


def _is_for(operation: OperationModel, request: Request) -> bool:
    metadata = operation.service_model.metadata
    headers = {key.lower(): value for key, value in request.headers.items()}
    if request.method != operation.http.get("method", "POST"):
        return False
    if metadata["protocol"] == "json":
        return headers.get("x-amz-target") == f"{metadata['targetPrefix']}.{operation.wire_name}"
    if metadata["protocol"] == "query":
        pairs = dict(parse_qsl(request.body.decode(errors="replace")))
        return (pairs.get("Action"), pairs.get("Version")) == (operation.wire_name, metadata["apiVersion"])
    return _address(operation).fullmatch(urlsplit(request.path).path) is not None


def _address(operation: OperationModel) -> re.Pattern[str]:
    path = operation.http["requestUri"].split("?")[0]
    parts = re.split(r"\{(\w+)(\+?)\}", path)
    pattern = re.escape(parts[0])
    for name, greedy, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        pattern += f"(?P<{name}>{'.+' if greedy else '[^/]+'})" + re.escape(literal)
    return re.compile(pattern)


def _from_address(operation: OperationModel, request: Request) -> dict[str, Any]:
    split = urlsplit(request.path)
    in_path = _address(operation).fullmatch(split.path).groupdict()
    in_query = dict(parse_qsl(split.query, keep_blank_values=True))
    headers = {key.lower(): value for key, value in request.headers.items()}
    values: dict[str, Any] = {}
    for name, member in operation.input_shape.members.items():
        place, wire = member.serialization.get("location"), member.serialization.get("name", name)
        if place == "uri":
            values[name] = _scalar(member, unquote(in_path[wire]))
        elif place == "querystring" and wire in in_query:
            values[name] = _scalar(member, in_query[wire])
        elif place == "header" and wire.lower() in headers:
            values[name] = _scalar(member, headers[wire.lower()])
    return values


def _from_json(shape: Shape, value: Any) -> Any:
    """Values as boto3 takes them; a member under a name that the model does not have keeps that name."""
    if shape.type_name == "structure" and isinstance(value, dict) and not shape.is_document_type:
        members = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
        return {
            members[wire][0] if wire in members else wire: _from_json(members[wire][1], one) if wire in members else one
            for wire, one in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_from_json(shape.member, one) for one in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: _from_json(shape.value, one) for key, one in value.items()}
    if shape.type_name == "blob" and isinstance(value, str):
        return base64.b64decode(value, validate=True)
    return value


def _from_query(shape: Shape, pairs: dict[str, str]) -> Any:
    """Values from `A.b.member.1=x`; what the model has no place for stays under its whole name."""
    if shape.type_name == "structure":
        values: dict[str, Any] = {}
        for name, member in shape.members.items():
            below = _below(pairs, member.serialization.get("name", name))
            if below:
                values[name] = _from_query(member, below)
        return values | pairs
    if shape.type_name == "list":
        return [_from_query(shape.member, one) for one in _numbered(shape, pairs, "member")]
    if shape.type_name == "map":
        entries = _numbered(shape, pairs, "entry")
        key, value = shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")
        return {_below(one, key)[""]: _from_query(shape.value, _below(one, value)) for one in entries}
    return _scalar(shape, pairs.pop(""))


def _below(pairs: dict[str, str], name: str) -> dict[str, str]:
    """Take out what stands under a name, without it."""
    taken = {key: pairs.pop(key) for key in list(pairs) if key == name or key.startswith(f"{name}.")}
    return {key.removeprefix(name).removeprefix("."): value for key, value in taken.items()}


def _numbered(shape: Shape, pairs: dict[str, str], word: str) -> list[dict[str, str]]:
    inside = pairs if shape.serialization.get("flattened") else _below(pairs, word)
    found = []
    while below := _below(inside, str(len(found) + 1)):
        found.append(below)
    if inside:
        raise ValueError(f"{shape.name} is not numbered from 1")
    return found


def _scalar(shape: Shape, text: str) -> Any:
    if shape.type_name in ("integer", "long"):
        return int(text)
    if shape.type_name in ("float", "double"):
        return float(text)
    if shape.type_name == "boolean":
        return {"true": True, "false": False}[text]
    return base64.b64decode(text, validate=True) if shape.type_name == "blob" else text


def _beyond_botocore(shape: Shape, value: Any, where: str) -> Iterator[str]:
    rules = shape.metadata
    size = value if isinstance(value, int | float) else len(value) if hasattr(value, "__len__") else 0
    if "max" in rules and shape.type_name != "structure" and size > rules["max"]:
        yield f"{where} is larger than {rules['max']}"
    if "min" in rules and shape.type_name != "structure" and size < rules["min"]:
        yield f"{where} is smaller than {rules['min']}"
    if shape.type_name == "string":
        if "pattern" in rules and not re.fullmatch(rules["pattern"], value):
            yield f"{where} does not match {rules['pattern']}"
        if "enum" in rules and value not in rules["enum"]:
            yield f"{where} is none of {', '.join(rules['enum'])}"
    elif shape.type_name == "structure" and not shape.is_document_type:
        for name, one in value.items():
            yield from _beyond_botocore(shape.members[name], one, f"{where}.{name}")
    elif shape.type_name == "list":
        for number, one in enumerate(value):
            yield from _beyond_botocore(shape.member, one, f"{where}[{number}]")
    elif shape.type_name == "map":
        for key, one in value.items():
            yield from _beyond_botocore(shape.key, key, f"{where} (key)")
            yield from _beyond_botocore(shape.value, one, f"{where}.{key}")


def _invalid(operation: OperationModel) -> str:
    known = {shape.error_code for shape in operation.error_shapes}
    return next((code for code in INVALID if code in known), INVALID[0])


def _xml(status: int, root: str, inner: str, service: str) -> Answer:
    space = model(service).metadata.get("xmlNamespace", "")
    meta = "<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>" if root != "ErrorResponse" else ""
    body = f'<{root} xmlns="{space}">{inner}{meta}</{root}>'
    return Answer(status, body.encode(), {"Content-Type": "text/xml"})
