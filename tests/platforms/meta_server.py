"""Meta's Marketing API on loopback: judges calls by what Meta publishes, and keeps who is in which audience.

Written from the reference pages of custom audiences, their users and sessions, and the error reference.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema

from tests.channels.loopback import Answer, Loopback, Mode, Request

ACCOUNT = "act_2068317455"
TOKEN = "EAAGm0PX4ZCpsBAKZCZBZA9fGkW3tRqHdZAw7"
VERSION = "v26.0"
KEYS = ("EXTERN_ID", "EMAIL", "PHONE", "GEN", "DOBY", "DOBM", "DOBD", "LN", "FN", "FI", "CT", "ST", "ZIP", "MADID",
        "COUNTRY")  # fmt: skip
MOST_ROWS = 10_000
LONGEST_URL = 8 * 1024  # some hundred people: what a front end takes
SMALLEST = 3  # people that ads need; Meta's own number is larger and not published
# People do not call hashes alike, so a row is as wide as its schema: what a schema cannot say is checked in `_users`.
USERS: dict[str, Any] = {
    "type": "object",
    "required": ["payload"],
    "additionalProperties": False,
    "properties": {
        "payload": {
            "type": "object",
            "required": ["schema", "data"],
            "additionalProperties": False,
            "properties": {
                "schema": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": list(KEYS)}},
                "is_raw": {"type": "boolean"},
                "data": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "array", "items": {"type": "string", "pattern": "^([0-9a-f]{64})?$"}},
                },
            },
        },
        "session": {
            "type": "object",
            "required": ["session_id", "batch_seq", "last_batch_flag"],
            "additionalProperties": False,
            "properties": {
                "session_id": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
                "batch_seq": {"type": "integer", "minimum": 1},
                "last_batch_flag": {"type": "boolean"},
                "estimated_num_total": {"type": "integer", "minimum": 1},
            },
        },
    },
}
CREATE: dict[str, Any] = {
    "type": "object",
    "required": ["name", "subtype", "customer_file_source"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "subtype": {"const": "CUSTOM"},
        "customer_file_source": {
            "enum": ["USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED"]
        },
        "description": {"type": "string"},
    },
}
FIELDS = {
    "customaudiences": {"id", "name", "subtype"},
    "sessions": {"session_id", "stage", "progress", "start_time", "end_time", "num_received", "num_matched",
                 "num_invalid_entries"},
    "audience": {"id", "name", "approximate_count_lower_bound", "approximate_count_upper_bound", "operation_status",
                 "delivery_status"},
}  # fmt: skip


def error(code: int, subcode: int | None = None, *, status: int = 400, headers: Any = None, **more: Any) -> Answer:
    """An error as Meta words it."""
    told = {"message": f"(#{code}) Told so", "type": "OAuthException", "code": code, "fbtrace_id": "Az8or2yhqkZfEZ"}
    if subcode is not None:
        told["error_subcode"] = subcode
    return Answer(status, {"error": {**told, **more}}, headers or {})


@dataclass
class Audience:
    """One audience and who is in it: rows by key."""

    id: str
    name: str
    people: list[dict[str, str]] = field(default_factory=list)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)  # what it says of itself in place of the usual

    def tell(self, rows: list[dict[str, str]], *, adds: bool) -> None:
        """Put people in or take them out; to Meta two rows are one person by email or by phone."""
        known = [{row[key] for row in rows if row.get(key)} for key in ("EMAIL", "PHONE")]
        self.people = [
            one for one in self.people if one.get("EMAIL") not in known[0] and one.get("PHONE") not in known[1]
        ]
        self.people += {tuple(row.values()): row for row in rows}.values() if adds else []


class MetaServer(Loopback):
    """Meta at `url`, with one ad account and one token that works."""

    def __init__(self) -> None:
        super().__init__(
            judge=self._judge,
            keys=lambda request: [f"{request.method} {urlsplit(request.path).path}"],
            yes=lambda _: self._said,
            no=self._no,
        )
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.audiences: dict[str, Audience] = {}
        self.tokens = {TOKEN}
        self.keeps_minimum = False  # a removal that leaves fewer than SMALLEST is refused
        self.in_use: set[str] = set()  # ids of audiences that ad sets name
        self.unreadable: set[str] = set()  # hashes whose row Meta makes nothing of, and does not say which
        self.errors: list[Answer] = []  # given in turn instead of doing what was asked
        self.conduct = Mode.ACCEPT
        self._said = Answer(200)
        for noted in (self.accepted, self.requests, self.refused):
            noted.clear()

    @contextlib.contextmanager
    def running(self) -> Iterator[MetaServer]:
        """Serve until the block ends."""
        with super().running():
            yield self

    def has(self, name: str, *people: dict[str, str]) -> Audience:
        """An audience that is there already."""
        made = Audience(str(120_209_000_000_000_001 + len(self.audiences)), name, list(people))
        self.audiences[made.id] = made
        return made

    def settle(self) -> None:
        """Work through every upload, which takes Meta up to a day."""
        for audience in self.audiences.values():
            for session in audience.sessions:
                session.update(stage="done", progress="100", end_time="1793750400")

    def _no(self, status: int) -> Answer:
        codes = {401: 190, 429: 80_003, 400: 100}
        return error(codes.get(status, 2), status=status)

    def _judge(self, request: Request) -> Answer | None:
        """What Meta refuses; a call that it takes has been done when this returns."""
        self._said = self.errors.pop(0) if self.errors else self._answer(request)
        return None if self._said.status == 200 else self._said

    def _answer(self, request: Request) -> Answer:
        url = urlsplit(request.path)
        if len(request.path) > LONGEST_URL:
            return Answer(414, b"<!DOCTYPE html><title>Error</title>", {"Content-Type": "text/html"})
        given, refusal = self._parameters(request)
        if refusal:
            return refusal
        parts = url.path.strip("/").split("/")
        if parts[0] != VERSION or len(parts) not in (2, 3):
            return error(2635)
        node, edge = parts[1], parts[2] if len(parts) == 3 else ""
        if node == ACCOUNT and edge == "customaudiences":
            return self._created(given) if request.method == "POST" else self._list(given)
        if (audience := self.audiences.get(node)) is None:
            return error(100, 33, message=f"Object with ID '{node}' does not exist, cannot be loaded, or ...")
        if edge == "users" and request.method in ("POST", "DELETE"):
            return self._users(audience, given, adds=request.method == "POST")
        if edge == "sessions" and request.method == "GET":
            return self._sessions(audience, given)
        if not edge and request.method == "GET":
            return self._size(audience, given)
        if not edge and request.method == "DELETE":
            return self._deleted(audience, given)
        return error(100, message="Unsupported request")

    def _parameters(self, request: Request) -> tuple[dict[str, Any], Answer | None]:
        """What a call carries: in the URL, or as JSON or a form in the body. A form in a DELETE is not read."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        given: dict[str, Any] = dict(parse_qsl(urlsplit(request.path).query, keep_blank_values=True))
        kind = headers.get("content-type", "")
        if request.body and kind == "application/json":
            given |= request.json
        elif request.body and kind == "application/x-www-form-urlencoded" and request.method == "POST":
            given |= dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        token = headers.get("authorization", "").removeprefix("Bearer ") or given.pop("access_token", "")
        if token not in self.tokens:
            return given, error(190, 463, status=401, message="Error validating access token: Session has expired")
        for name in ("payload", "session"):  # in URLs and forms they are JSON in a text
            if isinstance(given.get(name), str):
                given[name] = json.loads(given[name])
        return given, None

    def _created(self, given: dict[str, Any]) -> Answer:
        if wrong := _wrong(given, CREATE):
            return wrong
        return Answer(200, {"id": self.has(given["name"]).id})

    def _list(self, given: dict[str, Any]) -> Answer:
        if not {"fields"} <= set(given) <= {"fields", "limit", "after", "summary"}:
            return error(100, message="Unsupported parameter")
        if wrong := _fields(given, "customaudiences"):
            return wrong
        begin, limit = int(given.get("after") or 0), int(given.get("limit", 25))
        newest_first = list(reversed(self.audiences.values()))
        rows = [{"id": one.id, "name": one.name} for one in newest_first[begin : begin + limit]]
        paging: dict[str, Any] = {"cursors": {"before": str(begin), "after": str(begin + len(rows))}}
        if begin + limit < len(newest_first):
            paging["next"] = f"{self.url}/{VERSION}/{ACCOUNT}/customaudiences?access_token={TOKEN}"
        return Answer(200, {"data": rows, "paging": paging})

    def _users(self, audience: Audience, given: dict[str, Any], *, adds: bool) -> Answer:
        if "payload" not in given:
            return error(100, message="(#100) Missing required parameter: payload")
        if wrong := _wrong(given, USERS):
            return wrong
        payload, session = given["payload"], given.get("session", {})
        rows = [dict(zip(payload["schema"], row, strict=False)) for row in payload["data"]]
        if len(rows) > MOST_ROWS or any(len(row) != len(payload["schema"]) for row in payload["data"]):
            return error(100, message="(#100) Data is missing or does not match schema")
        used = {told["session_id"] for one in self.audiences.values() for told in one.sessions}
        if str(session.get("session_id")) in used:
            return error(100, message="The session is closed")
        invalid = [row for row in rows if not any(row.values()) or self.unreadable.intersection(row.values())]
        before = list(audience.people)
        audience.tell([row for row in rows if row not in invalid], adds=adds)
        if self.keeps_minimum and not adds and len(audience.people) < SMALLEST:
            audience.people = before
            return error(
                200, 1_870_047, error_user_title="Audience Size too Low",
                error_user_msg="You cannot remove users from this audience because it will result in a low size.",
            )  # fmt: skip
        counts = {"num_received": len(rows), "num_invalid_entries": len(invalid)}
        samples = {str(n): json.dumps(list(row.values())) for n, row in enumerate(invalid[:3])}
        if session:
            told = {name: str(count) for name, count in counts.items()}
            told |= {"session_id": str(session["session_id"]), "num_matched": str(len(rows) - len(invalid))}
            audience.sessions.append({**told, "stage": "uploading", "progress": "0", "start_time": "1793664000"})
        named = {"audience_id": audience.id, "session_id": str(session.get("session_id", 0))}
        return Answer(200, {**named, **counts, "invalid_entry_samples": samples})

    def _deleted(self, audience: Audience, given: dict[str, Any]) -> Answer:
        if given:
            return error(100, message="Unsupported parameter")
        if audience.id in self.in_use:
            return error(100, error_user_title="Audience in use", error_user_msg="Active ad sets use this audience.")
        del self.audiences[audience.id]
        return Answer(200, {"success": True})

    def _sessions(self, audience: Audience, given: dict[str, Any]) -> Answer:
        if wrong := _fields(given, "sessions"):
            return wrong
        wanted = [one for one in audience.sessions if one["session_id"] == given.get("session_id", one["session_id"])]
        fields = given["fields"].split(",")
        return Answer(200, {"data": [{name: one[name] for name in fields if name in one} for one in wanted]})

    def _size(self, audience: Audience, given: dict[str, Any]) -> Answer:
        if wrong := _fields(given, "audience"):
            return wrong
        people = len(audience.people)
        small = {"code": 300, "description": "This audience is smaller than it should be"}
        says = {
            "id": audience.id,
            "approximate_count_lower_bound": people // 10 * 10,
            "approximate_count_upper_bound": people // 10 * 10 + 10,
            "operation_status": {"code": 200, "description": "Normal"},
            "delivery_status": small if people < SMALLEST else {"code": 200, "description": "Ready to use"},
            **audience.status,
        }
        return Answer(200, {name: says[name] for name in ["id", *given["fields"].split(",")] if name in says})


def _fields(given: dict[str, Any], of: str) -> Answer | None:
    unknown = set(filter(None, given.get("fields", "").split(","))) - FIELDS[of]
    return error(100, message=f"(#100) Tried accessing nonexisting field ({unknown})") if unknown else None


def _wrong(given: dict[str, Any], schema: dict[str, Any]) -> Answer | None:
    try:
        jsonschema.validate(given, schema)
    except jsonschema.ValidationError as wrong:
        return error(100, message=f"(#100) {wrong.message}")
    return None
