"""What was delivered and whether it can be believed: the data gate, lines set aside, freshness, every check."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from config.errors import ConfigError
from dashboards import words
from dashboards.components import begun, clock, refresh, table
from dashboards.reading import explained, snapshot, workspace


def page() -> None:
    """The page from top to bottom, from one consistent snapshot."""
    with begun("data_quality"), explained(), snapshot() as read:
        moment = read("data_as_of")
        measured = None if moment.empty else moment.iloc[0]
        st.title("Data quality")
        refresh(measured)
        loads = read("loads")
        if loads.empty:
            st.info("No data: nothing has been delivered yet. `reengage ingest` takes in what sources.yaml names.")
            return
        zone = measured["business_zone"] if measured is not None else workspace().settings.time_zone
        _gate(loads, zone)
        checks = read("checks")
        _broken(checks)
        _quarantined(read("quarantined"), zone)
        _freshness(loads, _now(measured, loads), zone)
        _every_check(checks)


def _now(measured: pd.Series | None, loads: pd.DataFrame) -> datetime:
    """What ages are told against; a delivery may be newer than anything chosen or sent."""
    return max(clock(measured), loads["as_of"].max()) if measured is not None else loads["as_of"].max()


def _gate(loads: pd.DataFrame, zone: str) -> None:
    st.header("Data gate")
    held = loads[loads["state"] == "held"]
    if held.empty:
        st.markdown("The newest delivery of every source was taken in." if (loads["state"] == "merged").all() else "")
    else:
        st.error(f"Deliveries held back: {len(held)}. Campaigns that read them do not send until they are released.")
    table(
        ["Source", "Delivers", "State", "As of", "Lines", "Taken", "Known before", "Set aside", "Waiting", "Checks"],
        [
            [
                row.source, words.title(row.entity), words.LOADS.get(row.state, row.state),
                words.moment(row.as_of, zone), words.count(row.lines_in),
                words.count(row.accepted), words.count(row.duplicate), words.count(row.quarantined),
                words.count(row.parked), _checks(row),
            ]
            for row in loads.itertuples()
        ],
        "Newest deliveries",
    )  # fmt: skip
    st.caption(
        "Every line of a delivery is taken, known before, set aside as wrong, or waits for its customer; lines of "
        "people who asked to be forgotten are dropped."
    )


def _broken(checks: pd.DataFrame) -> None:
    broken = checks[checks["outcome"].isin(["failed", "warned"])]
    table(
        ["Broken expectation", "Source", "Column", "Seen", "Expected", "Weight"],
        [
            [
                words.title(row.expectation.removeprefix("expect_")), f"{row.source}, {row.entity}",
                row.column_name or "", row.observed or "", row.expected or "",
                "stops the load" if row.outcome == "failed" else "warning",
            ]
            for row in broken.itertuples()
        ],
        "Broken expectations",
    )  # fmt: skip


def _quarantined(rows: pd.DataFrame, zone: str) -> None:
    st.header("Lines set aside")
    if rows.empty:
        st.markdown("No line waits to be mended.")
        return
    table(
        ["What is wrong", "Column", "Source", "Lines", "Last seen"],
        [
            [
                words.reason(row.reason),
                row.column_name,
                f"{row.source}, {row.entity}",
                words.count(row.lines),
                words.moment(row.last_as_of, zone),
            ]
            for row in rows.itertuples()
        ],
        "Lines set aside",
    )
    st.caption(
        "`reengage quarantine list` shows where they stand, `reengage quarantine replay` takes them in once mended."
    )


def _freshness(loads: pd.DataFrame, now: datetime, zone: str) -> None:
    st.header("Freshness")
    promised = _promised()
    table(
        ["Delivered by", "Last delivery", "Age", "May be", "Verdict"],
        [
            [
                source,
                words.moment(at, zone),
                words.age(now - at),
                words.age(promised[source]) if promised.get(source) else "any age",
                _verdict(now - at, promised.get(source)),
            ]
            for source, at in loads.groupby("source")["as_of"].max().items()
        ],
        "Freshness",
    )
    st.caption("How old a delivery may be is `fresh_within` of its source in config/sources.yaml.")


def _promised() -> dict[str, timedelta | None]:
    """How old each source's newest row may be; nothing when the file cannot be read."""
    try:
        return {name: source.fresh_within for name, source in workspace().sources.items()}
    except ConfigError:
        return {}


def _verdict(age: timedelta, promised: timedelta | None) -> str:
    if promised is None:
        return "Not asked"
    return "Too old" if age > promised else "Fresh"


def _every_check(checks: pd.DataFrame) -> None:
    if checks.empty:
        return
    st.header("Last checks")
    counts = checks.groupby("outcome").size()
    st.markdown("; ".join(f"{words.OUTCOMES[str(name)]}: {words.count(n)}" for name, n in counts.items()) + ".")
    with st.expander("Every check of the newest and of all held deliveries"):
        table(
            ["Expectation", "Source", "Column", "Outcome", "Seen", "Expected"],
            [
                [
                    words.title(row.expectation.removeprefix("expect_")), f"{row.source}, {row.entity}",
                    row.column_name or "", words.OUTCOMES[row.outcome], row.observed or "", row.expected or "",
                ]
                for row in checks.itertuples()
            ],
            "Last checks",
        )  # fmt: skip


def _checks(row: Any) -> str:
    told = [
        f"{number} {word}"
        for number, word in (
            (row.checks_failed, "broken"),
            (row.checks_warned, "warned"),
            (row.checks_passed, "met"),
            (row.checks_without_history, "too early to tell"),
        )
        if number
    ]
    return ", ".join(told) or "none yet"


page()
