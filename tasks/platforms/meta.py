"""Meta Custom Audiences over the Marketing API: people are told by their hashes, ten thousand a call."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import quote, urlencode

import orjson

from config.platforms import Meta
from tasks import http
from tasks.platforms.base import TOO_SMALL, UNKNOWN, Outcome, Person, Size, Taken
from tasks.platforms.identity import COUNTRY, EMAIL, FIRST_NAME, LAST_NAME, PHONE, misfits
from tasks.rules.errors import Busy, Misconfigured, ProviderError, Refused, Unanswered
from tasks.store.workspace import Workspace

PROVIDER: Final = "meta"
# Meta's names of what a person may be known by, in the order of every row.
_KEYS: Final = {EMAIL: "EMAIL", PHONE: "PHONE", FIRST_NAME: "FN", LAST_NAME: "LN", COUNTRY: "COUNTRY"}
# Audiences in one answer: that leaves 1,300 bytes for each of what is read of an answer (tasks/http.py).
_LISTED: Final = 50
_OF_AUDIENCE: Final = (
    "approximate_count_lower_bound",
    "approximate_count_upper_bound",
    "operation_status",
    "delivery_status",
)
_OF_SESSION: Final = ("session_id", "stage", "end_time", "num_received", "num_matched", "num_invalid_entries")
_NORMAL: Final = 200  # of a status that Meta gives an audience
_BLOCKED: Final = (470, 471)  # operation_status: the account that made it is gone; flagged for what its name suggests

# Codes and subcodes of Meta's error object, by what they are about. 80003 is the limit of custom audiences.
_THROTTLED: Final = frozenset({4, 17, 32, 341, 613, *range(80_000, 80_015)})
_BEING_UPDATED: Final = frozenset({1_870_145, 1_870_158})  # another upload to this audience is under way
_UNKNOWN: Final = frozenset({1, 2})
_ACCOUNT: Final = frozenset(
    {
        # token, permission, and what Meta holds against the account
        3, 10, 102, 104, 190, *range(200, 300), 368, 1_404_078, 1_404_163, 1_713_092, 1_815_694, 2_859_015,
        # terms that a person must accept
        2655, 1_870_034, 1_870_090, 1_870_092,
        # no token at all; a version of the API that is gone
        2500, 2635,
    }
)  # fmt: skip
_ABOUT_AUDIENCE: Final[Mapping[int, str]] = {
    # a small audience that ads are shown to gives nobody back; Meta calls that a permission
    1_870_047: TOO_SMALL,
    1_713_228: "audience_blocked", 1_713_230: "audience_blocked", 1_713_231: "audience_blocked",
    1_870_065: "audience_blocked",
    1_487_301: UNKNOWN, 1_487_366: UNKNOWN,
}  # fmt: skip
_NOT_THERE: Final = frozenset({33, 803})  # or not ours to see: Meta does not tell them apart

_LONGEST_WORDS: Final = 200
# Meta knows hashes of people and our token, and its texts may quote them: addresses, numbers, long runs of letters.
_PRIVATE: Final = re.compile(r"\S*@\S*|\+?\d[\d ()./-]{5,}\d|[\w|-]{20,}")


class MetaPlatform:
    """Tells one ad account; `seconds` bound a call."""

    page: ClassVar[int] = 10_000
    smallest: ClassVar[int] = 100  # Meta does not publish it; others found about a hundred

    def __init__(self, client: Any, options: Meta, *, seconds: float = 20) -> None:
        self._client = client
        self._version = options.api_version
        self._account = f"act_{options.ad_account.removeprefix('act_')}"
        self._seconds = seconds

    @classmethod
    def open(cls, work: Workspace, timeout: float = 20) -> MetaPlatform:
        """The ad account of reengage.yaml, with the token of the settings and a timeout in seconds."""
        options = work.settings.pipeline.ad_platform(PROVIDER)
        if not isinstance(options, Meta):
            raise Misconfigured(f"{PROVIDER}: reengage.yaml names no ad account under ad_platforms")
        token = work.settings.meta_ads_token
        client = http.client(
            options.endpoint,
            timeout=timeout,
            # in a header and not in the URL, which ends up in logs
            headers={"Authorization": f"Bearer {token.get_secret_value() if token else ''}"},
        )
        return cls(client, options, seconds=timeout)

    def find(self, name: str) -> str | None:
        """The id of the audience of this name, the lowest where Meta has several; None when there is none.

        Reads the whole list, since names are not unique and Meta promises no order.
        """
        found: set[str] = set()
        asked = {"fields": "id,name", "limit": str(_LISTED)}
        seen = {""}
        while True:
            listed = self._ask(f"{self._account}/customaudiences", asked)
            found |= {str(row.get("id")) for row in _rows(listed) if row.get("name") == name}
            # `next` is a URL that carries the token: only its cursor is used
            paging = _object(listed, "paging")
            after = str(_object(paging, "cursors").get("after") or "") if "next" in paging else ""
            if after in seen:
                return min(found, key=lambda audience: (len(audience), audience), default=None)
            seen.add(after)
            asked = {**asked, "after": after}

    def create(self, name: str, first: Sequence[Person]) -> str:  # noqa: ARG002 - Meta makes them empty
        """Make an audience of people the business knows itself, and give its id; not safe to repeat."""
        answer = self._call(
            "POST",
            f"{self._account}/customaudiences",
            body={"name": name, "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"},
        )
        made = answer.json
        if not isinstance(made, dict) or not made.get("id"):
            raise Unanswered(f"{PROVIDER}: the id of the new audience cannot be read")
        return str(made["id"])

    def add(self, audience: str, people: Sequence[Person]) -> Taken:
        """Put people into the audience of this id; who is in stays in."""
        return self._tell("POST", audience, people)

    def remove(self, audience: str, people: Sequence[Person]) -> Taken:
        """Take people out of the audience of this id; who is out stays out."""
        return self._tell("DELETE", audience, people)

    def delete(self, audience: str) -> None:
        """Delete the audience of this id; Meta refuses that while an ad set names it."""
        answer = self._call("DELETE", quote(audience, safe=""), of_audience=True)
        if _as_object(answer.json).get("success") is False:
            raise Refused(f"{PROVIDER}: the audience was not deleted", "refused")

    def ask(self, request: str) -> Outcome:
        """What became of an upload session; waiting until Meta gives the time at which it ended."""
        audience, _, session = request.partition("/")
        asked = {"fields": ",".join(_OF_SESSION), "session_id": session}
        listed = self._ask(f"{quote(audience, safe='')}/sessions", asked, of_audience=True)
        told = next((row for row in _rows(listed) if str(row.get("session_id")) == session), None)
        if told is None:
            return Outcome("waiting")
        invalid = _count(told.get("num_invalid_entries"))
        ended = "partial" if invalid else "done"
        return Outcome(
            ended if _count(told.get("end_time")) else "waiting",
            received=_count(told.get("num_received")),
            matched=_count(told.get("num_matched")),
            words=_clean(f"{told.get('stage') or ''}{f'; {invalid} rows could not be read' if invalid else ''}"),
        )

    def size(self, audience: str) -> Size:
        """Between which numbers Meta says the audience is, and whether ads can use it; it gives no match rate."""
        told = self._ask(quote(audience, safe=""), {"fields": ",".join(_OF_AUDIENCE)}, of_audience=True)
        statuses = [_object(told, name) for name in ("delivery_status", "operation_status")]
        delivery, operation = (_count(status.get("code")) for status in statuses)
        words = [str(status.get("description") or "") for status in statuses if _count(status.get("code")) != _NORMAL]
        is_usable = None if delivery is None else delivery == _NORMAL
        return Size(
            least=_count(told.get("approximate_count_lower_bound")),
            most=_count(told.get("approximate_count_upper_bound")),
            is_usable=False if operation in _BLOCKED else is_usable,
            words=_clean("; ".join(dict.fromkeys(filter(None, words)))),
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _tell(self, method: str, audience: str, people: Sequence[Person]) -> Taken:
        if len(people) > self.page:
            raise ValueError(f"{PROVIDER}: {len(people)} people in one call, {self.page} at most")
        refused = _refused(people)
        rows = [
            # one by one: a loop within the loop takes three times as long
            [get(EMAIL, ""), get(PHONE, ""), get(FIRST_NAME, ""), get(LAST_NAME, ""), get(COUNTRY, "")]
            for place, get in enumerate(person.get for person in people)
            if place not in refused
        ]
        if not rows:
            return Taken(refused=refused)
        # Unique in the account. Telling again is a session of its own, and JSON keeps 53 bits of a number everywhere.
        session = secrets.randbelow(2**53 - 1) + 1
        answer = self._call(
            method,
            f"{quote(audience, safe='')}/users",
            # The body of a DELETE too: in a URL some hundreds of people are too long, and hashes end up in logs.
            body={
                # is_raw: each key stands for itself, not for several joined into one; it does not mean unhashed
                "payload": {"schema": list(_KEYS.values()), "is_raw": True, "data": rows},
                "session": {
                    "session_id": session,
                    "batch_seq": 1,
                    "last_batch_flag": True,
                    "estimated_num_total": len(rows),
                },
            },
            of_audience=True,
        )
        # Taken, even where the answer cannot be read (P14): the session tells the rest. A row that Meta cannot read of
        # people who are to leave is one that it could not read when they were to come in.
        invalid = _count(_as_object(answer.json).get("num_invalid_entries"))
        return Taken(
            request=f"{audience}/{session}",
            refused=refused,
            words=f"{invalid} of {len(rows)} rows could not be read" if invalid else "",
        )

    def _ask(self, path: str, query: Mapping[str, str], *, of_audience: bool = False) -> dict[str, Any]:
        answer = self._call("GET", f"{path}?{urlencode(query)}", of_audience=of_audience)
        if not isinstance(answer.json, dict):
            raise Unanswered(f"{PROVIDER}: the answer cannot be read")
        return answer.json

    def _call(self, method: str, path: str, *, body: Any = None, of_audience: bool = False) -> http.Answer:
        answer = http.call(
            PROVIDER,
            self._client,
            f"/{self._version}/{path}",
            method=method,
            body=None if body is None else orjson.dumps(body),
            headers=None if body is None else {"Content-Type": "application/json"},
            seconds=self._seconds,
        )
        if not answer.is_yes or _object(answer.json, "error"):
            raise _failure(answer, of_audience=of_audience)
        return answer


def _refused(people: Sequence[Person]) -> dict[int, str]:
    """Who cannot be told, by their place, and why as a stable word: names alone find nobody."""
    nobody = {
        place: "no_identifier" for place, person in enumerate(people) if EMAIL not in person and PHONE not in person
    }
    return nobody | misfits(people, _KEYS)


def _failure(answer: http.Answer, *, of_audience: bool) -> ProviderError:
    """What an answer that is no yes means; `of_audience`: it is about one audience, not about the account."""
    error = _object(answer.json, "error")
    numbers = [number for number in (error.get("code"), error.get("error_subcode")) if isinstance(number, int)]
    words = f"{PROVIDER}: status {answer.status}"
    if numbers:
        words += f", code {'/'.join(map(str, numbers))}"
    if said := _words(error):
        words += f": {said}"
    for number in numbers:
        if number in _ABOUT_AUDIENCE:
            return Refused(words, _ABOUT_AUDIENCE[number])
    if answer.status == 429 or _THROTTLED.intersection(numbers) or _BEING_UPDATED.intersection(numbers):
        return Busy(words, _wait(answer) if answer.retry_after is None else answer.retry_after)
    if error.get("is_transient") is True or error.get("code") in _UNKNOWN:
        return Unanswered(words)
    if answer.status >= 500 or 300 <= answer.status < 400:
        return Unanswered(words)
    if answer.status in (401, 403) or _ACCOUNT.intersection(numbers):
        return Misconfigured(words)
    if _NOT_THERE.intersection(numbers):
        return Refused(words, UNKNOWN) if of_audience else Misconfigured(words)
    return Refused(words, "refused")


def _wait(answer: http.Answer) -> float | None:
    """Seconds until Meta takes calls again, which it tells in minutes and for each of its limits; None: not told."""
    try:
        limits = json.loads(answer.headers.get("x-business-use-case-usage", ""))
        minutes = [limit["estimated_time_to_regain_access"] for account in limits.values() for limit in account]
        longest = float(max(minutes, default=0))
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
    return longest * 60 if longest > 0 else None


def _words(error: Mapping[str, Any]) -> str:
    """What Meta says of an error, its words for people first."""
    texts = [error.get(name) for name in ("error_user_title", "error_user_msg", "message")]
    return _clean(": ".join(dict.fromkeys(text.strip() for text in texts if isinstance(text, str) and text.strip())))


def _clean(text: str) -> str:
    return " ".join(_PRIVATE.sub("[...]", text).split())[:_LONGEST_WORDS]


def _rows(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a list that Meta gives, which is not safe to take as empty when it cannot be read."""
    rows = said.get("data")
    if not isinstance(rows, list):
        raise Unanswered(f"{PROVIDER}: the list in the answer cannot be read")
    return [_as_object(row) for row in rows]


def _object(said: Any, name: str) -> dict[str, Any]:
    return _as_object(_as_object(said).get(name))


def _as_object(said: Any) -> dict[str, Any]:
    return said if isinstance(said, dict) else {}


def _count(said: Any) -> int | None:
    """A number, or a string of digits, as Meta writes it; None where it does not say, and for its -1."""
    text = str(said)
    return int(text) if text.isascii() and text.isdecimal() else None
