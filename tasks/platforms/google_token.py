"""Access tokens for Google's APIs: of a service account's file, or of where Google's own library looks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tasks import http
from tasks.rules.errors import Busy, Misconfigured, Unanswered

SCOPE: Final = "https://www.googleapis.com/auth/datamanager"
_LONGEST: Final = 200
# What Google might quote: an address, a hash, a token.
_PRIVATE: Final = re.compile(r"[^\s@]+@[^\s@]+|[0-9a-fA-F]{32,}|(?=[\w=.~-]*\d)[\w=.~-]{40,}")


def scrubbed(words: str) -> str:
    """Google's own words, cut, without anything that is a person's or secret."""
    return _PRIVATE.sub("…", words).strip()[:_LONGEST]


class GoogleToken:
    """Gives a token when called and keeps it until it expires; `path` is a service account's JSON file.

    Raises Busy when Google cannot be asked for one, Misconfigured with Google's own words when it gives none.
    """

    def __init__(self, client: Any, path: Path | None, *, seconds: float = 20) -> None:
        self._client = client
        self._path = path
        self._seconds = seconds
        self._credentials: Any = None

    def __call__(self) -> str:
        """A token that is good for some minutes at least."""
        from google.auth import exceptions

        try:
            if self._credentials is None:
                self._credentials = self._found()
            if not self._credentials.valid:
                self._credentials.refresh(self._ask)
        except exceptions.GoogleAuthError as error:
            words = f"google: no access token: {scrubbed(str(error.args[0] if error.args else ''))}"
            # Only a token was asked for: what it is for has certainly not left.
            is_busy = error.retryable or isinstance(error, exceptions.TransportError)
            raise (Busy(words) if is_busy else Misconfigured(words)) from None
        # The library does not look at what is in a file before it uses it; and such words may quote the key.
        except (AttributeError, OSError, TypeError, ValueError) as error:
            raise Misconfigured(
                f"google: the credentials cannot be read ({type(error).__name__}); "
                "a file must be the JSON key of a service account"
            ) from None
        return self._credentials.token

    def _found(self) -> Any:
        if self._path is None:
            import google.auth

            return google.auth.default(scopes=[SCOPE], request=self._ask)[0]
        from google.oauth2.service_account import Credentials

        return Credentials.from_service_account_file(str(self._path), scopes=[SCOPE])

    def _ask(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> _Response:
        """How Google's library asks: over our own client, whose timeout holds and which logs nothing."""
        from google.auth import exceptions

        try:
            answer = http.call(
                "google", self._client, url, method=method, body=body, headers=headers, seconds=self._seconds
            )
        except (Busy, Unanswered) as error:  # the library looks elsewhere then, or gives up
            raise exceptions.TransportError(str(error)) from None
        return _Response(answer.status, answer.headers, answer.body or b"")


@dataclass(frozen=True)
class _Response:
    status: int
    headers: Mapping[str, str]
    data: bytes
