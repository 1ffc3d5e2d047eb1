"""A page without a browser: opened on a workspace, and what it shows."""

from __future__ import annotations

from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from config.settings import CHECKOUT
from tasks.store.workspace import Workspace

PAGES = CHECKOUT / "dashboards" / "pages"


def point_at(monkeypatch: pytest.MonkeyPatch, work: Workspace) -> None:
    """Pages find the workspace through the environment, as any user's would."""
    st.cache_resource.clear()
    monkeypatch.setenv("REENGAGE_CONFIG", str(work.settings.config))
    monkeypatch.setenv("REENGAGE_HOME", str(work.settings.home))
    monkeypatch.setenv("REENGAGE_DATABASE_URL", work.database.url.render_as_string(hide_password=False))
    monkeypatch.setenv("REENGAGE_TIME_ZONE", "UTC")


def opened(name: str, **query: str) -> AppTest:
    """A page by the name of its file."""
    page = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=60)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    return page


def refreshed(page: AppTest, hours: int) -> AppTest:
    """The page after a marketer has set the window and pressed Refresh."""
    page.number_input(key="hours").set_value(hours)
    page.button[0].click().run()
    assert not page.exception
    return page


def asked(page: AppTest) -> dict[str, str]:
    """What the address asks for."""
    return {name: values[0] if isinstance(values, list) else values for name, values in page.query_params.items()}


def metrics(page: AppTest) -> dict[str, str]:
    """Every figure by its label."""
    return {metric.label: metric.value for metric in page.metric}


def tables(page: AppTest) -> dict[str, dict[str, list[Any]]]:
    """Every table by the name of its first column: row name -> cells."""
    found: dict[str, dict[str, list[Any]]] = {}
    for table in page.table:
        frame = table.value
        found[str(frame.index.name)] = {
            str(name): list(row) for name, row in zip(frame.index, frame.values, strict=True)
        }
    return found


def columns(page: AppTest, first: str) -> list[str]:
    """The columns of one table beside its first."""
    (found,) = [table.value for table in page.table if table.value.index.name == first]
    return list(found.columns)


def said(page: AppTest) -> str:
    """Everything the page says beside its figures."""
    kinds = (page.info, page.warning, page.error, page.success, page.markdown, page.caption)
    return "\n".join(element.value for kind in kinds for element in kind)
