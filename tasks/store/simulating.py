"""What a campaign would have done with one customer: chosen, planned and claimed moment by moment, then rolled back."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from config.campaign import Campaign
from tasks.rules.content import Version
from tasks.rules.errors import ConfigError, Problem
from tasks.store import choosing, legal, planning, prices, runs, segments
from tasks.store.choosing import Chosen
from tasks.store.ledger import Clock, Ledger, Limits, Pin, Reply
from tasks.store.runs import Run
from tasks.store.workspace import Workspace

# Choosing and planning make tables of their own for one transaction each; here all of them share one, and it would hold
# the locks of every table ever made in it: those of three days fill a server's whole memory for locks.
_MAKES = re.compile(r"\s*create temporary table (?:if not exists )?(\w+)( on commit drop as\b)?")
# How a segment over conversations calls the silence it asks for.
_SILENCE = "min_silence"
# A name of its own, so that what the campaign really did is not in the way; no folder can be called so.
_PREFIX = "~"
_NOT_IN_SEGMENT = "not_in_segment"


@dataclass(frozen=True)
class Happening:
    """One line of the timeline."""

    at: datetime
    what: str
    episode: str
    step: str | None = None
    reason: str | None = None
    detail: str = ""


def timeline(
    work: Workspace,
    campaign: Campaign,
    customer_id: str,
    since: datetime,
    until: datetime,
    every: timedelta,
    versions: Sequence[Version],
    providers: Mapping[str, str],
) -> list[Happening]:
    """Everything that happened, would have left, or would not, in order; nothing is stored and nothing leaves.

    `customer_id` is the one they have today (person_id). Choosing runs `every` so often from `since` on, the claim at
    every due or not_before moment up to `until`.
    """
    alone = campaign.model_copy(update={"name": f"{_PREFIX}{campaign.name}"})
    with runs.rehearse(work, campaign, until) as (rehearsal, connection):
        tables = _Tables()
        sa.event.listen(connection, "before_cursor_execute", tables.fill_again, retval=True)
        play = _Play(replace(rehearsal, campaign=alone), connection, campaign, customer_id, versions, providers, tables)
        facts = connection.execute(
            work.queries["ledger/simulate_facts"](customer_id=customer_id, since=since, until=until)
        )
        legal.refresh(work, connection)
        prices.refresh(work, connection)
        told = [Happening(row.at, row.what, row.detail) for row in facts]
        played = list(play.until(since, until, every))
    return sorted([*told, *played], key=lambda line: line.at)


def person_id(work: Workspace, connection: sa.Connection, campaign: Campaign, customer_id: str, at: datetime) -> str:
    """The id that a customer has today, by whichever id they ever had; ConfigError when it is nobody's."""
    asked = work.queries["ledger/why_person"](customer_id=customer_id, campaign=campaign.name, as_of=at)
    person = connection.execute(asked).one()
    if not person.is_known:
        raise ConfigError(Problem(customer_id, "there is no such customer"))
    return person.person_id


@dataclass
class _Tables:
    """The temporary tables made in a transaction: whoever makes one again fills the one that is there."""

    made: set[str] = field(default_factory=set)

    def fill_again(
        self, _connection: sa.Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> tuple[str, Any]:
        """The statement that is executed for one that is about to be, as SQLAlchemy asks before each."""
        found = _MAKES.match(statement)
        if found and found[2] and found[1] in self.made:
            return f"/* made before */ insert into {found[1]}{statement[found.end() :]}", parameters
        if found:
            self.made.add(found[1])
        return statement, parameters

    def empty(self, connection: sa.Connection) -> None:
        """Take out what the tables hold."""
        if self.made:
            connection.execute(sa.text(f"truncate {', '.join(f'pg_temp.{name}' for name in sorted(self.made))}"))


@dataclass
class _Play:
    run: Run
    connection: sa.Connection
    played: Campaign
    customer_id: str
    versions: Sequence[Version]
    providers: Mapping[str, str]
    tables: _Tables

    def until(self, since: datetime, until: datetime, every: timedelta) -> Iterator[Happening]:
        before: dict[Any, Any] = {}
        choosing_at = {since}
        at = since
        while (at := at + every) <= until:
            choosing_at.add(at)
        moments = sorted(choosing_at)
        seen = set(moments)
        chosen: Chosen | None = None
        while moments:
            at = heapq.heappop(moments)
            if at in choosing_at:
                chosen = self._choose(at)
            self._claim(at)
            after = self._state()
            yield from _differences(at, before, after)
            before = after
            for row in after.values():
                again = row.not_before
                if row.is_waiting and again is not None and at < again <= until and again not in seen:
                    seen.add(again)
                    heapq.heappush(moments, again)
        if chosen and not before:
            yield self._absence(max(choosing_at), chosen)

    def _absence(self, at: datetime, chosen: Chosen) -> Happening:
        """Why a person whom no choosing enrolled was not, as the last one had it and as far as facts alone tell."""
        now, segment = chosen.standing, self.played.segment
        if not now.is_on:
            why, where = "campaign_ended" if now.is_over else "campaign_paused", now.why
        elif chosen.forgotten:
            why, where = "older_than_ledger", f"in segment {segment}"
        elif chosen.found:  # everybody else is enrolled but for those whom `backlog: false` leaves out
            why, where = "silent_too_long", f"in segment {segment}"
        else:
            why, where = self._missing(at), f"not in segment {segment}"
        return Happening(at, "not enrolled", "", reason=why, detail=f"{where} at {at.astimezone(UTC):%Y-%m-%d %H:%M}")

    def _missing(self, at: datetime) -> str:
        if self.played.retargeting is None:
            return _NOT_IN_SEGMENT
        queries = self.run.work.queries
        query = queries[f"segments/{self.played.segment}"]
        asked = segments.params_of(query, self.played)
        silence = asked.get(_SILENCE, query.params[_SILENCE].default) if _SILENCE in query.params else None
        fact = self.connection.execute(
            queries["ledger/simulate_absent"](
                customer_id=self.customer_id, ads=list(self.played.ads), at=at, min_silence=silence
            )
        ).scalar_one()
        return fact or _NOT_IN_SEGMENT

    def _choose(self, at: datetime) -> Chosen:
        run, connection = replace(self.run, as_of=at), self.connection
        self.tables.empty(connection)
        chosen = choosing.choose(run, connection, only=[self.customer_id], arms_of=self.played)
        planning.plan(run, connection, self.versions, self.providers)
        return chosen

    def _claim(self, at: datetime) -> None:
        work, campaign, connection = self.run.work, self.run.campaign, self.connection
        if campaign is None:
            raise TypeError("a timeline is of one campaign")
        ledger = Ledger(
            work.queries,
            {campaign.name: campaign},
            clock=Clock(at),
            business_zone=str(work.settings.business_zone),
            address_key=work.settings.suppression_key.get_secret_value(),
            providers=self.providers,
            limits=Limits(),
            plays=self.played.name,
        )
        claim = ledger.claim(connection, batch=10)
        if not claim.rows:
            return
        attempts = {row.send_key: str(uuid4()) for row in claim.rows}
        ledger.pin(
            connection, claim, [Pin(key, attempt, uuid4(), "simulated", "") for key, attempt in attempts.items()]
        )
        ledger.record(connection, claim.token, [Reply(key, attempt, "accepted") for key, attempt in attempts.items()])

    def _state(self) -> dict[Any, Any]:
        name = self.run.campaign.name if self.run.campaign else ""
        rows = self.connection.execute(self.run.work.queries["ledger/simulate_state"](campaign=name))
        return {(row.episode, row.step): row for row in rows}


def _differences(at: datetime, before: Mapping[Any, Any], after: Mapping[Any, Any]) -> Iterator[Happening]:
    known = {episode for episode, _ in before}
    told = set()
    for (episode, step), row in after.items():
        earlier = before.get((episode, step))
        if episode not in known and episode not in told:
            told.add(episode)
            yield Happening(at, f"enrolled, {row.arm}", episode)
        was_closed = next((one.close_reason for (name, _), one in before.items() if name == episode), None)
        if row.close_reason != was_closed and (episode, "closed") not in told:
            told.add((episode, "closed"))
            what = "episode open again" if row.close_reason is None else "episode over"
            yield Happening(at, what, episode, reason=row.close_reason)
        if step is None or (earlier and _shown(earlier) == _shown(row)):
            continue
        yield Happening(at, row.state, episode, step, row.reason, _detail(row))


def _shown(row: Any) -> tuple[Any, ...]:
    return row.state, row.reason, row.channel, row.due_at


def _detail(row: Any) -> str:
    if row.is_waiting:
        asked = "" if row.not_before == row.due_at else f", asked again {row.not_before:%Y-%m-%d %H:%M}"
        return f"{row.channel}, due {row.due_at:%Y-%m-%d %H:%M}{asked}"
    return f"{row.channel or ''}{_price(row)}"


def _price(row: Any) -> str:
    """What a message costs, in words; nothing for a channel whose costs nobody told us."""
    if not row.billable:
        return ", free" if row.billable is False else ""
    if row.price is None:
        return ", billable, no price"
    return f", billable, {row.currency} {row.price:f}{', an example price' if row.is_example else ''}"
