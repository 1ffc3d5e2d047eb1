"""Let the ad audiences follow: who bought, withdrew or left goes out first, then who is new goes in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from config.campaign import Campaign
from tasks.platforms import deletion, factory, telling
from tasks.platforms.base import UNKNOWN, Platform
from tasks.platforms.telling import Act, Told, Which
from tasks.rules.errors import Busy, ConfigError, ProviderError, Refused
from tasks.rules.words import KEPT
from tasks.rules.words import reason as in_words
from tasks.step import say, show_table, step
from tasks.store import audiences as store
from tasks.store import choosing
from tasks.store.audiences import Pending
from tasks.store.runs import Run

Connect = Callable[[Run, str], Platform]
# A platform may not know at once an audience that it has just made.
KNOWN_AFTER = timedelta(hours=1)
# No page is being told for so long. A dispatch leaves younger ones alone, since a run may be at it; who is to be out is
# told to leave all the same, and once more when the page has its answer.
LOST_AFTER = timedelta(hours=1)


def connect(run: Run, platform: str) -> Platform:
    """The client a run tells an ad platform's audiences with."""
    provider = factory.provider(run.work, platform, run.mode)
    return factory.open_platform(run.work, provider, platform, mode=run.mode)


@step(name="sync audiences", tags=["sync"], retries=2)
def audiences(run: Run, *, page: int | None = None, connect: Connect = connect) -> dict[str, int]:
    """Bring a campaign's audiences to what they should be; an unchanged audience is not told anything.

    Safe to repeat at any point: membership is state, every page is recorded before the next, removals come first.
    `page` people are told at once, as many as the platform takes where it is left out.
    """
    if run.campaign is None:
        raise TypeError("audiences are synced for one campaign")
    name, told = run.campaign.name, Told()
    before = {name: _told_before(run, name, told)}
    telling.recall(run, name, before=run.as_of)  # runs of a campaign take turns: nobody is telling a page now
    may_add, leaving = run.work.database.repeated(partial(_desire, run, run.campaign))
    _refused(told, name, leaving)
    _let_go(run, before, {name: leaving}, connect, told, page)
    _each(run, before, connect, told, deletion.or_delete(telling.replace))
    if may_add:  # who was settled or told anew meanwhile may be in by now, or no longer
        _each(run, {name: _pending(run, name)}, connect, told, partial(deletion.take_in, page=page))
    _each(run, {name: _told_before(run, name, told)}, connect, told, telling.measure)
    return _finish(run, told)


# Messages and erasures of the same dispatch come after it, and the next dispatch within minutes.
@step(name="take people off audiences", tags=["sync"], retries=2, longest_wait_seconds=30)
def removals(run: Run, *, page: int | None = None, connect: Connect = connect) -> dict[str, int]:
    """Take buyers, and whoever withdrew, off the audiences of all campaigns at once; nobody is added here."""
    work, waiting = run.work, {}
    with work.database.transaction() as connection:
        names = store.campaigns(work.queries, connection)
    told = Told()
    before = {name: _told_before(run, name, told) for name in names}
    for name in names:
        telling.recall(run, name, before=run.as_of - LOST_AFTER)
        waiting[name] = work.database.repeated(partial(_only_leave, run, name))
        _refused(told, name, waiting[name])
    _let_go(run, before, waiting, connect, told, page)
    return _finish(run, told)


def _let_go(
    run: Run,
    before: Mapping[str, Sequence[Pending]],
    waiting: Mapping[str, Sequence[Pending]],
    connect: Connect,
    told: Told,
    page: int | None,
) -> None:
    """Everybody who is to leave is told first, whatever else there is to tell."""
    _each(run, before, connect, told, deletion.end)
    _each(run, waiting, connect, told, deletion.or_delete(partial(telling.tell, verb="remove", page=page)))
    _each(run, before, connect, told, deletion.or_delete(telling.settle))


def _desire(run: Run, campaign: Campaign, connection: sa.Connection) -> tuple[bool, list[Pending]]:
    """Whether anybody may come in, and what is to be told. May run again: a dispatch may be taking people off now."""
    now = choosing.standing(run, connection)
    may_add = now.is_on and not now.is_held
    return may_add, store.desire(run.work, connection, campaign, run.as_of, run.run_id, may_add=may_add)


def _refused(told: Told, campaign: str, found: Sequence[Pending]) -> None:
    """Count who was just found to belong into an audience and cannot be told."""
    for audience in found:
        refused = Counter({f"{audience.platform} refused: {why}": people for why, people in audience.refused.items()})
        told.refused.update(refused)
        told.by_audience.setdefault((campaign, audience.platform, audience.audience), Counter()).update(refused)


def _only_leave(run: Run, name: str, connection: sa.Connection) -> list[Pending]:
    work = run.work
    if not (work.settings.folder("campaigns") / name / "campaign.yaml").is_file():
        return store.abandon(work.queries, connection, name, run.as_of)
    try:
        campaign = work.campaign(name)
    except ConfigError:  # the folder has problems: people leave by what it said before
        last = store.last_definition(work.queries, connection, name)
        if last is None:
            return store.pending(work.queries, connection, name)
        campaign = last
    if choosing.standing(replace(run, campaign=campaign), connection).is_over:  # its next run may be weeks away
        return store.abandon(work.queries, connection, name, run.as_of)
    return store.desire(work, connection, campaign, run.as_of, run.run_id, may_add=False)


def _told_before(run: Run, campaign: str, told: Told) -> list[Pending]:
    """A campaign's audiences that were told anything; one that only the outbox was told about begins anew.

    One at a platform that is no longer named is left alone: its people are in it all the same, and leave when the
    platform can be told again.
    """
    queries = run.work.queries
    with run.work.database.transaction() as connection:
        for audience in (found := store.of_campaign(queries, connection, campaign)):
            provider = factory.provider(run.work, audience.platform, run.mode)
            known = store.known(queries, connection, audience)
            if known and known.provider != provider == factory.OUTBOX:
                told.left_alone[campaign, audience.platform, audience.audience] = (
                    f"{audience.platform} is no longer among the ad_platforms of reengage.yaml, and people are in "
                    "this audience there still: name it until they have left, or delete the audience there"
                )
            else:
                store.forget(queries, connection, audience, provider)
    return found


def _each(
    run: Run,
    waiting: Mapping[str, Sequence[Pending]],
    connect: Connect,
    told: Told,
    act: Act,
) -> None:
    """Do one thing with every audience; one that fails is left alone for the rest of the sync, the others go on."""
    for campaign, found in waiting.items():
        for audience in found:
            which = (campaign, audience.platform, audience.audience)
            if which in told.failed or which in told.left_alone:
                continue
            before = told.people + told.refused
            try:
                with closing(connect(run, audience.platform)) as platform:
                    _act(act, run, platform, campaign, audience, told)
            except ProviderError as error:
                told.failed[which] = error
            done = told.people + told.refused - before
            told.by_audience[which] = told.by_audience.get(which, Counter()) + done


def _act(act: Act, run: Run, platform: Platform, campaign: str, audience: Pending, told: Told) -> None:
    """Do it; an audience that somebody deleted at its platform holds nobody, and is made again when it is told next."""
    try:
        act(run, platform, campaign, audience, told)
    except Refused as no:
        known = telling.known(run, audience)
        if no.reason != UNKNOWN or known is None or known.found_at > run.as_of - KNOWN_AFTER:
            raise
        if platform.find(audience.audience) == known.external_id:
            raise
        deletion.forget(run, audience, told)


def _pending(run: Run, campaign: str) -> list[Pending]:
    with run.work.database.transaction() as connection:
        return store.pending(run.work.queries, connection, campaign)


def _row(which: Which, told: Told) -> dict[str, Any]:
    """One audience of a sync in the Prefect UI: counts, and the platform's own words where it said no."""
    campaign, platform, audience = which
    counts = Counter(
        {name.removeprefix(f"{platform} "): n for name, n in told.by_audience.get(which, Counter()).items()}
    )
    refused = {name.removeprefix("refused: "): n for name, n in counts.items() if name.startswith("refused: ")}
    return {
        "campaign": campaign,
        "platform": platform,
        "audience": audience,
        "removed": counts["removed"] + counts["removed with the audience"],
        "added": counts["added"] + counts["told anew"],
        "refused": "; ".join(f"{in_words(why)}: {n:,}" for why, n in sorted(refused.items())),
        "note": _note(which, told, counts),
    }


def _problem(which: Which, told: Told) -> str | None:
    """What keeps an audience from being told, in words."""
    return str(told.failed[which]) if which in told.failed else told.left_alone.get(which)


def _note(which: Which, told: Told, counts: Mapping[str, int]) -> str:
    if problem := _problem(which, told):
        return problem
    if counts["removed with the audience"]:
        return "deleted at the platform"
    if counts["told anew"]:
        return "everybody was told anew"
    return f"{counts[KEPT]:,} {KEPT}" if counts[KEPT] else ""


def _finish(run: Run, told: Told) -> dict[str, int]:
    done = ", ".join(f"{name} {people:,}" for name, people in sorted(told.people.items()))
    say(f"audiences: {done or 'nothing to tell'}")
    counts = told.people + told.refused
    show_table(
        "audiences",
        [_row(which, told) for which in sorted(told.by_audience | told.left_alone)],
        "How many people were added to and removed from each ad audience, and what kept others from it",
    )
    run.counts["audiences"] = dict(counts)
    with run.work.database.transaction() as connection:
        for which in sorted(told.by_audience | told.left_alone):
            campaign, platform, audience = which
            store.trouble(
                run.work.queries, connection, campaign, Pending(platform, audience, 0, 0), run.as_of,
                _problem(which, told),
            )  # fmt: skip
    if told.failed:
        raise _first(told)
    return dict(counts)


def _first(told: Told) -> ProviderError:
    """The failure that the run ends with; of several platforms that are busy the one that asks for most time."""
    failures = list(told.failed.values())
    busy = [error for error in failures if isinstance(error, Busy)]
    if busy and isinstance(failures[0], Busy):
        return max(busy, key=lambda error: error.retry_after or 0)
    return failures[0]
