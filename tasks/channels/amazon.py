"""One call to an Amazon service, and what became of it: the same for every sender that leaves through Amazon.

What matters after a failed call is whether its bytes had left. botocore tells that by dozens of exception classes;
here they are sorted once into certainly not sent, certainly not accepted, and not known.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from tasks.channels.profile import BUSY, HALT, UNANSWERED, Meaning, Profile
from tasks.rules.errors import Misconfigured, ProviderError, Refused, Unanswered, Unreached

# What every Amazon service may answer, beside its own codes: who we are and how fast we are is checked before a
# request is looked at, so these say that nothing was accepted.
CODES: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthFailure", "ExpiredToken",
                "ExpiredTokenException", "IncompleteSignature", "IncompleteSignatureException", "InvalidAction",
                "InvalidClientTokenId", "InvalidSecurity", "InvalidSignatureException", "MissingAuthenticationToken",
                "MissingAuthenticationTokenException", "NotAuthorized", "OptInRequired", "RequestExpired",
                "RequestTimeTooSkewed", "SignatureDoesNotMatch", "UnknownOperationException",
                "UnrecognizedClientException",
            ),
            HALT,
        ),
        **dict.fromkeys(
            (
                "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown", "Throttled",
                "ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException",
            ),
            BUSY,
        ),
        **dict.fromkeys(
            ("InternalError", "InternalFailure", "InternalServerError", "RequestTimeout", "RequestTimeoutException",
             "ServiceUnavailable", "ServiceUnavailableException"),
            UNANSWERED,
        ),
    }
)  # fmt: skip

# A TLS error with one of these reasons ended the handshake; with another it may have cut off an answer.
_HANDSHAKE = frozenset(
    {
        "CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE",
        "NO_SHARED_CIPHER", "SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_PROTOCOL_VERSION",
        "TLSV1_UNRECOGNIZED_NAME", "TLSV1_ALERT_INSUFFICIENT_SECURITY", "HTTP_REQUEST",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What a service said. `fields` is empty when it said yes and nothing more could be read.

    `code` and `reason` name an error; `message` is Amazon's own text about it, which may repeat what we sent, so it
    goes into no log and no error.
    """

    operation: str
    status: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    code: str | None = None
    reason: str | None = None
    message: str = ""
    retry_after: float | None = None

    @property
    def is_yes(self) -> bool:
        """Whether the service did what was asked."""
        return 200 <= self.status < 300

    @property
    def in_codes(self) -> str:
        """The answer in codes alone, for errors and logs."""
        return " ".join(filter(None, (self.code or f"status {self.status}", self.reason)))


class Service:
    """A client of one service (tasks/channels/clients.py) whose failures are read by a sender's profile.

    May be called from several threads at once.
    """

    def __init__(self, client: Any, profile: Profile) -> None:
        self._client = client
        self._profile = profile
        self._heard = threading.local()
        # The only place where botocore tells the status of an answer that it then cannot read.
        client.meta.events.register("before-parse", self._hear)

    def call(self, operation: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Call once; answers the fields of a yes, none when they could not be read (it is a yes all the same).

        Raises Busy, Refused or Misconfigured when certainly nothing was accepted, Unanswered when that is not known.
        """
        answer = self.ask(operation, arguments)
        if not answer.is_yes:
            raise self.failure(answer)
        return answer.fields

    def ask(self, operation: str, arguments: Mapping[str, Any]) -> Answer:
        """Call once and answer whatever the service said, also a no. Raises as `call` does when it said nothing."""
        from botocore.exceptions import ClientError

        self._heard.answer = None
        try:
            fields = getattr(self._client, operation)(**arguments)
        except ClientError as error:
            return _said_no(operation, error.response)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is sorted by whether bytes had left
            if self._heard.answer is None:
                raise _unheard(self._profile, error) from None
            status, headers = self._heard.answer
            return Answer(operation, status, retry_after=_seconds(headers.get("retry-after")))
        status = fields.get("ResponseMetadata", {}).get("HTTPStatusCode", 200)
        return Answer(operation, status, {name: fields[name] for name in fields if name != "ResponseMetadata"})

    def meaning(self, answer: Answer) -> Meaning:
        """What a no means, by the sender's profile.

        Where one code means something else to one operation, the profile has it as `operation code`.
        """
        own = f"{answer.operation} {answer.code}"
        return self._profile.judge(answer.status, (own, answer.reason, answer.code))

    def failure(self, answer: Answer) -> ProviderError:
        """The error of a no that is about the whole call."""
        return self._profile.failure(self.meaning(answer), answer.in_codes, retry_after=answer.retry_after)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _hear(self, response_dict: Mapping[str, Any], **_: Any) -> None:
        self._heard.answer = response_dict["status_code"], response_dict["headers"]


def _said_no(operation: str, response: Mapping[str, Any]) -> Answer:
    told = response.get("ResponseMetadata", {})
    error = response.get("Error", {})
    status = told.get("HTTPStatusCode", 0)
    code = str(error.get("Code") or "")
    return Answer(
        operation,
        status=status,
        code=None if code in ("", str(status)) else code,  # botocore repeats the status where a body names no error
        reason=response.get("Reason"),
        message=str(error.get("Message") or ""),
        retry_after=_seconds(told.get("HTTPHeaders", {}).get("retry-after")),
    )


def _seconds(text: str | None) -> float | None:
    """A Retry-After in seconds; its form as a date is not used by Amazon and counts as none."""
    try:
        return max(float(text), 0) if text else None
    except ValueError:
        return None


def _unheard(profile: Profile, error: Exception) -> ProviderError:
    """What a call without any answer means: by whether its bytes can have left."""
    from botocore import exceptions as boto

    told = f"{profile.provider}: {type(error).__name__}"
    if isinstance(error, boto.ParamValidationError):
        return Refused(f"{told}: the message does not fit the service's own rules", "content")
    if isinstance(
        error,
        boto.NoCredentialsError
        | boto.PartialCredentialsError
        | boto.CredentialRetrievalError
        | boto.NoAuthTokenError
        | boto.TokenRetrievalError
        | boto.SSOError
        | boto.LoginError
        | boto.EndpointProviderError
        | boto.UnknownSignatureVersionError,
    ):
        return Misconfigured(f"{told}: boto3 finds no valid credentials or endpoint for us")
    unsent = boto.EndpointConnectionError | boto.ConnectTimeoutError | boto.ProxyConnectionError
    if isinstance(error, unsent) or (isinstance(error, boto.SSLError) and _is_handshake(error)):
        return Unreached(f"{told}: cannot be reached")
    return Unanswered(f"{told}: no answer")


def _is_handshake(error: BaseException) -> bool:
    """Whether a TLS error came before the first byte of the request."""
    inner: Any = getattr(error, "kwargs", {}).get("error")
    while isinstance(inner, BaseException):
        if isinstance(inner, ssl.SSLCertVerificationError):
            return True
        if isinstance(inner, ssl.SSLError) and inner.reason in _HANDSHAKE:
            return True
        inner = inner.args[0] if inner.args else None
    return False
