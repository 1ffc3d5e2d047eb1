"""TikTok custom audiences: people leave as files of hashes, and an audience takes, gives up or becomes what they hold.

Every telling uploads its files anew, since TikTok forgets files; an audience holds hashes, so a repeat changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from tempfile import SpooledTemporaryFile
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal
from urllib.parse import urlencode

from config.platforms import Tiktok
from tasks import http
from tasks.platforms.base import NOBODY, TOO_SMALL, UNKNOWN, Outcome, Person, Size, Taken
from tasks.platforms.identity import EMAIL, PHONE, misfit
from tasks.rules.errors import Busy, Misconfigured, ProviderError, Refused, Unanswered
from tasks.store.workspace import Workspace

Action = Literal["APPEND", "REMOVE", "REPLACE"]
PROVIDER: Final = "tiktok"
PATH: Final = "/open_api/v1.3/dmp/custom_audience"
SMALLEST: Final = 1_000  # people TikTok has to find before an ad may be shown to them
# One type per audience: the type of a single identifier would leave out everybody known by the other alone.
CALCULATE_TYPE: Final = "MULTIPLE_TYPES"
COLUMNS: Final = {EMAIL: "Email_SHA256", PHONE: "Phone_SHA256"}  # kind of identifier -> header of its column

OK: Final = 0
PARTIAL: Final = 20001
# What TikTok says no with, by what happens next. A code of its own servers (50000 and above) leaves it open.
BUSY: Final = frozenset(
    {
        40100, 40132, 61000,  # asked too often
        40201, 40202,  # a change of the same audience is under way
        40905, 40910,  # a file was forgotten before it was used: the next telling uploads it again
        60001,  # closed for maintenance
    }
)  # fmt: skip
MISCONFIGURED: Final = frozenset(
    {
        40001, 40003, 40113, 40117, 40118, 40119, 40124, 40125, 40130, 40131,  # what the app may not do
        40101, 40102, 40103, 40104, 40105, 40106, 40107, 40109, 40110, 40115, 40116,  # the token
        40006, 40008, 40009, 40010, 40013, 40014, 40051, 40400, 41001, 41002,  # the address or version
        40114, 40300, 40301, 40302, 40309, 41000,  # the advertiser
    }
)  # fmt: skip
REFUSED: Final[Mapping[int, str]] = MappingProxyType(
    {
        40007: UNKNOWN,
        40011: "too_many",
        40061: "too_many",
        40062: "not_hashed",
        40900: "file_refused",
        40906: "file_refused",
        40907: "file_refused",
        40908: "file_refused",
        40909: "other_identifiers",  # the audience was made of another type of identifier
        40915: "file_refused",
    }
)
UNANSWERED: Final = frozenset({40050, 40200})  # the same request is known already; its task broke

# TikTok has no code of its own for an audience that would become too small, so its words tell; not those about files.
_TOO_FEW: Final = re.compile(r"\baudience\b.*(less than 1,?000|too small)", re.IGNORECASE)
# What TikTok repeats of a request must not reach a log: addresses, numbers, tokens and hashes.
_PRIVATE: Final = re.compile(r"\S*@\S*|\+?\d[\d ().-]{5,}\d|[A-Za-z0-9_-]{24,}")
_LONGEST_WORDS: Final = 200
_REQUEST: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
# 20 audiences and 10 changes are some 10 KB; 100 may be more than is read of an answer (tasks/http.py).
_LISTED: Final = 20
_CHANGES: Final = 10
# Within so much time TikTok has worked through a change, whatever it tells of it.
_WORKED_THROUGH: Final = timedelta(hours=48)
_MOST_FILES: Final = 500
_IN_MEMORY: Final = 8_000_000  # bytes of a file before it goes to disk
_PIECE: Final = 65_536
_SLOWEST: Final = 500_000  # bytes a second that a line carries at least
# A file holds hexadecimal digits, commas and the two headers: this is never in it.
_BOUNDARY: Final = "reengage.audience.file"


class TiktokPlatform:
    """The audiences of one advertiser, over its customer files.

    `seconds` bound a call beside the time its file needs on the line; `largest_file` is in bytes. One audience per
    name, of type MULTIPLE_TYPES: a row is a person with an email, a phone or both.
    """

    page: ClassVar[int] = 100_000
    smallest: ClassVar[int] = SMALLEST

    def __init__(self, client: Any, options: Tiktok, *, seconds: float = 20, largest_file: int = 25_000_000) -> None:
        self._client = client
        self._advertiser = options.advertiser
        self._seconds = seconds
        self._largest_file = largest_file

    @classmethod
    def open(cls, work: Workspace, timeout: float = 20) -> TiktokPlatform:
        """The advertiser of reengage.yaml, with the token of the settings and a timeout in seconds."""
        options, token = work.settings.pipeline.ad_platform(PROVIDER), work.settings.tiktok_ads_token
        if not isinstance(options, Tiktok):
            raise Misconfigured(f"{PROVIDER} is not among the ad platforms of reengage.yaml")
        if token is None:
            raise Misconfigured(f"{PROVIDER} needs REENGAGE_TIKTOK_ADS_TOKEN")
        headers = {"Access-Token": token.get_secret_value()}
        return cls(http.client(options.endpoint, timeout=timeout, headers=headers), options, seconds=timeout)

    def find(self, name: str) -> str | None:
        """The id of the advertiser's own audience of this name; of several a usable one, then the newest.

        One request for every 20 audiences of the account.
        """
        found: list[tuple[bool, int]] = []
        page, pages = 1, 1
        while page <= pages:
            said = self._ask("list", page=page, page_size=_LISTED)
            try:
                pages = int(said.data["page_info"]["total_page"])
                # Names are not unique, and what others share with the advertiser cannot be changed.
                found += [
                    (one.get("is_valid") is True, int(one["audience_id"]))
                    for one in said.data["list"]
                    if one["name"] == name and one.get("is_creator") is not False
                ]
            except (TypeError, LookupError, ValueError):
                raise _unreadable("list") from None
            page += 1
        return str(max(found)[1]) if found else None

    def create(self, name: str, first: Sequence[Person]) -> str:
        """Make an audience of `first`, of whom at least one must be acceptable; 2 requests."""
        sent = self._upload(first, {})
        if sent.lost:
            raise Unanswered(f"{PROVIDER}: a file was taken in part, no audience was made ({sent.lost})")
        if not sent.paths:
            raise Refused(f"{PROVIDER}: not tried (nobody to make an audience of)", NOBODY)
        made = self._change("create", custom_audience_name=name, calculate_type=CALCULATE_TYPE, file_paths=sent.paths)
        found = made.data.get("custom_audience_id")
        if not isinstance(found, str | int) or isinstance(found, bool) or not str(found):
            raise _unreadable("create")
        return str(found)

    def add(self, audience: str, people: Sequence[Person]) -> Taken:
        """Put people in; 2 requests, none when nobody of them is acceptable."""
        return self._tell(audience, people, "APPEND")

    def remove(self, audience: str, people: Sequence[Person]) -> Taken:
        """Take out each hash of these people, whoever came in with it; 2 requests.

        TikTok refuses or undoes a change that leaves fewer than 1,000 people.
        """
        return self._tell(audience, people, "REMOVE")

    def delete(self, audience: str) -> None:
        """Delete the audience; ads that were shown to it lose it; 1 request."""
        said = self._change("delete", custom_audience_ids=[audience])
        if said.is_partial:
            raise Unanswered(f"{PROVIDER}: delete was answered in part ({said.words})")

    def replace(self, audience: str, people: Iterable[Person]) -> Taken:
        """Make the audience exactly these people, whatever was in doubt before; never of nobody.

        Any number of them is read once; one file at a time is held, in memory or on disk. One request a file and one
        for the change, so that until then nothing changes.
        """
        return self._tell(audience, people, "REPLACE")

    def ask(self, request: str) -> Outcome:
        """What became of a change: TikTok tells it of an audience, so `request` is the audience and when; 1 request.

        Right after a change TikTok still tells of the one before, for up to two days: nothing that it tells by then is
        an answer, but for an error, after which telling the change again is harmless.
        """
        audience, _, told = request.partition(" ")
        details, changes, now = self._details(audience)
        latest = max(changes, key=_changed_at, default={})
        matched = _number(details.get("cover_num"))
        if words := self._words(details.get("error_msg")):
            return Outcome("failed", matched=matched, words=words, is_too_small=bool(_TOO_FEW.search(words)))
        told_at = datetime.fromisoformat(told) if told else datetime.min.replace(tzinfo=UTC)
        if _changed_at(latest) < told_at and now < told_at + _WORKED_THROUGH:
            return Outcome("waiting")
        if words := self._words(latest.get("msg")):
            return Outcome("partial", matched=matched, words=words)
        # Not valid means expired or being worked on; a small one never gets valid, but has been counted.
        is_done = details.get("is_valid") is True or 0 < (matched or 0) < SMALLEST
        return Outcome("done" if is_done else "waiting", matched=matched if is_done else None)

    def size(self, audience: str) -> Size:
        """How many people TikTok found, and whether ads can be shown to them; 1 request."""
        details, *_ = self._details(audience)
        found = _number(details.get("cover_num"))
        is_valid = details.get("is_valid")
        words = self._words(details.get("error_msg")) or self._words(details.get("msg"))
        if found is not None and found < SMALLEST:
            words = words or f"fewer than {SMALLEST:,} people found, or not counted yet"
            return Size(least=found, most=found, is_usable=False, words=words)
        if is_valid is False:
            words = words or "being counted, or expired"
        return Size(least=found, most=found, is_usable=is_valid if isinstance(is_valid, bool) else None, words=words)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _tell(self, audience: str, people: Iterable[Person], action: Action) -> Taken:
        refused: dict[int, str] = {}
        sent = self._upload(people, refused)
        if sent.lost:  # before the change: whom the files lack is not known, so nobody is told of
            return Taken(refused=refused, is_partial=True, words=sent.lost)
        if not sent.paths:
            if action == "REPLACE":
                raise Refused(f"{PROVIDER}: not tried (an audience of nobody cannot be told)", NOBODY)
            return Taken(refused=refused)
        said = self._change("update", custom_audience_id=audience, action=action, file_paths=sent.paths)
        # TikTok's own clock, before the change: what its history dates later tells of this one.
        return Taken(
            request=f"{audience} {sent.at.isoformat()}", refused=refused, is_partial=said.is_partial, words=said.words
        )

    def _upload(self, people: Iterable[Person], refused: dict[int, str]) -> _Sent:
        paths: list[str] = []
        lost, at = "", datetime.now(UTC)
        for file in _files(people, refused, self._largest_file):
            if len(paths) == _MOST_FILES:
                raise Refused(f"{PROVIDER}: not tried (more than {_MOST_FILES} files)", "too_many")
            head, tail = self._form(file)
            length = len(head) + file.size + len(tail)
            said = self._call(
                "file/upload",
                body=file.pieces(head, tail),
                headers={
                    "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
                    "Content-Length": str(length),
                },
                seconds=self._seconds + length / _SLOWEST,
            )
            path, at = said.data.get("file_path"), said.at
            if said.is_partial:
                lost = said.words
            elif isinstance(path, str) and path:
                paths.append(path)
            else:
                raise _unreadable("upload")
        return _Sent(paths, at, lost)

    def _form(self, file: _File) -> tuple[bytes, bytes]:
        fields = {
            "advertiser_id": self._advertiser,
            "file_signature": file.md5.hexdigest(),
            "calculate_type": CALCULATE_TYPE,
        }
        head = [
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        file_head = 'Content-Disposition: form-data; name="file"; filename="audience.csv"\r\nContent-Type: text/csv'
        return (
            f"{''.join(head)}--{_BOUNDARY}\r\n{file_head}\r\n\r\n".encode(),
            f"\r\n--{_BOUNDARY}--\r\n".encode(),
        )

    def _change(self, verb: str, **fields: Any) -> _Said:
        body = json.dumps({"advertiser_id": self._advertiser, **fields}).encode()
        return self._call(verb, body=body, headers={"Content-Type": "application/json"}, seconds=self._seconds)

    def _ask(self, verb: str, **query: Any) -> _Said:
        asked = urlencode({"advertiser_id": self._advertiser, **query})
        said = self._call(verb, query=f"?{asked}", method="GET", seconds=self._seconds)
        if said.is_partial:  # an audience that is left out would be made twice
            raise Unanswered(f"{PROVIDER}: {verb} was answered in part ({said.words})")
        return said

    def _details(self, audience: str) -> tuple[Mapping[str, Any], list[Mapping[str, Any]], datetime]:
        """What TikTok tells of an audience, the latest of its changes, and when that was."""
        said = self._ask("get", custom_audience_ids=json.dumps([audience]), history_size=_CHANGES)
        try:
            told = [one for one in said.data["list"] if str(one["audience_details"]["audience_id"]) == audience]
        except (TypeError, LookupError):
            raise _unreadable("get") from None
        if not told:
            raise Refused(f"{PROVIDER}: there is no such audience", UNKNOWN)
        changes = told[0].get("audience_history") or []
        return told[0]["audience_details"], [one for one in changes if isinstance(one, dict)], said.at

    def _call(
        self,
        verb: str,
        *,
        query: str = "",
        method: str = "POST",
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float,
    ) -> _Said:
        """What TikTok said yes to; it says no at status 200 too, so the code within the answer counts."""
        answer = http.call(
            PROVIDER,
            self._client,
            f"{PATH}/{verb}/{query}",
            method=method,
            body=body,
            headers=headers,
            seconds=seconds,
        )
        said = answer.json
        said = said if isinstance(said, dict) else {}
        code, data = said.get("code"), said.get("data")
        if not isinstance(code, int) or isinstance(code, bool):
            code = None
        data = data if isinstance(data, dict) else {}
        if answer.is_yes and code == OK:
            return _Said(data, answer.answered_at)
        if answer.is_yes and code == PARTIAL:
            words = self._words(said.get("message")) or f"code {PARTIAL}"
            return _Said(data, answer.answered_at, is_partial=True, words=words)
        raise self._error(verb, answer, code, said)

    def _error(self, verb: str, answer: http.Answer, code: int | None, said: Mapping[str, Any]) -> ProviderError:
        request = str(said.get("request_id"))
        words = f"{PROVIDER}: {verb}, status {answer.status}"
        words += f", code {code}" if code is not None else ""
        words += f", request {request}" if _REQUEST.fullmatch(request) else ""
        told = self._words(said.get("message"))
        words += f": {told}" if told else ""
        if answer.status == 429 or code in BUSY:
            return Busy(words, answer.retry_after)
        if answer.status >= 500 or answer.status == 408 or 300 <= answer.status < 400:
            return Unanswered(words)
        if code is None and answer.is_yes:
            return Unanswered(words)
        if code in MISCONFIGURED or (code is None and answer.status in (401, 403, 404)):
            return Misconfigured(words)
        if code is not None and (code in UNANSWERED or code >= 50_000 or code in (OK, PARTIAL)):
            return Unanswered(words)
        is_too_small = verb == "update" and _TOO_FEW.search(told)
        return Refused(words, REFUSED.get(code or 0, TOO_SMALL if is_too_small else "refused"))

    def _words(self, told: Any) -> str:
        """TikTok's own words, short and without what could be a person's or secret."""
        if not isinstance(told, str):
            return ""
        token = self._client.headers.get("Access-Token")
        text = told.replace(token, "…") if token else told
        return _PRIVATE.sub("…", " ".join(text.split()))[:_LONGEST_WORDS]


@dataclass(frozen=True)
class _Said:
    data: Mapping[str, Any]
    at: datetime
    is_partial: bool = False
    words: str = ""


@dataclass(frozen=True)
class _Sent:
    paths: list[str]
    at: datetime  # when TikTok had the last of them
    lost: str  # why a file was taken in part


class _File:
    """One file of people, in memory while it is small."""

    def __init__(self, held: SpooledTemporaryFile[bytes]) -> None:
        self._held = held
        self.size = 0
        self.rows = 0
        self.md5 = hashlib.md5(usedforsecurity=False)
        self._write(",".join(COLUMNS.values()))

    def add(self, person: Person) -> None:
        self._write(",".join(person.get(kind, "") for kind in COLUMNS))
        self.rows += 1

    def pieces(self, head: bytes, tail: bytes) -> Iterator[bytes]:
        yield head
        self._held.seek(0)
        while piece := self._held.read(_PIECE):
            yield piece
        yield tail

    def _write(self, row: str) -> None:
        line = f"{row}\n".encode()
        self._held.write(line)
        self.md5.update(line)
        self.size += len(line)


def _files(people: Iterable[Person], refused: dict[int, str], largest: int) -> Iterator[_File]:
    """Everybody acceptable, in files of at most `largest` bytes; who is not goes into `refused` by their place."""
    longest = len(COLUMNS) * 65  # of a row: each hash with a comma or the end of the line
    numbered = enumerate(people)
    is_more = True
    while is_more:
        is_more = False
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as held:
            file = _File(held)
            for place, person in numbered:
                if why := misfit(person, COLUMNS):
                    refused[place] = why
                    continue
                file.add(person)
                if file.size + longest > largest:
                    is_more = True
                    break
            if file.rows:
                yield file


def _changed_at(change: Mapping[str, Any]) -> datetime:
    """When TikTok says that a change was, in UTC; long ago where that cannot be read."""
    try:
        return datetime.fromisoformat(str(change.get("opt_time"))).replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _number(told: Any) -> int | None:
    return told if isinstance(told, int) and not isinstance(told, bool) and told >= 0 else None


def _unreadable(verb: str) -> Unanswered:
    return Unanswered(f"{PROVIDER}: {verb} was answered with something that cannot be read")
