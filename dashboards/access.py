"""Who may read the dashboard: everybody on this machine, else whom a login or a proxy vouches for."""

from __future__ import annotations

import hmac
import ipaddress
from typing import NoReturn

import streamlit as st

from config.settings import Settings

# What the proxy proves with that a request came through it: a header anybody could write is believed from it alone.
SECRET_HEADER = "X-Reengage-Secret"  # noqa: S105 - its name


def admit(settings: Settings) -> None:
    """Go on for whoever may read; for anybody else say why not, and stop before a page is drawn."""
    if settings.dashboard_login is None:
        if not _is_loopback(st.get_option("server.address")):
            _refuse(
                "This dashboard listens beyond its own machine and asks nobody who they are, so it shows nothing. "
                "Set REENGAGE_DASHBOARD_LOGIN to `oidc` or `proxy`, or serve it at 127.0.0.1."
            )
        return
    reader = _vouched_by_proxy(settings) if settings.dashboard_login == "proxy" else _logged_in()
    if settings.dashboard_readers and not _is_among(reader, settings.dashboard_readers):
        if settings.dashboard_login == "oidc":
            st.button("Log out", on_click=st.logout)
        _refuse("You are not among the readers of this dashboard (REENGAGE_DASHBOARD_READERS names them).")


def _vouched_by_proxy(settings: Settings) -> str:
    """Whom the proxy has let through, in its own words."""
    secret, headers = settings.dashboard_proxy_secret, st.context.headers
    told = (headers.get(SECRET_HEADER) or "").encode()
    is_proxy = secret is not None and hmac.compare_digest(told, secret.get_secret_value().encode())
    reader = headers.get(settings.dashboard_proxy_header)
    if not is_proxy or not reader:
        _refuse("This dashboard is read through its proxy, which says who is reading. Use the proxy's address.")
    return reader


def _logged_in() -> str:
    """Whoever has logged in with the identity provider; others are offered to."""
    is_logged_in = getattr(st.user, "is_logged_in", None)  # absent where Streamlit knows no provider
    if is_logged_in is None:
        _refuse(
            "REENGAGE_DASHBOARD_LOGIN is `oidc`, and no identity provider is named. Write the section `[auth]` of "
            "`.streamlit/secrets.toml`: redirect_uri, cookie_secret, client_id, client_secret, server_metadata_url."
        )
    if not is_logged_in:
        st.title("reengage")
        st.markdown("Log in to read the dashboard.")
        st.button("Log in", on_click=st.login, type="primary")
        st.stop()
    return str(st.user.get("email") or "") if st.user.get("email_verified", True) else ""


def _is_loopback(address: str | None) -> bool:
    """Whether only this machine reaches an address; none at all is every address there is."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def _is_among(reader: str, allowed: list[str]) -> bool:
    """Whether somebody is named, by name or by what stands behind the @ of it (`@example.com`)."""
    name = reader.strip().lower()
    domain = f"@{name.rpartition('@')[2]}" if "@" in name else ""
    return bool(name) and any(entry.lower() in {name, domain} for entry in allowed)


def _refuse(why: str) -> NoReturn:
    st.error(why, icon=":material/lock:")
    st.stop()
