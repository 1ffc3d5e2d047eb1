"""Who may read the dashboard: by address, through a proxy, with an identity provider; each in the real thing."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import streamlit as st
from joserfc import jwt
from joserfc.jwk import RSAKey
from playwright.sync_api import Browser, Page, expect
from pydantic import SecretStr
from streamlit import config as options
from streamlit.testing.v1 import AppTest

from config.errors import ConfigError
from config.settings import Settings, load_settings
from dashboards import serve
from tasks.store.engine import Database
from tasks.store.workspace import Workspace
from tests.dashboards.browsing import chromium, served
from tests.dashboards.looking import point_at

SECRET = "a-word-only-the-proxy-knows"
REFUSED = "This dashboard is read through its proxy"


@pytest.fixture(scope="module")
def work(make_database: Callable[..., Database]) -> Iterator[Workspace]:
    """The shipped configuration on an empty database."""
    database = make_database()
    url = SecretStr(database.url.render_as_string(hide_password=False))
    made = Workspace(Settings(home=database.home, database_url=url, time_zone="UTC", mode="simulated", _env_file=None))
    yield made
    made.close()


# ------------------------------------------------------------------------------------------------- by address


@pytest.fixture
def listening_at() -> Iterator[Callable[[str | None], None]]:
    before = options.get_option("server.address")
    yield lambda address: options.set_option("server.address", address)
    options.set_option("server.address", before)
    st.cache_resource.clear()


@pytest.mark.parametrize("address", [None, "", "0.0.0.0", "::", "10.1.2.3", "shop.example.com"])
def test_beyond_this_machine_nothing_is_shown_to_whom_nobody_knows(
    address: str | None, work: Workspace, listening_at: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, work)
    listening_at(address)

    page = AppTest.from_file(str(serve.APP), default_timeout=60).run()

    assert not page.exception
    assert page.error[0].value.startswith("This dashboard listens beyond its own machine")
    assert not page.title


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "127.0.0.53"])
def test_on_this_machine_everybody_may_read(
    address: str, work: Workspace, listening_at: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, work)
    listening_at(address)

    page = AppTest.from_file(str(serve.APP), default_timeout=60).run()

    assert not page.exception
    assert not any(error.value.startswith("This dashboard") for error in page.error)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"DASHBOARD_ADDRESS": "0.0.0.0"}, "dashboard_login: needed"),
        ({"DASHBOARD_LOGIN": "proxy"}, "dashboard_proxy_secret: needed"),
        ({"DASHBOARD_LOGIN": "proxy", "DASHBOARD_PROXY_SECRET": "short"}, "dashboard_proxy_secret"),
        ({"DASHBOARD_LOGIN": "password"}, "dashboard_login"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused_by_name(
    given: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"REENGAGE_{name}", value)
    with pytest.raises(ConfigError, match=named):
        load_settings()


def test_with_a_login_it_listens_where_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ADDRESS": "0.0.0.0", "LOGIN": "proxy", "PROXY_SECRET": SECRET}.items():
        monkeypatch.setenv(f"REENGAGE_DASHBOARD_{name}", value)
    command = serve.command(8501, str(load_settings().dashboard_address))
    assert command[command.index("--server.address") + 1] == "0.0.0.0"


def expect_to_read(page: Page, said: str) -> None:
    """The page itself with its navigation, or these words and nothing else."""
    if said == "Overview":
        expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=60_000)
        expect(page.get_by_test_id("stSidebarNav")).to_be_attached()
        return
    expect(page.get_by_test_id("stAlert")).to_contain_text(said, timeout=60_000)
    expect(page.locator("#page-end")).not_to_be_attached()
    expect(page.get_by_test_id("stSidebarNav")).not_to_be_attached()
    expect(page.get_by_role("heading", name="Overview")).not_to_be_attached()


# -------------------------------------------------------------------------------------------- through a proxy


@contextlib.contextmanager
def proxy(port: int, headers: dict[str, str]) -> Iterator[str]:
    """A proxy on loopback that adds headers to the first request of each connection, WebSockets included."""
    added = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    listening = socket.create_server(("127.0.0.1", 0))

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve_one(client: socket.socket) -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as upstream:
            line, _, rest = client.recv(65536).partition(b"\r\n")
            upstream.sendall(line + b"\r\n" + added + rest)
            back = threading.Thread(target=pass_on, args=(upstream, client), daemon=True)
            back.start()
            pass_on(client, upstream)
            back.join()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve_one, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()


@pytest.fixture(scope="module")
def behind_a_proxy(work: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a dashboard that only a proxy may ask."""
    chromium()
    settings = {
        "REENGAGE_DASHBOARD_LOGIN": "proxy",
        "REENGAGE_DASHBOARD_PROXY_SECRET": SECRET,
        "REENGAGE_DASHBOARD_READERS": "ann@example.com,@shop.example",
    }
    with served(work, tmp_path_factory.mktemp("proxied"), **settings) as address:
        yield urlsplit(address).port or 0


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"X-Reengage-Secret": SECRET, "X-Forwarded-User": "Ann@example.com"}, "Overview"),
        ({"X-Reengage-Secret": SECRET, "X-Forwarded-User": "bob@shop.example"}, "Overview"),
        ({"X-Reengage-Secret": SECRET, "X-Forwarded-User": "eve@example.com"}, "You are not among the readers"),
        ({"X-Reengage-Secret": SECRET, "X-Forwarded-User": "eve@evil-shop.example"}, "You are not among the readers"),
        ({"X-Reengage-Secret": SECRET}, REFUSED),
        ({"X-Forwarded-User": "ann@example.com"}, REFUSED),
        ({"X-Reengage-Secret": "guessed", "X-Forwarded-User": "ann@example.com"}, REFUSED),
        ({}, REFUSED),
    ],
)
def test_a_proxy_says_who_reads_and_proves_that_it_is_the_proxy(
    headers: dict[str, str], said: str, behind_a_proxy: int, browser: Browser
) -> None:
    with proxy(behind_a_proxy, headers) as address:
        page = browser.new_page()
        page.goto(f"{address}/overview")

        expect_to_read(page, said)
        page.close()


# -------------------------------------------------------------------------------- with an identity provider


class Provider(BaseHTTPRequestHandler):
    """OpenID Connect's authorization code flow for whoever it is told to log in."""

    claims: ClassVar[dict[str, Any]] = {}
    key: ClassVar[RSAKey] = RSAKey.generate_key(2048, parameters={"kid": "1", "use": "sig", "alg": "RS256"})
    nonce: ClassVar[str] = ""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        base = f"http://127.0.0.1:{self.server.server_port}"
        if asked.path == "/authorize":
            Provider.nonce = query.get("nonce", "")
            self.send_response(302)
            self.send_header("Location", f"{query['redirect_uri']}?{urlencode({'code': 'c', 'state': query['state']})}")
            self.end_headers()
        elif asked.path == "/keys":
            self._say({"keys": [Provider.key.as_dict(private=False)]})
        else:
            self._say(
                {
                    "issuer": base, "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token",
                    "jwks_uri": f"{base}/keys", "response_types_supported": ["code"],
                    "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
                }
            )  # fmt: skip

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        now = int(time.time())
        claims = {
            "iss": f"http://127.0.0.1:{self.server.server_port}", "aud": "reengage", "sub": "1", "iat": now,
            "exp": now + 600, "nonce": Provider.nonce, **Provider.claims,
        }  # fmt: skip
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, Provider.key)
        self._say({"access_token": "a", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def _say(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def with_a_login(work: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dashboard that an identity provider guards."""
    chromium()
    folder = tmp_path_factory.mktemp("login")
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "secrets.toml").write_text(
        "[auth]\n"
        'redirect_uri = "http://127.0.0.1:{port}/oauth2callback"\n'
        'cookie_secret = "a-long-secret-of-this-test-alone"\n'
        'client_id = "reengage"\nclient_secret = "client"\n'
        f'server_metadata_url = "http://127.0.0.1:{provider.server_port}/.well-known/openid-configuration"\n'
    )
    settings = {"REENGAGE_DASHBOARD_LOGIN": "oidc", "REENGAGE_DASHBOARD_READERS": "ann@example.com"}
    with served(work, folder, **settings) as address:
        yield address
    provider.shutdown()
    provider.server_close()


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"email": "ann@example.com", "email_verified": True}, "Overview"),
        ({"email": "ann@example.com"}, "Overview"),
        ({"email": "ann@example.com", "email_verified": False}, "You are not among the readers"),
        ({"email": "eve@example.com", "email_verified": True}, "You are not among the readers"),
        ({}, "You are not among the readers"),
    ],
)
def test_whoever_logs_in_and_is_named_reads(
    claims: dict[str, Any], said: str, with_a_login: str, browser: Browser
) -> None:
    Provider.claims = claims
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{with_a_login}/overview")
    expect(page.get_by_text("Log in to read the dashboard.")).to_be_visible(timeout=60_000)
    assert page.get_by_test_id("stSidebarNav").count() == 0

    page.get_by_role("button", name="Log in").click()

    expect_to_read(page, said)
    context.close()


def test_a_login_without_a_provider_admits_nobody(work: Workspace, tmp_path: Path, browser: Browser) -> None:
    with served(work, tmp_path, REENGAGE_DASHBOARD_LOGIN="oidc") as address:
        page = browser.new_page()
        page.goto(f"{address}/overview")
        expect(page.get_by_text("no identity provider is named")).to_be_visible(timeout=60_000)
        assert page.get_by_test_id("stSidebarNav").count() == 0
        page.close()
