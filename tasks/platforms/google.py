"""Google Customer Match over the Data Manager API: user lists of one Google Ads account, people by hashed contacts."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal
from urllib.parse import quote, urlencode

import orjson

from config.platforms import Google
from tasks import http
from tasks.platforms.base import UNKNOWN, Outcome, Person, Size, Taken
from tasks.platforms.google_token import GoogleToken, scrubbed
from tasks.platforms.identity import EMAIL, PHONE, misfits
from tasks.rules.errors import Busy, Misconfigured, ProviderError, Refused, Unanswered
from tasks.store.workspace import Workspace

_NAME: Final = "google"
_FIELDS: Final = {EMAIL: "emailAddress", PHONE: "phoneNumber"}
_CONSENT: Final = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}

# One bad record fails its whole request. Google mostly names it; where it does not, halving finds it: three of 10,000
# with this many requests, of the 300 a minute that a project may make.
_MOST_REQUESTS: Final = 100
_MOST_PAGES: Final = 20

# Google names people by their place: `audience_members[0]`, with more of the path behind it.
_MEMBER: Final = re.compile(r"audience_?members\[(\d+)\]", re.IGNORECASE)
_OF_A_PERSON: Final = frozenset({
    "INVALID_AUDIENCE_MEMBER", "INVALID_BASE64_ENCODING", "INVALID_HEX_ENCODING", "INVALID_SHA256_FORMAT",
    "NO_IDENTIFIERS_PROVIDED", "TOO_MANY_USER_IDENTIFIERS",
})  # fmt: skip
# These may be said of anything: they are a person's only where their field names one. All other reasons are the
# audience's or the account's even then: Google says INVALID_USER_LIST_TYPE of `audience_members[0]`.
_OF_A_FIELD: Final = frozenset({
    "FIELD_VALUE_TOO_LONG", "FIELD_VALUE_TOO_SHORT", "INVALID_ARGUMENT", "INVALID_FORMAT", "REQUIRED_FIELD_MISSING",
})  # fmt: skip
_OF_THE_AUDIENCE: Final = {
    "INVALID_USER_LIST_ID": UNKNOWN,
    "NOT_FOUND": UNKNOWN,
    "INVALID_USER_LIST_TYPE": "wrong_audience_type",
    "UNSUPPORTED_USER_LIST_UPLOAD_KEY_TYPES": "wrong_audience_type",
    "USER_LIST_MUTATION_NOT_SUPPORTED": "read_only_audience",
    "SENSITIVE_USER_LIST_IMMUTABLE": "read_only_audience",
    "OWNERSHIP_REQUIRED_FOR_UPDATE": "read_only_audience",
    "DATA_PARTNER_USER_LIST_MUTATE_NOT_ALLOWED": "read_only_audience",
    "INVALID_DISPLAY_NAME": "invalid_name",
    "USER_LIST_NAME_RESERVED": "invalid_name",
}
_OF_THE_ACCOUNT: Final = frozenset({
    "ADVERTISER_NOT_ALLOWLISTED_FOR_UPLOADED_DATA", "ADVERTISER_TOS_NOT_ACCEPTED", "DESTINATION_ACCOUNT_TYPE_MISMATCH",
    "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED", "INVALID_DESTINATION", "MEMBERSHIP_DURATION_TOO_LONG",
    "MISMATCHED_ACCOUNT_TYPE", "NOT_ALLOWLISTED", "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH", "PERMISSION_DENIED",
    "TERMS_AND_CONDITIONS_NOT_SIGNED", "UNSUPPORTED_ACCOUNT_TYPES_FOR_USER_LIST_TYPE",
    "USER_LIST_TYPE_NOT_SUPPORTED_FOR_ACCOUNT",
})  # fmt: skip
_NAME_TAKEN: Final = frozenset({"ALREADY_EXISTS", "DISPLAY_NAME_ALREADY_USED"})
# Google keeps what became of a request for about 50 days.
_FORGOTTEN: Final = frozenset({"INVALID_REQUEST_ID", "NOT_FOUND", "REQUEST_TOO_OLD"})
_State = Literal["waiting", "done", "partial", "failed"]
_DONE: Final[dict[str, _State]] = {"SUCCESS": "done", "PARTIAL_SUCCESS": "partial", "FAILED": "failed"}


class GooglePlatform:
    """Tells user lists by their numeric id; `token` gives an access token, `seconds` bound a call.

    Google takes a request as a whole, queues it, and says later what became of it: half an hour is usual.
    """

    page: ClassVar[int] = 10_000

    def __init__(self, client: Any, options: Google, *, token: Callable[[], str], seconds: float = 20) -> None:
        self._client = client
        self._options = options
        self._token = token
        self._seconds = seconds
        self._lists = f"/v1/accountTypes/GOOGLE_ADS/accounts/{options.account}/userLists"

    @classmethod
    def open(cls, work: Workspace, timeout: float = 20) -> GooglePlatform:
        """The account of reengage.yaml, with the credentials it names and a timeout in seconds."""
        options = work.settings.pipeline.ad_platform("google")
        if not isinstance(options, Google):
            raise Misconfigured("google: reengage.yaml does not name it among ad_platforms")
        path = options.credentials and (work.settings.config / options.credentials).resolve()
        client = http.client(options.endpoint, timeout=timeout)
        return cls(client, options, token=GoogleToken(client, path, seconds=timeout), seconds=timeout)

    def find(self, name: str) -> str | None:
        """The id of the account's own user list of exactly this name."""
        wanted = name.replace("\\", "\\\\").replace('"', '\\"')
        query = {"filter": f'display_name = "{wanted}"'}
        for _ in range(_MOST_PAGES):
            said = _mapping(self._manage("GET", f"{self._lists}?{urlencode(query)}").json)
            for one in map(_mapping, _listed(said.get("userLists"))):
                # The filter reads a * as anything, and a list shared by somebody else may have the same name.
                if one.get("displayName") == name and one.get("accessReason", "OWNED") == "OWNED" and one.get("id"):
                    return str(one["id"])
            if not said.get("nextPageToken"):
                return None
            query["pageToken"] = str(said["nextPageToken"])
        raise Refused(f"{_NAME}: more than {_MOST_PAGES} pages of lists were looked through", "too_many_lists")

    def create(self, name: str, first: Sequence[Person]) -> str:  # noqa: ARG002 - Google makes a list without people
        """Make a user list and give its id. A name is unique in an account: one that is taken is found."""
        body = {
            "displayName": name,
            "membershipDuration": f"{self._options.membership_days * 86_400}s",
            "ingestedUserListInfo": {
                "uploadKeyTypes": ["CONTACT_ID"],
                "contactIdInfo": {"dataSourceType": "DATA_SOURCE_TYPE_FIRST_PARTY"},
            },
        }
        answer = self._call("POST", self._lists, body, headers=self._login())
        problem = _Problem.of(answer)
        if not answer.is_yes and problem.reasons & _NAME_TAKEN:
            if found := self.find(name):
                return found
            raise Refused(f"{_NAME}: {problem.words}", "name_taken")
        if not answer.is_yes:
            raise _error(answer, problem)
        if not (made := _mapping(answer.json).get("id")):
            raise Unanswered(f"{_NAME}: a list was made, but its id could not be read")
        return str(made)

    def add(self, audience: str, people: Sequence[Person]) -> Taken:
        """Put people in, each with both consents of their own: only who gave them may be passed."""
        terms = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
        return self._tell("ingest", audience, people, {"consent": _CONSENT}, {"termsOfService": terms})

    def remove(self, audience: str, people: Sequence[Person]) -> Taken:
        """Take people out."""
        return self._tell("remove", audience, people, {}, {})

    def ask(self, request: str) -> Outcome:
        """What became of a page: of all its requests, when finding bad records had made several of it.

        Google counts who it received, and says of matches only a range of the rate. A request it no longer knows has
        failed: telling the page again is harmless.
        """
        return _merged([self._status(one) for one in request.split()])

    def size(self, audience: str) -> Size:
        """Google estimates members by network; the largest is taken, and a nought says nothing yet."""
        answer = self._manage("GET", f"{self._lists}/{quote(audience, safe='')}")
        found = _mapping(answer.json)
        counts = [_number(count) for count in _mapping(found.get("sizeInfo")).values()]
        people = max((count for count in counts if count), default=None)
        contacts = _mapping(_mapping(found.get("ingestedUserListInfo")).get("contactIdInfo"))
        rate = _number(contacts.get("matchRatePercentage"))
        return Size(
            least=people,
            most=people,
            match_rate=rate / 100 if rate is not None else None,
            is_usable=_is_usable(found, people),
            words=scrubbed(" ".join(str(found.get(name, "")) for name in ("membershipStatus", "closingReason"))),
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _tell(
        self, verb: str, audience: str, people: Sequence[Person], each: Mapping[str, Any], more: Mapping[str, Any]
    ) -> Taken:
        """Hand over a page without those who cannot be taken, in one request unless Google finds fault with someone."""
        if len(people) > self.page:
            raise ValueError(f"a page has {self.page} people at most, not {len(people)}")
        refused = misfits(people, _FIELDS)
        waiting = deque([[place for place in range(len(people)) if place not in refused]])
        requests: list[str] = []
        problem = _Problem()
        tries = 0
        while waiting and tries < _MOST_REQUESTS:
            if not (places := waiting.popleft()):
                continue
            tries += 1
            try:
                members = [{"userData": _user_data(people[place]), **each} for place in places]
                said = self._send(verb, audience, members, more)
            except ProviderError as error:
                if requests:  # part of the page is in; and telling it again is harmless
                    raise Unanswered(f"{error} (after part of the page was taken)") from None
                raise
            if isinstance(said, str):
                requests.append(said)
                continue
            problem = said
            if named := problem.members(len(places)):
                refused |= {place: "rejected" for at, place in enumerate(places) if at in named}
                waiting.append([place for at, place in enumerate(places) if at not in named])
            elif len(places) == 1:
                refused[places[0]] = "rejected"
            else:
                middle = len(places) // 2
                waiting.extend([places[:middle], places[middle:]])
        is_partial = any(waiting)
        if is_partial and not requests:  # not a few people: everything we say
            raise Refused(f"{_NAME}: {problem.words}", "rejected")
        return Taken(" ".join(requests) or None, refused, is_partial, problem.words)

    def _send(self, verb: str, audience: str, members: Sequence[Any], more: Mapping[str, Any]) -> str | _Problem:
        """The id of a request that was taken, or what Google has against some of its people."""
        account = {"accountType": "GOOGLE_ADS", "accountId": self._options.account}
        destination: dict[str, Any] = {"operatingAccount": account, "productDestinationId": audience}
        if self._options.login_account:
            destination["loginAccount"] = account | {"accountId": self._options.login_account}
        body = {"destinations": [destination], "audienceMembers": members, "encoding": "HEX", **more}
        answer = self._call("POST", f"/v1/audienceMembers:{verb}", body)
        problem = _Problem.of(answer)
        if answer.is_yes:
            if request := _mapping(answer.json).get("requestId"):
                return str(request)
            raise Unanswered(f"{_NAME}: taken, but the id of the request could not be read")
        if answer.status == 400 and (problem.is_about_people or (answer.body is None and len(members) > 1)):
            return problem  # a no that is too long to be read lists people
        raise _error(answer, problem)

    def _status(self, request: str) -> Outcome:
        answer = self._call("GET", f"/v1/requestStatus:retrieve?{urlencode({'requestId': request})}")
        if not answer.is_yes:
            problem = _Problem.of(answer)
            if answer.status in (400, 404) and problem.reasons & _FORGOTTEN:
                return Outcome("failed", words=problem.words)
            raise _error(answer, problem)
        found = list(map(_mapping, _listed(_mapping(answer.json).get("requestStatusPerDestination"))))
        return _merged([_outcome(one) for one in found])

    def _manage(self, method: str, path: str) -> http.Answer:
        answer = self._call(method, path, headers=self._login())
        if not answer.is_yes:
            raise _error(answer, _Problem.of(answer))
        if not isinstance(answer.json, dict):
            raise Unanswered(f"{_NAME}: the answer could not be read")
        return answer

    def _login(self) -> dict[str, str]:
        """User lists take the manager's account from a header; people are told with it in their destination."""
        if not self._options.login_account:
            return {}
        return {"login-account": f"accountTypes/GOOGLE_ADS/accounts/{self._options.login_account}"}

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> http.Answer:
        told = {"Authorization": f"Bearer {self._token()}", **(headers or {})}
        if body is not None:
            told["Content-Type"] = "application/json"
        return http.call(
            _NAME,
            self._client,
            path,
            method=method,
            body=None if body is None else orjson.dumps(body),
            headers=told,
            seconds=self._seconds,
        )


@dataclass(frozen=True)
class _Problem:
    """What Google says of a request it did not take: in words, and which reason blames which field."""

    words: str = ""
    blamed: tuple[tuple[str, str], ...] = ()
    wait: float | None = None

    @classmethod
    def of(cls, answer: http.Answer) -> _Problem:
        """Read an error of Google's common model; empty where there is none."""
        error = _mapping(_mapping(answer.json).get("error"))
        listed = map(_mapping, _listed(error.get("details")))
        details = {str(one.get("@type")).rpartition(".")[2]: one for one in listed}
        info = details.get("ErrorInfo", {})
        broken = list(map(_mapping, _listed(details.get("BadRequest", {}).get("fieldViolations"))))
        blamed = [(str(one.get("reason", "")), str(one.get("field", ""))) for one in broken]
        said = [f"{one.get('reason', '')}: {one.get('description', '')}" for one in broken]
        if not blamed and info.get("reason"):
            blamed, said = [(str(info["reason"]), "")], [str(info["reason"])]
        words = " ".join(dict.fromkeys([f"status {answer.status}", str(error.get("message", "")), *said]))
        return cls(scrubbed(words), tuple(blamed), _wait(details))

    @property
    def reasons(self) -> frozenset[str]:
        """Each reason once."""
        return frozenset(reason for reason, _ in self.blamed)

    @property
    def is_about_people(self) -> bool:
        """Whether everything Google has against the request is a person's."""
        return bool(self.blamed) and all(
            reason in _OF_A_PERSON or (reason in _OF_A_FIELD and _MEMBER.search(field)) for reason, field in self.blamed
        )

    def members(self, count: int) -> set[int]:
        """The places of the people it names, among so many."""
        named = (_MEMBER.search(field) for _, field in self.blamed)
        return {place for found in named if found and (place := int(found[1])) < count}


def _user_data(person: Person) -> dict[str, Any]:
    return {"userIdentifiers": [{_FIELDS[kind]: value} for kind, value in person.items()]}


def _error(answer: http.Answer, problem: _Problem) -> ProviderError:
    """What a no means for the caller."""
    words = f"{_NAME}: {problem.words}"
    if answer.status == 429:
        return Busy(words, answer.retry_after if answer.retry_after is not None else problem.wait)
    if answer.status in (401, 403) or problem.reasons & _OF_THE_ACCOUNT:
        return Misconfigured(words)
    if answer.status == 409:  # ABORTED: it met another request, and was not taken
        return Busy(words, answer.retry_after)
    if answer.status == 408 or not 400 <= answer.status < 500:
        return Unanswered(words)
    for reason, means in _OF_THE_AUDIENCE.items():
        if reason in problem.reasons:
            return Refused(words, means)
    if answer.status == 404:  # not an answer of this API
        return Misconfigured(words)
    return Refused(words, "rejected")


def _wait(details: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Seconds to wait: as Google asks, or until the quota that it names is counted anew; a day's is tried hourly."""
    delay = str(details.get("RetryInfo", {}).get("retryDelay", ""))
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?s", delay):
        return float(delay[:-1])
    quota = str(_mapping(details.get("ErrorInfo", {}).get("metadata")).get("quota_limit", ""))
    if not quota:
        return None
    return 3600 if "PerDay" in quota else 60


def _outcome(status: Mapping[str, Any]) -> Outcome:
    """What became of one request in its one list."""
    state = _DONE.get(str(status.get("requestStatus")), "waiting")
    counts = [_mapping(status.get(name)) for name in ("audienceMembersIngestionStatus", "audienceMembersRemovalStatus")]
    parts = [_mapping(part) for count in counts for part in count.values()]
    received = [number for part in parts if (number := _number(part.get("recordCount"))) is not None]
    said = [str(part["uploadMatchRateRange"]) for part in parts if "uploadMatchRateRange" in part]
    for kind in ("error", "warning"):
        counted = map(_mapping, _listed(_mapping(status.get(f"{kind}Info")).get(f"{kind}Counts")))
        said += [f"{one.get('reason', kind)} ({_number(one.get('recordCount')) or 0})" for one in counted]
    return Outcome(state, received=sum(received) if received else None, words=scrubbed(", ".join(said)))


def _merged(outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome of several: waiting for the last, and partial when they differ."""
    states = {one.state for one in outcomes}
    received = [one.received for one in outcomes if one.received is not None]
    words = scrubbed(", ".join(dict.fromkeys(one.words for one in outcomes if one.words)))
    state: _State = outcomes[0].state if len(states) == 1 else "partial"
    if not states or "waiting" in states:
        state = "waiting"
    return Outcome(state, received=sum(received) if received else None, words=words)


def _is_usable(found: Mapping[str, Any], people: int | None) -> bool | None:
    """Whether ads can be shown to a list: not when it is closed; not known until Google counts anybody."""
    if found.get("membershipStatus") == "CLOSED" or found.get("accountAccessStatus") == "DISABLED":
        return False
    if people is None or "targetNetworkInfo" not in found:
        return None
    networks = _mapping(found["targetNetworkInfo"])
    return bool(networks.get("eligibleForDisplay") or networks.get("eligibleForSearch"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> int | None:
    """A count; 64 bits travel as text."""
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()) else None
