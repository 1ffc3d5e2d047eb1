"""Step: is a load as a whole what its suite promises? A load that is not is held, and with it who reads it."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from config.campaign import QUALIFIED, load_campaign, show_duration
from config.errors import ConfigError, Problem
from config.sources import ENTITIES, AnySource
from config.suites import COLUMN_SET, Expectation, Suite, load_suite
from tasks.rules.words import names
from tasks.step import say, show_markdown, step
from tasks.store import segments
from tasks.store.readiness import MADE_OF
from tasks.store.workspace import Workspace


@dataclass(frozen=True)
class Finding:
    """One expectation and what came of it: counts, shares and ages only (finding 15)."""

    expectation: str
    column: str | None
    severity: str
    outcome: str
    observed: str | None
    expected: str | None
    because: str = ""


@dataclass(frozen=True)
class Verdict:
    """All findings of one load."""

    load_id: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether the load may be merged; warnings do not stop it."""
        return not self.failures

    @property
    def failures(self) -> list[Finding]:
        """What stops it."""
        return [finding for finding in self.findings if finding.outcome == "failed"]

    @property
    def warnings(self) -> list[Finding]:
        """What is only noted."""
        return [finding for finding in self.findings if finding.outcome == "warned"]

    @property
    def reason(self) -> str:
        """What stops it, in one line without row values; what was expected too where it follows from other loads."""
        return _in_one_line(self.failures)


def _in_one_line(findings: Sequence[Finding]) -> str:
    return "; ".join(
        f"{finding.expectation}{f'({finding.column})' if finding.column else ''}: {finding.observed or 'failed'}"
        + (f", expected {finding.expected}" if finding.expectation in ("volume", "freshness") else "")
        for finding in findings
    )


@step(name="validate load {load_id}", tags=["data gate"])
def load(work: Workspace, load_id: int, as_of: datetime) -> Verdict:
    """Check one landed load against its entity's suite with Great Expectations, on the database.

    Reads raw.checked_<load_id>, which the gate has made; stores and shows counts only, never a value of a row.
    """
    with work.database.transaction() as connection:
        row = connection.execute(work.queries["core/load_show"](load_id=load_id)).one()
    suite = load_suite(work.settings.folder("suites"), row.entity)
    planned = list(_planned(work, row, suite, as_of))
    results = _run(work, load_id, [entry for entry in planned if entry.expectation is not None])
    findings = tuple(_finding(entry, next(results) if entry.expectation else None) for entry in planned)
    with work.database.transaction() as connection:
        for finding in findings:
            connection.execute(
                work.queries["core/validation_note"](
                    load_id=load_id,
                    source=row.source,
                    entity=row.entity,
                    expectation=finding.expectation,
                    column_name=finding.column,
                    severity=finding.severity,
                    outcome=finding.outcome,
                    observed=finding.observed,
                    expected=finding.expected,
                    as_of=as_of,
                )
            )
    verdict = Verdict(load_id, findings)
    result = f"held, {verdict.reason}" if verdict.failures else f"passed {len(findings)} checks"
    stopping = {(finding.expectation, finding.observed) for finding in verdict.failures}
    noted = [finding for finding in verdict.warnings if (finding.expectation, finding.observed) not in stopping]
    say(f"{row.source}: load {load_id} {result}{f', {len(noted)} warning(s): {_in_one_line(noted)}' if noted else ''}")
    show_markdown(f"validation-{row.source.replace('_', '-')}", _page(row, verdict), f"{row.source}: data gate")
    return verdict


def hold(work: Workspace, connection: sa.Connection, load_id: int, source: str, entity: str, reason: str) -> list[str]:
    """Hold every campaign that reads an entity; gives their names. Nothing of them is claimed until it is gone."""
    campaigns = readers(work, entity)
    for campaign in campaigns:
        connection.execute(
            work.queries["core/hold_add"](
                campaign=campaign, load_id=load_id, reason=f"gate: {source} ({entity}): {reason}"[:500]
            )
        )
    return campaigns


def silent(
    work: Workspace,
    connection: sa.Connection,
    load_id: int,
    since: datetime,
    found: AnySource,
    source: str,
    as_of: datetime,
) -> str:
    """Note that a source has brought nothing since its last load, hold who reads it, and say so."""
    reason = f"nothing new for {(as_of - since) / timedelta(hours=1):,.1f} h"
    held = connection.execute(work.queries["core/hold_count"](load_id=load_id)).scalar_one()
    if not held:  # noted once, not at every run of a silent week
        connection.execute(
            work.queries["core/validation_note"](
                load_id=load_id,
                source=source,
                entity=found.entity,
                expectation="freshness",
                column_name=None,
                severity="critical",
                outcome="failed",
                observed=reason,
                expected=f"at most {show_duration(found.fresh_within or timedelta())} old",
                as_of=as_of,
            )
        )
    hold(work, connection, load_id, source, found.entity, f"freshness: {reason}")
    return f"freshness: {reason}"


def readers(work: Workspace, entity: str) -> list[str]:
    """Campaigns whose segment, stop event or goal reads an entity; one that cannot be read counts as a reader."""
    folder = work.settings.folder("campaigns")
    return [
        path.parent.name
        for path in sorted(folder.glob("*/campaign.yaml"))
        if entity in _entities_of(work, path.parent.name)
    ]


def _entities_of(work: Workspace, name: str) -> set[str]:
    try:
        campaign = load_campaign(work.settings.folder("campaigns") / name)
        relations = segments.relations(work.queries[f"segments/{campaign.segment}"])
    except ConfigError:
        return set(ENTITIES)
    read = {MADE_OF.get(view, view) for view in (relation.removeprefix("facts.") for relation in relations)}
    if not read <= set(ENTITIES):
        return set(ENTITIES)
    read |= {"messages"} if "conversations" in read else set()  # webhooks bring both as messages
    # Every campaign reads consents: a load of them that is not believed may hold withdrawals (I7, fail closed).
    return (
        read
        | {"consents"}
        | {
            {"purchase": "purchases", QUALIFIED: "conversations"}.get(goal.event, "events")
            for goal in (campaign.goal, campaign.stop_event)
        }
        | ({"messages", "ads"} if campaign.retargeting else set())  # asked by the claim
    )


@dataclass(frozen=True)
class _Planned:
    """An expectation as Great Expectations takes it, and how its outcome is told; None = decided without it."""

    name: str
    column: str | None
    severity: str
    expected: str | None
    because: str
    expectation: dict[str, Any] | None
    where: str = ""  # place in the suite's file
    tolerate: int = 0  # bad lines that are only noted
    age_at: datetime | None = None  # tell the observed moment as an age at this time
    columns: list[str] | None = None  # what it is about, where that is not the lines: columns of the extract


def _planned(work: Workspace, row: sa.Row[Any], suite: Suite, as_of: datetime) -> Iterator[_Planned]:
    source = work.sources.get(row.source)
    grouped = source is not None and source.group is not None
    for place, entry in enumerate(suite.expectations):
        where = f"{work.settings.folder('suites') / row.entity}.yaml: expectations.{place}"
        if entry.type == COLUMN_SET:
            yield from _column_set(row, entry, where)
        elif not (entry.ungrouped and grouped):
            yield _Planned(
                entry.type,
                entry.kwargs.get("column"),
                entry.severity,
                _expected(entry),
                entry.because,
                _as_given(entry),
                where,
                entry.tolerate,
            )
    if suite.freshness and source is not None and source.fresh_within and row.lines_in:
        oldest = as_of - source.fresh_within
        yield _Planned(
            "freshness",
            suite.freshness,
            "critical",
            f"at most {show_duration(source.fresh_within)} old",
            "the source has stopped delivering",
            {
                "type": "expect_column_max_to_be_between",
                "kwargs": {"column": suite.freshness, "min_value": oldest},
            },
            age_at=as_of,
        )
    if suite.volume:
        yield _volume(work, row, suite)


def _column_set(row: sa.Row[Any], entry: Expectation, where: str) -> Iterator[_Planned]:
    """The columns that the extract had, against those that the mapping read from it when it landed.

    Its lines cannot tell: they landed with every column of the contract. Nothing where there was no header, or nothing
    is mapped. What a small file of JSON lacks as a whole may be what none of its lines needed.
    """
    if row.reads is None or "missing_columns" not in row.report:
        return
    about = entry.kwargs.get("column_set") or row.reads
    expected = {name for contract, names in row.reads.items() if contract in about for name in names}
    yield _Planned(
        entry.type,
        None,
        "warning" if row.is_sparse and row.lines_in <= entry.tolerate else entry.severity,
        None,
        entry.because,
        {"type": entry.type, "kwargs": {**entry.kwargs, "column_set": sorted(expected)}},
        where,
        columns=sorted((expected - set(row.report["missing_columns"])) | set(row.report["ignored_columns"])),
    )


def _volume(work: Workspace, row: sa.Row[Any], suite: Suite) -> _Planned:
    rule = suite.volume
    if rule is None:
        raise ValueError("this suite has no volume rule")
    with work.database.transaction() as connection:
        before = connection.execute(work.queries["core/validation_volume"](load_id=row.load_id, loads=rule.loads)).one()
    if before.loads < rule.least_history:
        expected = f"known after {rule.least_history} loads, {before.loads} so far"
        return _Planned("volume", None, "critical", expected, "", None)
    # An empty load where there was something is always told; a few lines more or fewer never are.
    least = min(math.ceil(before.median * rule.at_least), max(1, int(before.median) - rule.slack))
    most = max(int(before.median * rule.at_most), math.ceil(before.median) + rule.slack)
    return _Planned(
        "volume",
        None,
        "critical",
        f"{least:,} to {most:,} lines (median {before.median:,.0f} of {before.loads} loads)",
        "the extract is cut short, or something is delivered twice",
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": least, "max_value": most}},
    )


def _as_given(entry: Expectation) -> dict[str, Any]:
    return {"type": entry.type, "kwargs": dict(entry.kwargs)}


def _expected(entry: Expectation) -> str | None:
    told = {name: value for name, value in entry.kwargs.items() if name not in ("column", "column_set")}
    return ", ".join(f"{name} {value}" for name, value in told.items()) or None


def _run(work: Workspace, load_id: int, planned: list[_Planned]) -> Iterator[Any]:
    """The outcome of each expectation, in order; those about the lines in one pass of Great Expectations over them."""
    if not planned:
        return iter(())
    # Five seconds or more and 320 MB: only a process that validates pays for it, and once.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
        import pandas as pd

        # It tells of a folder for pages we do not make, and of mistakes that are told below.
        for part in ("data_context.types.base", "core.expectation_suite"):
            logging.getLogger(f"great_expectations.{part}").setLevel(logging.CRITICAL)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}  # ty: ignore[invalid-assignment]
        source = context.data_sources.add_postgres(
            "reengage", connection_string=work.database.url.render_as_string(hide_password=False)
        )
        try:
            lines = source.add_table_asset("load", table_name=f"checked_{load_id}", schema_name="raw")
            extract = context.data_sources.add_pandas("extract").add_dataframe_asset("columns")
            understood = list(zip(planned, _understood(gx, planned), strict=True))
            results = _outcomes(
                gx,
                context,
                lines.add_batch_definition_whole_table("lines"),
                [made for entry, made in understood if entry.columns is None],
            )
            for place, (entry, made) in enumerate(understood):
                if entry.columns is not None:
                    columns = extract.add_batch_definition_whole_dataframe(f"columns {place}")
                    results |= _outcomes(gx, context, columns, [made], pd.DataFrame(columns=entry.columns))
        finally:
            source.get_engine().dispose()  # the one it tested the table with
            source.get_execution_engine().close()
    return iter([results[place] for place in range(len(planned))])


def _outcomes(gx: Any, context: Any, data: Any, expectations: list[Any], frame: Any = None) -> dict[int, Any]:
    """What came of expectations about one table, or about a frame, by their places among all."""
    if not expectations:
        return {}
    suite = context.suites.add(gx.ExpectationSuite(name=data.name, expectations=expectations))
    definition = gx.ValidationDefinition(name=data.name, data=data, suite=suite)
    # No value leaves the database: counts only.
    found = definition.run(
        batch_parameters=None if frame is None else {"dataframe": frame},
        result_format={"result_format": "BASIC", "partial_unexpected_count": 0},
    )
    return {result.expectation_config.meta["place"]: result for result in found.results}


def _understood(gx: Any, planned: list[_Planned]) -> list[Any]:
    """Each expectation as Great Expectations reads it; ConfigError names the one it does not understand."""
    made = []
    for place, entry in enumerate(planned):
        # The number tells two expectations of one kind on one column apart.
        given = {**(entry.expectation or {}), "meta": {"place": place}}
        try:
            # A type it does not know is logged and left out, so nothing made is a mistake too.
            one = gx.ExpectationSuite(name="one", expectations=[given]).expectations
            said = "" if one else "there is no such expectation"
        except (ValueError, TypeError) as error:
            one, said = [], str(error).replace("\n", " ")[:300]
        if said:
            raise ConfigError(Problem(entry.where, f"{entry.name}: {said}"))
        made += one
    return made


def _finding(entry: _Planned, result: Any | None) -> Finding:
    if result is None:
        outcome, observed = "not_enough_history", None
    else:
        bad = (result.result or {}).get("unexpected_count")
        few = bad is not None and bad <= entry.tolerate
        outcome = "passed" if result.success else "warned" if few or entry.severity == "warning" else "failed"
        observed = _observed(result, entry.age_at)
    return Finding(entry.name, entry.column, entry.severity, outcome, observed, entry.expected, entry.because)


def _observed(result: Any, age_at: datetime | None) -> str | None:
    """What was seen as a count, share or age; anything that could be a value of a row is left out."""
    if result.exception_info and result.exception_info.get("raised_exception", False) is not False:
        return "could not be checked"
    details = result.result or {}
    if details.get("unexpected_count") is not None:  # an empty table has none
        lines, empty = details.get("element_count") or 0, details.get("missing_count") or 0
        return f"{details['unexpected_count'] or 0:,} of {lines - empty:,}"
    value = details.get("observed_value")
    if age_at is not None:
        return _age(value, age_at)
    kind = result.expectation_config.type
    if kind == COLUMN_SET and not result.success:
        return _differing_columns(details.get("details", {}).get("mismatched", {}))
    if isinstance(value, int | float) and ("row_count" in kind or "proportion" in kind or "column_count" in kind):
        return f"{value:,}"
    return None


def _differing_columns(mismatched: dict[str, list[str]]) -> str | None:
    told = [
        f"{words} {names(mismatched[kind])}"
        for kind, words in (("missing", "missing"), ("unexpected", "not in the mapping:"))
        if mismatched.get(kind)
    ]
    return ", ".join(told) or None


def _age(value: Any, at: datetime) -> str:
    newest = datetime.fromisoformat(value) if isinstance(value, str) else value
    if newest is None:
        return "no readable moment"
    age = at - (newest if newest.tzinfo else newest.replace(tzinfo=at.tzinfo))
    return f"{age / timedelta(hours=1):,.1f} h old"


def _page(row: sa.Row[Any], verdict: Verdict) -> str:
    lines = [
        f"## {row.source}: load {row.load_id} {'is held' if verdict.failures else 'passed'}",
        "",
        f"{row.entity}, {row.lines_in:,} lines, {row.object}",
        "",
        "| expectation | column | outcome | observed | expected | why it matters |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for f in verdict.findings:
        observed = (f.observed or "").replace("|", "\\|")  # may be names of columns of the extract
        cells = (f.expectation, f.column or "", f.outcome, observed, f.expected or "", f.because)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
