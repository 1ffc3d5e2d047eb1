"""Let the ad audiences follow: who bought, withdrew or left goes out first, then who is new goes in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

import sqlalchemy as sa

from config.campaign import Campaign
from tasks.platforms import factory, identity
from tasks.platforms.base import Platform
from tasks.rules.errors import ConfigError, ProviderError
from tasks.step import say, show_table, step
from tasks.store import audiences as store
from tasks.store import choosing
from tasks.store.audiences import Member, Pending
from tasks.store.runs import Run

# People per call: what the smallest of the real platforms takes at once (C19).
PAGE = 10_000
VERBS = ("remove", "add")


def connect(run: Run, platform: str) -> Platform:
    """The client a run tells an ad platform's audiences with."""
    return factory.open_platform(run.work, factory.OUTBOX, platform, mode=run.mode)


@step(name="sync audiences", tags=["sync"], retries=2)
def audiences(run: Run, *, page: int = PAGE, connect: Callable[[Run, str], Platform] = connect) -> dict[str, int]:
    """Bring a campaign's audiences to what they should be; an unchanged audience is not told anything.

    Safe to repeat at any point: membership is state, every page is recorded before the next, removals come first.
    """
    if run.campaign is None:
        raise TypeError("audiences are synced for one campaign")
    waiting = run.work.database.repeated(partial(_desire, run, run.campaign))
    counts = _tell(run, {run.campaign.name: waiting}, VERBS, page, connect)
    run.counts["audiences"] = counts
    return counts


def _desire(run: Run, campaign: Campaign, connection: sa.Connection) -> list[Pending]:
    """May run again: a dispatch may be taking people off at the same moment."""
    now = choosing.standing(run, connection)
    return store.desire(run.work, connection, campaign, run.as_of, may_add=now.is_on and not now.is_held)


def _only_leave(run: Run, name: str, connection: sa.Connection) -> list[Pending]:
    work = run.work
    if not (work.settings.folder("campaigns") / name / "campaign.yaml").is_file():
        return store.abandon(work.queries, connection, name, run.as_of)
    try:
        campaign = work.campaign(name)
    except ConfigError:  # the folder has problems: who was to leave before leaves all the same
        return store.pending(work.queries, connection, name)
    return store.desire(work, connection, campaign, run.as_of, may_add=False)


@step(name="take people off audiences", tags=["sync"], retries=2)
def removals(run: Run, *, page: int = PAGE) -> dict[str, int]:
    """Take buyers, and whoever withdrew, off the audiences of all campaigns at once; nobody is added here."""
    work, waiting = run.work, {}
    with work.database.transaction() as connection:
        names = store.campaigns(work.queries, connection)
    for name in names:
        waiting[name] = work.database.repeated(partial(_only_leave, run, name))
    counts = _tell(run, waiting, ("remove",), page, connect)
    run.counts["audiences"] = counts
    return counts


def _tell(
    run: Run,
    waiting: dict[str, list[Pending]],
    verbs: Sequence[str],
    page: int,
    connect: Callable[[Run, str], Platform],
) -> dict[str, int]:
    counts: Counter[str] = Counter()
    failed: list[ProviderError] = []
    for verb in verbs:  # every removal, of all platforms, before the first addition
        for campaign, found in waiting.items():
            for audience in found:
                try:
                    with closing(connect(run, audience.platform)) as platform:
                        people = _pages(run, platform, campaign, audience, verb, page)
                except ProviderError as error:  # the other audiences go on; this one is told again by the next run
                    failed.append(error)
                    continue
                if people:
                    counts[f"{audience.platform} {'removed' if verb == 'remove' else 'added'}"] += people
    told = ", ".join(f"{name} {people:,}" for name, people in sorted(counts.items()))
    say(f"audiences: {told or 'nothing to tell'}")
    show_table(
        "audiences", [{"what": name, "people": people} for name, people in sorted(counts.items())],
        "How many people were added to and removed from ad audiences",
    )  # fmt: skip
    if failed:
        raise failed[0]
    return dict(counts)


def _pages(run: Run, platform: Platform, campaign: str, audience: Pending, verb: str, size: int) -> int:
    """Tell one audience page by page; each page is recorded in a transaction of its own."""
    work, people = run.work, 0
    call = platform.remove if verb == "remove" else platform.add
    while True:
        with work.database.transaction() as connection:
            members = store.page(work.queries, connection, campaign, audience, verb, size)
        if not members:
            return people
        members = [_identified(audience.platform, member) for member in members]
        told = [member.identity for member in members if member.identity and not member.is_shared]
        if told:
            call(audience.audience, told)
        # Another run may be finding out at this moment who is to leave.
        work.database.repeated(partial(_told, run, campaign, audience, verb, members))
        people += len(members)


def _told(
    run: Run, campaign: str, audience: Pending, verb: str, members: Sequence[Member], connection: sa.Connection
) -> None:
    store.told(run.work.queries, connection, campaign, audience, verb, members, run.as_of)


def _identified(platform: str, member: Member) -> Member:
    """Who goes out leaves under the identity they came in with; who comes in gets theirs from today's contact."""
    if member.identity:
        return member
    return replace(member, identity=identity.identity(platform, member.email, member.phone))
