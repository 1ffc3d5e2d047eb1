"""TikTok's customer file audiences on loopback: judges requests by the published model and keeps real membership.

The model is that of the API descriptions in tiktok/tiktok-business-api-sdk (MIT), the file format that of TikTok's help
pages. Every answer is an envelope; saying no has status 200 too.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import jsonschema

from tests.channels.loopback import Answer, Loopback, Mode, Request

ROOT: Final = "/open_api/v1.3/dmp/custom_audience/"
TYPES: Final = (
    "EMAIL_SHA256", "FIRST_MD5", "FIRST_SHA256", "GAID_MD5", "GAID_SHA256", "IDFA_MD5", "IDFA_SHA256", "MAID_MD5",
    "MAID_SHA256", "MULTIPLE_TYPES", "PHONE_SHA256",
)  # fmt: skip
HEADERS: Final = {"Email_SHA256": "email", "Phone_SHA256": "phone", "MAID_SHA256": "maid"}
LARGEST_FILE: Final = 50_000_000
SMALLEST_AUDIENCE: Final = 1_000

_ID = {"type": "string", "pattern": "^[0-9]{1,32}$"}
_PATH = {"type": "string", "minLength": 16, "maxLength": 16}
_FILES = {"type": "array", "minItems": 1, "maxItems": 500, "items": _PATH}
_NAME = {"type": "string", "minLength": 1, "maxLength": 128}
BODIES: Final[dict[str, dict[str, Any]]] = {
    "create": {
        "type": "object",
        "required": ["advertiser_id", "custom_audience_name", "calculate_type", "file_paths"],
        "additionalProperties": False,
        "properties": {
            "advertiser_id": _ID,
            "custom_audience_name": _NAME,
            "calculate_type": {"enum": [one for one in TYPES if not one.startswith("MAID")]},
            "file_paths": _FILES,
            "audience_sub_type": {"enum": ["NORMAL", "REACH_FREQUENCY"]},
            "retention_in_days": {"type": "integer", "minimum": 1, "maximum": 365},
            "audience_enhancement": {"type": "boolean"},
        },
    },
    "update": {
        "type": "object",
        "required": ["advertiser_id", "custom_audience_id"],
        "anyOf": [{"required": ["file_paths"]}, {"required": ["custom_audience_name"]}],
        "additionalProperties": False,
        "properties": {
            "advertiser_id": _ID,
            "custom_audience_id": _ID,
            "custom_audience_name": _NAME,
            "file_paths": _FILES,
            "action": {"enum": ["APPEND", "REMOVE", "REPLACE"]},
        },
    },
    "delete": {
        "type": "object",
        "required": ["advertiser_id", "custom_audience_ids"],
        "additionalProperties": False,
        "properties": {
            "advertiser_id": _ID,
            "custom_audience_ids": {"type": "array", "minItems": 1, "maxItems": 100, "items": _ID},
        },
    },
}

Hash = tuple[str, str]  # kind of identifier, its hash


@dataclass
class Audience:
    """What TikTok holds of one audience; `counted` is what it says of its size: nothing before it was counted.

    A change is in its `history` once it was worked through; until then it is one of the `coming`.
    """

    name: str
    calculate_type: str = "MULTIPLE_TYPES"
    members: set[Hash] = field(default_factory=set)
    is_creator: bool = True
    counted: int | None = None
    is_valid: bool = False
    error_msg: str = ""
    history: list[dict[str, str]] = field(default_factory=list)
    coming: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class File:
    """One uploaded file, read."""

    calculate_type: str
    people: frozenset[Hash]


class Tiktok:
    """The audiences of one advertiser behind one token.

    `conducts` treats the requests of an endpoint in a mode of the loopback; `codes` are answered by an endpoint, one a
    request, before it looks at anything but who asks; `partly` makes the next change take the first half of its people.
    """

    advertiser, token = "7000000000000000001", "0123456789abcdef0123456789abcdef01234567"

    def __init__(self) -> None:
        self.audiences: dict[str, Audience] = {}
        self.files: dict[str, File] = {}
        self.conducts: dict[str, Mode] = {}
        self.codes: defaultdict[str, list[int]] = defaultdict(list)
        self.messages: dict[int, str] = {}
        self.partly: set[str] = set()
        self.keeps_minimum = False
        self.in_use: set[str] = set()  # audiences that ad groups name
        self.forgets_files = False
        self.told: list[str] = []  # endpoints, in the order of the requests they took
        self.refusals: list[dict[str, Any]] = []
        self.on_upload: Callable[[], None] = lambda: None
        self._numbers = itertools.count(1)
        self._answers: dict[int, Answer] = {}
        self.loopback = Loopback(
            judge=self._judge, keys=self._take, yes=lambda request: self._answers.pop(id(request)),
            no=lambda status: Answer(status, b"upstream says no", {"Content-Type": "text/plain"}),
        )  # fmt: skip
        self.loopback.conduct = lambda request: self.conducts.get(endpoint(request), Mode.ACCEPT)

    @property
    def url(self) -> str:
        return self.loopback.url

    @property
    def requests(self) -> list[Request]:
        return self.loopback.requests

    @contextmanager
    def running(self) -> Iterator[Tiktok]:
        with self.loopback.running():
            yield self

    def put(self, audience: Audience) -> str:
        """An audience that is there already."""
        number = f"1{next(self._numbers):09d}"
        self.audiences[number] = audience
        return number

    def count(self) -> None:
        """A day later: every change was worked through and every audience is counted."""
        for audience in self.audiences.values():
            audience.history += audience.coming
            audience.coming = []
            audience.counted = len(audience.members)
            audience.is_valid = audience.counted >= SMALLEST_AUDIENCE

    def _say(self, code: int, message: str = "", data: Any = None) -> Answer:
        message = self.messages.get(code, message or f"told to say {code}")
        envelope = {"code": code, "message": "OK" if code == 0 else message, "request_id": "2026031012000001"}
        if code:
            self.refusals.append(envelope)
        return Answer(200, {**envelope, "data": data or {}})

    def _judge(self, request: Request) -> Answer | None:
        """An answer refuses the request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        where = endpoint(request)
        wanted = {
            "file/upload": "POST", "create": "POST", "update": "POST", "delete": "POST", "list": "GET", "get": "GET",
        }.get(where)  # fmt: skip
        if wanted is None or not urlsplit(request.path).path.endswith("/"):
            return Answer(404, b"404 page not found", {"Content-Type": "text/plain"})
        if request.method != wanted:
            return self._say(40000, "method not allowed")
        if headers.get("access-token") != self.token:
            return self._say(40105, f"Access token {headers.get('access-token')} is incorrect or has been revoked.")
        if self.codes[where]:
            code = self.codes[where].pop(0)
            if code != 20001:
                return self._say(code)
            self.partly.add(where)
        if wanted == "GET":
            return self._judge_query(where, request)
        if where == "file/upload":
            return self._judge_upload(headers, request)
        if headers.get("content-type") != "application/json":
            return self._say(40000, "Content-Type must be application/json")
        return self._judge_body(where, request.json)

    def _judge_query(self, where: str, request: Request) -> Answer | None:
        query = {name: values[-1] for name, values in parse_qs(urlsplit(request.path).query).items()}
        if query.get("advertiser_id") != self.advertiser:
            return self._say(40001, "No permission to operate this advertiser")
        if where == "list":
            if not 1 <= int(query.get("page_size", 10)) <= 100 or int(query.get("page", 1)) < 1:
                return self._say(40002, "page_size: Value range 1-100")
            return None
        try:
            asked = json.loads(query["custom_audience_ids"])
        except (LookupError, ValueError):
            return self._say(40002, "custom_audience_ids: a JSON list is required")
        if not isinstance(asked, list) or not 1 <= len(asked) <= 100:
            return self._say(40002, "custom_audience_ids: Length range is [1, 100]")
        if not 1 <= int(query.get("history_size", 100)) <= 100:
            return self._say(40002, "history_size")
        return None

    def _judge_upload(self, headers: dict[str, str], request: Request) -> Answer | None:
        form = parts(headers.get("content-type", ""), request.body)
        if missing := {"advertiser_id", "file", "file_signature", "calculate_type"} - set(form):
            return self._say(40002, f"missing: {sorted(missing)}")
        if surplus := set(form) - {"advertiser_id", "file", "file_signature", "calculate_type", "file_name", "name"}:
            return self._say(40002, f"unknown: {sorted(surplus)}")
        name, content = form["file"]
        if form["advertiser_id"][1].decode() != self.advertiser:
            return self._say(40001, "No permission to operate this advertiser")
        if not name.endswith((".csv", ".txt")):
            return self._say(40908, "Only supports CSV and TXT files")
        if not content:
            return self._say(40906, "The file is empty")
        if len(content) > LARGEST_FILE:
            return self._say(40907, "The file is too large")
        if form["file_signature"][1].decode() != hashlib.md5(content).hexdigest():
            return self._say(40900, "file_signature does not match")
        kind = form["calculate_type"][1].decode()
        if kind not in TYPES:
            return self._say(40002, "calculate_type")
        lines = content.decode().split("\n")
        if lines.pop() or not lines:  # what an editor would call an unfinished line
            return self._say(40908, "The last line is not ended")
        if kind == "MULTIPLE_TYPES" and not set(lines[0].split(",")) <= set(HEADERS):
            return self._say(40909, "The header does not name the types")
        if len(lines) < 2:
            return self._say(40906, "The file is empty")
        width = len(lines[0].split(","))
        for line in lines[1:]:
            cells = line.split(",")
            if len(cells) != width or not any(cells):
                return self._say(40908, "A line does not fit the header")
            if not all(re.fullmatch(r"([0-9a-f]{64})?", cell) for cell in cells):
                return self._say(40062, f"PII is not hashed: {line}")
        return None

    def _judge_body(self, where: str, body: Any) -> Answer | None:
        try:
            jsonschema.validate(body, BODIES[where])
        except jsonschema.ValidationError as wrong:
            return self._say(40002, wrong.message)
        if body["advertiser_id"] != self.advertiser:
            return self._say(40001, "No permission to operate this advertiser")
        if where == "delete":
            return self._judge_deletion(body["custom_audience_ids"])
        if where == "update" and body["custom_audience_id"] not in self.audiences:
            return self._say(40007, f"Audience {body['custom_audience_id']} does not exist")
        if self.forgets_files or not set(body["file_paths"]) <= set(self.files):
            return self._say(40910, "The file has expired")
        audience = self.audiences.get(body.get("custom_audience_id", ""))
        wanted = audience.calculate_type if audience else body["calculate_type"]
        if any(self.files[path].calculate_type != wanted for path in body["file_paths"]):
            return self._say(40909, "calculate_type is not that of the audience")
        if audience and self.keeps_minimum:
            after = self._changed(audience, body.get("action", "REPLACE"), self._people(body["file_paths"]))
            if len(after) < SMALLEST_AUDIENCE:
                return self._say(40002, "The audience size is less than 1,000 after the operation")
        return None

    def _judge_deletion(self, audiences: list[str]) -> Answer | None:
        if missing := set(audiences) - set(self.audiences):
            return self._say(40007, f"Audience {missing} does not exist")
        if used := set(audiences) & self.in_use:
            return self._say(40002, f"Audience {used} is being used by ad groups")
        return None

    def _people(self, paths: list[str]) -> set[Hash]:
        return {one for path in paths for one in self.files[path].people}

    @staticmethod
    def _changed(audience: Audience, action: str, people: set[Hash]) -> set[Hash]:
        changed = {"APPEND": audience.members | people, "REMOVE": audience.members - people, "REPLACE": people}
        return set(changed[action])

    def _take(self, request: Request) -> list[str]:
        """Do what was asked and keep the answer, which may never arrive."""
        where = endpoint(request)
        data, code = getattr(self, f"_{where.replace('/', '_')}")(request), 0
        if where in self.partly:
            self.partly.discard(where)
            code = 20001
        self._answers[id(request)] = self._say(code, "Part of the data was not processed", data)
        self.told.append(where)
        return [where]

    def _file_upload(self, request: Request) -> dict[str, Any]:
        self.on_upload()
        headers = {name.lower(): value for name, value in request.headers.items()}
        form = parts(headers["content-type"], request.body)
        header, *lines = form["file"][1].decode().split("\n")[:-1]
        kinds = [HEADERS[name] for name in header.split(",")]
        people = {(kind, cell) for line in lines for kind, cell in zip(kinds, line.split(","), strict=True) if cell}
        if "file/upload" in self.partly:
            people = set(sorted(people)[: len(people) // 2])
        path = f"{next(self._numbers):016x}"
        self.files[path] = File(form["calculate_type"][1].decode(), frozenset(people))
        return {"file_path": path}

    def _create(self, request: Request) -> dict[str, Any]:
        body = request.json
        people = self._people(body["file_paths"])
        number = self.put(Audience(body["custom_audience_name"], body["calculate_type"], people))
        return {"custom_audience_id": number}

    def _update(self, request: Request) -> dict[str, Any]:
        body = request.json
        audience, action = self.audiences[body["custom_audience_id"]], body.get("action", "REPLACE")
        people = self._people(body["file_paths"])
        if "update" in self.partly:
            people = set(sorted(people)[: len(people) // 2])
        audience.members = self._changed(audience, action, people)
        opt_time = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"  # by the clock that dates its answers
        audience.coming.append({"action": action, "editor": "open_api", "msg": "", "opt_time": opt_time})
        return {}

    def _delete(self, request: Request) -> dict[str, Any]:
        for number in request.json["custom_audience_ids"]:
            del self.audiences[number]
        return {}

    def _shown(self, number: str) -> dict[str, Any]:
        audience = self.audiences[number]
        return {
            "audience_id": number, "name": audience.name, "cover_num": audience.counted or 0,
            "is_valid": audience.is_valid, "is_creator": audience.is_creator, "shared": not audience.is_creator,
            "calculate_type": audience.calculate_type, "create_time": "2026-03-10 12:00:00",
            "expired_time": "2027-03-10 12:00:00",
        }  # fmt: skip

    def _list(self, request: Request) -> dict[str, Any]:
        query = parse_qs(urlsplit(request.path).query)
        page, size = int(query.get("page", ["1"])[0]), int(query.get("page_size", ["10"])[0])
        numbers = sorted(self.audiences)
        shown = [
            {**self._shown(number), "audience_type": "Customer File Audience"}
            for number in numbers[(page - 1) * size : page * size]
        ]
        info = {
            "page": page, "page_size": size, "total_number": len(numbers), "total_page": -(-len(numbers) // size),
        }  # fmt: skip
        return {"list": shown, "page_info": info}

    def _get(self, request: Request) -> dict[str, Any]:
        asked = json.loads(parse_qs(urlsplit(request.path).query)["custom_audience_ids"][0])
        return {
            "list": [
                {
                    "audience_details": {
                        **self._shown(number), "type": "Customer File Audience", "msg": "",
                        "error_msg": self.audiences[number].error_msg,
                    },
                    "audience_history": list(self.audiences[number].history),
                }
                for number in asked
                if number in self.audiences
            ]
        }  # fmt: skip


def endpoint(request: Request) -> str:
    """`create` of a request to .../create/."""
    return urlsplit(request.path).path.removeprefix(ROOT).strip("/")


def parts(content_type: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """A multipart form: name of a field -> file name and content."""
    boundary = re.fullmatch(r'multipart/form-data; boundary="?([^"]{1,70})"?', content_type)
    if not boundary:
        return {}
    mark = b"--" + boundary[1].encode()
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    found = {}
    if pieces[0] or pieces[-1] not in (b"--\r\n", b"--"):
        return {}
    for piece in pieces[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        names = dict(re.findall(r'(\bname|filename)="([^"]*)"', head.decode()))
        found[names["name"]] = (names.get("filename", ""), content)
    return found
