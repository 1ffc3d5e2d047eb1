"""What a campaign would have done with one customer: chosen, planned and claimed moment by moment, then rolled back."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from config.campaign import Campaign
from tasks.rules.content import Version
from tasks.store import choosing, legal, planning, prices, runs
from tasks.store.ledger import Clock, Ledger, Limits, Pin, Reply
from tasks.store.runs import Run
from tasks.store.workspace import Workspace

# Made by choosing and planning for one transaction each; here all of them share one.
_TEMPORARY = (
    "chosen", "chosen_ids", "chosen_known", "looked_at", "changed_people", "asked_ids", "open_episodes", "open_steps",
    "people", "people_ids", "ways", "eligible", "offers", "verdicts",
)  # fmt: skip
# A name of its own, so that what the campaign really did is not in the way; no folder can be called so.
_PREFIX = "~"


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

    Choosing runs `every` so often from `since` on, the claim at every due or not_before moment up to `until`.
    """
    alone = campaign.model_copy(update={"name": f"{_PREFIX}{campaign.name}"})
    with runs.rehearse(work, campaign, until) as (rehearsal, connection):
        play = _Play(replace(rehearsal, campaign=alone), connection, campaign, customer_id, versions, providers)
        facts = connection.execute(
            work.queries["ledger/simulate_facts"](customer_id=customer_id, since=since, until=until)
        )
        legal.refresh(work, connection)
        prices.refresh(work, connection)
        told = [Happening(row.at, row.what, row.detail) for row in facts]
        played = list(play.until(since, until, every))
    return sorted([*told, *played], key=lambda line: line.at)


@dataclass
class _Play:
    run: Run
    connection: sa.Connection
    played: Campaign
    customer_id: str
    versions: Sequence[Version]
    providers: Mapping[str, str]

    def until(self, since: datetime, until: datetime, every: timedelta) -> Iterator[Happening]:
        before: dict[Any, Any] = {}
        choosing_at = {since}
        at = since
        while (at := at + every) <= until:
            choosing_at.add(at)
        moments = sorted(choosing_at)
        seen = set(moments)
        while moments:
            at = heapq.heappop(moments)
            if at in choosing_at:
                self._choose(at)
            self._claim(at)
            after = self._state()
            yield from _differences(at, before, after)
            before = after
            for row in after.values():
                again = row.not_before
                if row.is_waiting and again is not None and at < again <= until and again not in seen:
                    seen.add(again)
                    heapq.heappush(moments, again)

    def _choose(self, at: datetime) -> None:
        run, connection = replace(self.run, as_of=at), self.connection
        dropped = ", ".join(f"pg_temp.{name}" for name in _TEMPORARY)
        connection.execute(sa.text(f"drop table if exists {dropped}"))
        choosing.choose(run, connection, only=[self.customer_id], arms_of=self.played)
        planning.plan(run, connection, self.versions, self.providers)

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
