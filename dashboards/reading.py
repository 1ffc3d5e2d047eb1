"""What a page reads: its queries under the dashboard's own login, in one consistent snapshot."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import sqlalchemy as sa
import streamlit as st
from pandas.api.types import is_string_dtype

from config.errors import ReengageError
from tasks.store.workspace import Workspace

Read = Callable[..., pd.DataFrame]


@st.cache_resource(show_spinner=False)
def workspace() -> Workspace:
    """The workspace that the environment names; the dashboard takes queries and campaign texts from it."""
    return Workspace.open()


@st.cache_resource(show_spinner=False)
def _engine() -> sa.Engine:
    return workspace().database.role_engine("dashboard", isolation_level="REPEATABLE READ")


@contextlib.contextmanager
def snapshot() -> Iterator[Read]:
    """`read(name, **params)` for queries of dashboards/queries, all of them seeing the same moment.

    So figures and their "data as of" belong together, even while an evaluation is running.
    """
    queries = workspace().queries
    with _engine().connect() as connection:

        def read(name: str, **params: Any) -> pd.DataFrame:
            frame = pd.read_sql(queries[f"dashboards/{name}"](**params), connection, coerce_float=False)
            return frame.assign(**{name: _none(frame[name]) for name in frame if is_string_dtype(frame[name])})

        yield read


def _none(texts: pd.Series) -> pd.Series:
    """Texts with None where there is none: pandas puts NaN there, which counts as true."""
    return texts.astype(object).where(texts.notna(), None)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Say in words why a page has nothing to show when the database cannot be read."""
    try:
        yield
    except ReengageError as error:
        st.error(str(error))
    except sa.exc.DBAPIError:
        st.error(
            "The database cannot be read with the dashboard's login. Start it (`reengage db start`) and bring it up to "
            "date (`reengage db migrate`), then reload this page."
        )
