"""Google's Data Manager API on loopback: Google's own message classes read every request and write every answer.

What is judged beyond the messages' form is what Google publishes: limits, quota, terms, known accounts and lists, and
that one bad record fails its whole request. Stricter than Google: every member must carry both consents, granted.
Members are kept by identifier, so that telling a request again can be seen to change nothing.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import google.auth.jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.ads.datamanager_v1 import types
from google.protobuf import json_format

from tests.channels.loopback import Answer, Loopback, Request

ACCOUNT, MANAGER = "1234567890", "9876543210"
OTHER_KIND, SHARED = 7001, 7002  # a list of mobile ids, and one that somebody else shares
SCOPE = "https://www.googleapis.com/auth/datamanager"
SIGNER = "robot@project.iam.gserviceaccount.com"
HASH = re.compile(r"[0-9a-f]{64}")
DAY = 86_400
_PARENT = f"accountTypes/GOOGLE_ADS/accounts/{ACCOUNT}"


class NoError(Exception):
    """A request that Google does not take, as its answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


def problem(
    status: int,
    canonical: str,
    message: str,
    *violations: Mapping[str, str],
    reason: str | None = None,
    metadata: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    retry_delay: str | None = None,
) -> Answer:
    """An error in the common model of Google's APIs."""
    kind = "type.googleapis.com/google.rpc."
    details: list[dict[str, Any]] = [
        {"@type": f"{kind}ErrorInfo", "reason": reason or canonical, "domain": "datamanager.googleapis.com",
         "metadata": {"requestId": "t-59f8b5bc-d4da-4d55-bf2b-0c6215a21b67", **(metadata or {})}},
        {"@type": f"{kind}RequestInfo", "requestId": "t-59f8b5bc-d4da-4d55-bf2b-0c6215a21b67"},
    ]  # fmt: skip
    if violations:
        details.append({"@type": f"{kind}BadRequest", "fieldViolations": list(violations)})
    if retry_delay:
        details.append({"@type": f"{kind}RetryInfo", "retryDelay": retry_delay})
    error = {"code": status, "message": message, "status": canonical, "details": details}
    return Answer(status, {"error": error}, headers or {})


def violation(field: str, reason: str, description: str = "") -> dict[str, str]:
    """One fault of one field; every reason must be one of Google's."""
    assert reason in types.ErrorReason.__members__, reason
    return {"field": field, "description": description or reason.replace("_", " ").capitalize(), "reason": reason}


def invalid(*violations: Mapping[str, str]) -> Answer:
    """A request that is wrong."""
    return problem(400, "INVALID_ARGUMENT", "There was a problem with the request.", *violations)


def no(status: int) -> Answer:
    """What Google says when it is told to say a status."""
    words = {
        400: ("INVALID_ARGUMENT", "There was a problem with the request."),
        401: ("UNAUTHENTICATED", "Request had invalid authentication credentials. Expected OAuth 2 access token."),
        403: ("PERMISSION_DENIED", "The caller does not have permission."),
        404: ("NOT_FOUND", "Resource not found."),
        409: ("ABORTED", "The operation was aborted."),
        429: ("RESOURCE_EXHAUSTED", "Too many requests."),
        500: ("INTERNAL", "An internal error has occurred."),
    }
    return problem(status, *words.get(status, ("UNAVAILABLE", "The service is currently unavailable.")))


class DataManager:
    """One Google Ads account; `loopback.conduct` says how requests are treated."""

    def __init__(self) -> None:
        self.loopback = Loopback(judge=self._judge, keys=self._take, yes=self._say, no=no)
        self.tokens = {"a-token"}
        self.quota: int | None = None  # requests that are left of this minute's; None: enough
        self.quota_limit = "IngestionMutateRequestsPerMinutePerProject"
        self.has_accepted_terms = True
        self.disliked: set[str] = set()  # identifiers that Google finds fault with for reasons of its own
        self.dislike = "INVALID_AUDIENCE_MEMBER"
        self.names_the_bad = True
        self.name_taken_status = 409
        self.lists: dict[int, types.UserList] = {}
        self.members: dict[int, set[str]] = {}
        self.processed: dict[str, types.RequestStatusPerDestination] = {}  # request id -> what became of it
        self.forgotten: dict[str, str] = {}  # request id -> why Google no longer knows it
        self.token_answer: Answer | None = None  # instead of a token
        self.token_requests = 0
        self._numbers = itertools.count(5001)
        self._answers: dict[int, Answer] = {}
        self._told: dict[int, Any] = {}  # pages of people, read once
        self._keep(types.UserList(
            id=OTHER_KIND, display_name="phones", access_reason="OWNED",
            ingested_user_list_info={"upload_key_types": ["MOBILE_ID"]},
        ))  # fmt: skip
        self._keep(types.UserList(
            id=SHARED, display_name="shared", access_reason="SHARED", read_only=True,
            ingested_user_list_info={"upload_key_types": ["CONTACT_ID"]},
        ))  # fmt: skip

    @contextlib.contextmanager
    def running(self) -> Iterator[DataManager]:
        """Serve until the block ends."""
        with self.loopback.running():
            yield self

    @functools.cached_property
    def key(self) -> rsa.RSAPrivateKey:
        """What the service account signs with."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def url(self) -> str:
        return self.loopback.url

    @property
    def requests(self) -> list[Request]:
        """What arrived, but for questions about tokens."""
        return [one for one in self.loopback.requests if one.path != "/token"]

    def new_list(self, name: str = "back", **more: Any) -> str:
        """A list that is there already."""
        made = types.UserList(
            id=next(self._numbers), display_name=name, access_reason="OWNED", membership_status="OPEN",
            ingested_user_list_info={"upload_key_types": ["CONTACT_ID"]}, **more,
        )  # fmt: skip
        self._keep(made)
        return str(made.id)

    def held(self, audience: str) -> set[str]:
        """Every identifier in a list."""
        return self.members[int(audience)]

    def process(self, request: str, status: str, errors: Mapping[str, int] | None = None) -> None:
        """Say what became of a request, or of one after another."""
        done = self.processed[request]
        done.request_status = status
        for reason, count in (errors or {}).items():
            done.error_info.error_counts.append({"record_count": count, "reason": reason})
        if done.audience_members_ingestion_status.user_data_ingestion_status.record_count:
            found = done.audience_members_ingestion_status.user_data_ingestion_status
            found.upload_match_rate_range = "MATCH_RATE_RANGE_41_TO_50"

    def credentials(self) -> str:
        """A service account's JSON file, whose tokens are given here."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return json.dumps({
            "type": "service_account", "client_email": SIGNER, "private_key": key.decode(), "private_key_id": "1",
            "token_uri": f"{self.url}/token", "project_id": "project",
        })  # fmt: skip

    def _keep(self, made: types.UserList) -> None:
        made.name = f"{_PARENT}/userLists/{made.id}"
        self.lists[made.id] = made
        self.members[made.id] = set()

    # what Loopback asks, in this order: an answer that refuses, then what is taken, then the answer

    def _judge(self, request: Request) -> Answer | None:
        try:
            self._handle(request)
        except NoError as error:
            return error.answer
        return None

    def _take(self, request: Request) -> Sequence[str]:
        where = urlsplit(request.path).path
        if where == "/token":
            return []
        if request.method == "POST" and where.endswith("/userLists"):
            return [self._made(request)]
        if not where.startswith("/v1/audienceMembers:"):
            return []
        told = self._told.pop(id(request))
        held = self.members[int(told.destinations[0].product_destination_id)]
        found = [_values(member) for member in _members(told)]
        for values in found:
            held.update(values) if where.endswith(":ingest") else held.difference_update(values)
        request_id = f"request-{next(self._numbers)}"
        status = types.RequestStatusPerDestination(destination=told.destinations[0], request_status="PROCESSING")
        counts = {"record_count": len(found), "user_identifier_count": sum(map(len, found))}
        if where.endswith(":ingest"):
            status.audience_members_ingestion_status = {"user_data_ingestion_status": counts}
            said: Any = types.IngestAudienceMembersResponse(request_id=request_id)
        else:
            status.audience_members_removal_status = {"user_data_removal_status": counts}
            said = types.RemoveAudienceMembersResponse(request_id=request_id)
        self.processed[request_id] = status
        self._answers[id(request)] = Answer(200, _json(said))
        return ["+".join(values) for values in found]

    def _say(self, request: Request) -> Answer:
        return self._answers.pop(id(request))

    # the model

    def _handle(self, request: Request) -> None:
        where = urlsplit(request.path)
        if where.path == "/token":
            self._answers[id(request)] = self._token(request)
            return
        headers = {name.lower(): value for name, value in request.headers.items()}
        if headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise NoError(no(401))
        if self.quota is not None:
            self.quota -= 1
            if self.quota < 0:
                raise NoError(
                    problem(429, "RESOURCE_EXHAUSTED", "Too many requests.", metadata={"quota_limit": self.quota_limit})
                )
        if request.method == "POST" and headers.get("content-type") != "application/json":
            raise NoError(invalid())
        asked = parse_qs(where.query, keep_blank_values=True)
        query = {name: values[0] for name, values in asked.items() if not name.startswith("$")}  # $alt: any API's
        match (request.method, where.path):
            case ("POST", "/v1/audienceMembers:ingest" | "/v1/audienceMembers:remove"):
                is_ingest = where.path.endswith(":ingest")
                kind = types.IngestAudienceMembersRequest if is_ingest else types.RemoveAudienceMembersRequest
                told = _read(request.body, kind)
                self._judge_members(told)
                self._told[id(request)] = told
            case ("GET", "/v1/requestStatus:retrieve"):
                self._answers[id(request)] = self._status(_read(query, types.RetrieveRequestStatusRequest))
            case (_, path) if path.startswith(f"/v1/{_PARENT}/userLists"):
                self._judge_login(headers.get("login-account"))
                self._judge_lists(request, path.removeprefix(f"/v1/{_PARENT}/userLists"), query)
            case (_, path) if path.startswith("/v1/accountTypes/"):
                raise NoError(no(403))
            case _:
                raise NoError(Answer(404, b"<html>Not Found</html>", {"Content-Type": "text/html"}))

    def _judge_login(self, login: str | None) -> None:
        if login is not None and login != f"accountTypes/GOOGLE_ADS/accounts/{MANAGER}":
            raise NoError(no(403))

    def _judge_members(self, told: Any) -> None:
        members = _members(told)
        if len(members) > 10_000:
            raise NoError(invalid(violation("audience_members", "TOO_MANY_AUDIENCE_MEMBERS")))
        if not members:
            raise NoError(invalid(violation("audience_members", "REQUIRED_FIELD_MISSING")))
        if told.encoding is not types.Encoding.HEX:
            raise NoError(invalid(violation("encoding", "REQUIRED_FIELD_MISSING")))
        if len(told.destinations) != 1:
            raise NoError(invalid(violation("destinations", "REQUIRED_FIELD_MISSING")))
        self._judge_destination(told.destinations[0])
        if isinstance(told, types.IngestAudienceMembersRequest):
            accepted = told.terms_of_service.customer_match_terms_of_service_status
            if accepted is not types.TermsOfServiceStatus.ACCEPTED or not self.has_accepted_terms:
                raise NoError(invalid(violation("terms_of_service", "TERMS_AND_CONDITIONS_NOT_SIGNED")))
        bad = [fault for place, member in enumerate(members) if (fault := self._fault(told, place, member))]
        if not bad:
            return
        if not self.names_the_bad:
            bad = [violation("audience_members", fault["reason"]) for fault in bad[:1]]
        raise NoError(invalid(*bad))

    def _judge_destination(self, where: types.Destination) -> None:
        ads = types.ProductAccount.AccountType.GOOGLE_ADS
        if where.operating_account.account_type is not ads or where.operating_account.account_id != ACCOUNT:
            raise NoError(invalid(violation("destinations[0].operating_account", "INVALID_DESTINATION")))
        if "login_account" in where and where.login_account.account_id != MANAGER:
            raise NoError(no(403))
        found = self.lists.get(int(where.product_destination_id)) if where.product_destination_id.isdecimal() else None
        if found is None:
            raise NoError(invalid(violation("destinations[0].product_destination_id", "INVALID_USER_LIST_ID")))
        # As it was seen in the wild: the list's fault, blamed on the first member.
        if found.ingested_user_list_info.upload_key_types != [types.IngestedUserListInfo.UploadKeyType.CONTACT_ID]:
            words = "Type of the user list is not applicable for this request."
            raise NoError(invalid(violation("audience_members[0]", "INVALID_USER_LIST_TYPE", words)))

    def _fault(self, told: Any, place: int, member: Any) -> dict[str, str] | None:
        field = f"audience_members[{place}]"
        found = member.user_data.user_identifiers
        if not found:
            return violation(field, "NO_IDENTIFIERS_PROVIDED")
        if len(found) > 10:
            return violation(field, "TOO_MANY_USER_IDENTIFIERS")
        for at, one in enumerate(found):
            if not HASH.fullmatch(one.email_address or one.phone_number):
                return violation(f"{field}.user_data.user_identifiers[{at}]", "INVALID_SHA256_FORMAT")
        if isinstance(told, types.IngestAudienceMembersRequest):
            granted = types.ConsentStatus.CONSENT_GRANTED.value
            if (member.consent.ad_user_data, member.consent.ad_personalization) != (granted, granted):
                return violation(f"{field}.consent", "REQUIRED_FIELD_MISSING")
        if self.disliked & set(_values(member)):
            return violation(field, self.dislike)
        return None

    def _status(self, asked: types.RetrieveRequestStatusRequest) -> Answer:
        if why := self.forgotten.get(asked.request_id):
            raise NoError(invalid(violation("request_id", why)))
        if asked.request_id not in self.processed:
            raise NoError(invalid(violation("request_id", "INVALID_REQUEST_ID")))
        found = [self.processed[asked.request_id]]
        return Answer(200, _json(types.RetrieveRequestStatusResponse(request_status_per_destination=found)))

    def _judge_lists(self, request: Request, rest: str, query: Mapping[str, str]) -> None:
        match (request.method, rest):
            case ("POST", ""):
                self._judge_new(_read(request.body, types.UserList))
            case ("GET", ""):
                asked = _read({"parent": _PARENT, **query}, types.ListUserListsRequest)
                self._answers[id(request)] = self._listed(asked)
            case ("GET", _):
                number = rest.removeprefix("/")
                if not number.isdecimal():
                    raise NoError(invalid(violation("name", "INVALID_RESOURCE_NAME")))
                if int(number) not in self.lists:
                    raise NoError(problem(404, "NOT_FOUND", "Resource not found."))
                self._answers[id(request)] = Answer(200, _json(self.lists[int(number)]))
            case _:
                raise NoError(no(404))

    def _judge_new(self, made: types.UserList) -> None:
        kinds = made.ingested_user_list_info.upload_key_types
        days = made.membership_duration.total_seconds() / DAY
        if made.id or made.size_info or made.target_network_info:
            raise NoError(invalid(violation("user_list", "INVALID_ARGUMENT")))
        if not made.display_name:
            raise NoError(invalid(violation("user_list.display_name", "REQUIRED_FIELD_MISSING")))
        if len(kinds) != 1:
            raise NoError(invalid(violation("user_list", "UNSUPPORTED_USER_LIST_UPLOAD_KEY_TYPES")))
        if made.ingested_user_list_info.contact_id_info.data_source_type.name != "DATA_SOURCE_TYPE_FIRST_PARTY":
            raise NoError(invalid(violation("user_list", "UNSUPPORTED_INGESTED_USER_LIST_INFO_CONFIG")))
        if days != int(days) or days < 1:
            raise NoError(invalid(violation("user_list.membership_duration", "INVALID_ARGUMENT")))
        if days > 540:
            raise NoError(invalid(violation("user_list.membership_duration", "MEMBERSHIP_DURATION_TOO_LONG")))
        owned = [one for one in self.lists.values() if one.access_reason is types.UserList.AccessReason.OWNED]
        if any(one.display_name == made.display_name for one in owned):
            taken = violation("user_list.display_name", "DISPLAY_NAME_ALREADY_USED")
            canonical = "ALREADY_EXISTS" if self.name_taken_status == 409 else "INVALID_ARGUMENT"
            raise NoError(problem(self.name_taken_status, canonical, "There was a problem with the request.", taken))

    def _made(self, request: Request) -> str:
        made = _read(request.body, types.UserList)
        made.id = next(self._numbers)
        made.access_reason = "OWNED"
        made.membership_status = "OPEN"
        self._keep(made)
        self._answers[id(request)] = Answer(200, _json(made))
        return str(made.id)

    def _listed(self, asked: types.ListUserListsRequest) -> Answer:
        found = list(self.lists.values())
        if asked.filter:
            wanted = re.fullmatch(r'display_name = "((?:[^"\\]|\\.)*)"', asked.filter)
            if wanted is None:
                raise NoError(invalid(violation("filter", "INVALID_FILTER")))
            text = re.sub(r"\\(.)", r"\1", wanted[1])
            # A * matches anything in a filter of Google's, and case is not looked at.
            like = re.compile(".*".join(map(re.escape, text.split("*"))), re.IGNORECASE)
            found = [one for one in found if like.fullmatch(one.display_name)]
        size = min(asked.page_size or 50, 1000)
        begin = int(asked.page_token or 0)
        said = types.ListUserListsResponse(user_lists=found[begin : begin + size])
        if begin + size < len(found):
            said.next_page_token = str(begin + size)
        return Answer(200, _json(said))

    def _token(self, request: Request) -> Answer:
        self.token_requests += 1
        if self.token_answer:
            return self.token_answer
        form = parse_qs(request.body.decode())
        if form["grant_type"] != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            return Answer(400, {"error": "unsupported_grant_type", "error_description": "Invalid grant_type"})
        try:
            claims = google.auth.jwt.decode(form["assertion"][0], certs={"1": _public(self.key)}, audience=None)
        except ValueError:
            return Answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        if claims["iss"] != SIGNER or claims["scope"] != SCOPE:
            return Answer(400, {"error": "invalid_scope", "error_description": "Invalid OAuth scope."})
        token = f"ya29.{self.token_requests}"
        self.tokens.add(token)
        return Answer(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})


def _public(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _members(told: Any) -> Any:
    """The people of a page, as the plain messages below Google's wrappers: thousands are read in a moment."""
    return type(told).pb(told).audience_members


def _values(member: Any) -> list[str]:
    return [one.email_address or one.phone_number for one in member.user_data.user_identifiers]


def _read(given: bytes | Mapping[str, str], kind: Any) -> Any:
    """A request in Google's own message class; a field it does not have is an error."""
    text = given if isinstance(given, bytes) else json.dumps(given)
    try:
        return kind.wrap(json_format.Parse(text, kind.pb()(), ignore_unknown_fields=False))
    except json_format.ParseError as error:
        words = f"Invalid JSON payload received. {error}"
        raise NoError(problem(400, "INVALID_ARGUMENT", words)) from None


def _json(message: Any) -> Any:
    return json_format.MessageToDict(type(message).pb(message))
