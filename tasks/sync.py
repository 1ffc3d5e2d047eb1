"""Let the ad audiences follow: who bought, withdrew or left goes out first, then who is new goes in."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

import sqlalchemy as sa

from config.campaign import Campaign
from tasks.platforms import factory, identity
from tasks.platforms.base import NOBODY, TOO_SMALL, UNKNOWN, Deletes, Outcome, Platform, Replaces, Taken
from tasks.rules.errors import ConfigError, ProviderError, Refused, Unanswered
from tasks.rules.words import reason as in_words
from tasks.step import say, show_table, step
from tasks.store import audiences as store
from tasks.store import choosing
from tasks.store.audiences import Deleted, Known, Member, Pending
from tasks.store.queries import Queries
from tasks.store.runs import Run

Verb = Literal["remove", "add"]
Which = tuple[str, str, str]  # campaign, platform, audience
Connect = Callable[[Run, str], Platform]
# A platform that answers later is asked no sooner (Google: half an hour). One that took a page and never says what
# became of it is believed: not every platform answers for every page.
ASK_AFTER = timedelta(minutes=30)
GIVE_UP_AFTER = timedelta(days=1)
# A platform may not know at once an audience that it has just made.
KNOWN_AFTER = timedelta(hours=1)


@dataclass
class _Told:
    """What a sync has told so far; `failed` audiences are told again by the next run."""

    people: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    by_audience: dict[Which, Counter[str]] = field(default_factory=dict)
    failed: dict[Which, ProviderError] = field(default_factory=dict)
    gone: set[Pending] = field(default_factory=set)  # audiences that are no more


Act = Callable[[Run, Platform, str, Pending, _Told], None]


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
    name, told = run.campaign.name, _Told()
    before = {name: _told_before(run, name)}
    waiting = {name: run.work.database.repeated(partial(_desire, run, run.campaign))}
    _let_go(run, before, waiting, connect, told, page)
    _each(run, before, connect, told, _or_delete(_replace))
    # Who was settled or told anew meanwhile may be in by now, or no longer.
    _each(run, {name: _pending(run, name)}, connect, told, partial(_take_in, page=page))
    _each(run, {name: _told_before(run, name)}, connect, told, _measure)
    return _finish(run, told)


@step(name="take people off audiences", tags=["sync"], retries=2)
def removals(run: Run, *, page: int | None = None, connect: Connect = connect) -> dict[str, int]:
    """Take buyers, and whoever withdrew, off the audiences of all campaigns at once; nobody is added here."""
    work, waiting = run.work, {}
    with work.database.transaction() as connection:
        names = store.campaigns(work.queries, connection)
    before = {name: _told_before(run, name) for name in names}
    for name in names:
        waiting[name] = work.database.repeated(partial(_only_leave, run, name))
    told = _Told()
    _let_go(run, before, waiting, connect, told, page)
    return _finish(run, told)


def _let_go(
    run: Run,
    before: Mapping[str, Sequence[Pending]],
    waiting: Mapping[str, Sequence[Pending]],
    connect: Connect,
    told: _Told,
    page: int | None,
) -> None:
    """Everybody who is to leave is told first, whatever else there is to tell."""
    _each(run, before, connect, told, _end_deletion)
    _each(run, waiting, connect, told, _or_delete(partial(_tell, verb="remove", page=page)))
    _each(run, before, connect, told, _or_delete(partial(_recall, page=page)))
    _each(run, before, connect, told, _or_delete(_settle))


def _desire(run: Run, campaign: Campaign, connection: sa.Connection) -> list[Pending]:
    """May run again: a dispatch may be taking people off at the same moment."""
    now = choosing.standing(run, connection)
    may_add = now.is_on and not now.is_held
    return store.desire(run.work, connection, campaign, run.as_of, run.run_id, may_add=may_add)


def _only_leave(run: Run, name: str, connection: sa.Connection) -> list[Pending]:
    work = run.work
    if not (work.settings.folder("campaigns") / name / "campaign.yaml").is_file():
        return store.abandon(work.queries, connection, name, run.as_of)
    try:
        campaign = work.campaign(name)
    except ConfigError:  # the folder has problems: who was to leave before leaves all the same
        return store.pending(work.queries, connection, name)
    if choosing.standing(replace(run, campaign=campaign), connection).is_over:  # its next run may be weeks away
        return store.abandon(work.queries, connection, name, run.as_of)
    return store.desire(work, connection, campaign, run.as_of, run.run_id, may_add=False)


def _told_before(run: Run, campaign: str) -> list[Pending]:
    """A campaign's audiences that were told anything; one that somebody else was told about begins anew."""
    queries = run.work.queries
    with run.work.database.transaction() as connection:
        for audience in (found := store.of_campaign(queries, connection, campaign)):
            provider = factory.provider(run.work, audience.platform, run.mode)
            store.forget(queries, connection, audience, provider)
    return found


def _each(
    run: Run,
    waiting: Mapping[str, Sequence[Pending]],
    connect: Connect,
    told: _Told,
    act: Act,
) -> None:
    """Do one thing with every audience; one that fails is left alone for the rest of the sync, the others go on."""
    for campaign, found in waiting.items():
        for audience in found:
            which = (campaign, audience.platform, audience.audience)
            if which in told.failed:
                continue
            before = told.people + told.refused
            try:
                with closing(connect(run, audience.platform)) as platform:
                    _act(act, run, platform, campaign, audience, told)
            except ProviderError as error:
                told.failed[which] = error
            done = told.people + told.refused - before
            told.by_audience[which] = told.by_audience.get(which, Counter()) + done


def _act(act: Act, run: Run, platform: Platform, campaign: str, audience: Pending, told: _Told) -> None:
    """Do it; an audience that somebody deleted at its platform holds nobody, and is made again when it is told next."""
    try:
        act(run, platform, campaign, audience, told)
    except Refused as no:
        known = _known(run, audience)
        if no.reason != UNKNOWN or known is None or known.found_at > run.as_of - KNOWN_AFTER:
            raise
        if platform.find(audience.audience) == known.external_id:
            raise
        _forget(run, audience, told)


def _or_delete(act: Act) -> Act:
    """Do it; where the platform refuses because the audience would become too small, it is deleted there (I16)."""

    def acted(run: Run, platform: Platform, campaign: str, audience: Pending, told: _Told) -> None:
        try:
            act(run, platform, campaign, audience, told)
        except Refused as no:
            if no.reason not in (TOO_SMALL, NOBODY) or not isinstance(platform, Deletes):
                raise
            provider = factory.provider(run.work, audience.platform, run.mode)
            with run.work.database.transaction() as connection:  # before the platform is told: it ends after a crash
                store.begin_deletion(
                    run.work.queries, connection, audience, provider, run.as_of, smallest=platform.smallest
                )
            _end_deletion(run, platform, campaign, audience, told)

    return acted


def _end_deletion(run: Run, platform: Platform, campaign: str, audience: Pending, told: _Told) -> None:
    """Delete an audience whose deletion was begun. An answer that got lost is asked for again by the next sync."""
    del campaign
    known, begun = _known(run, audience), _deleted(run, audience)
    if begun is None or begun.is_gone or known is None or not isinstance(platform, Deletes):
        return
    try:
        platform.delete(known.external_id)
    except Unanswered:
        raise
    except ProviderError as no:
        is_unknown = isinstance(no, Refused) and no.reason == UNKNOWN
        if not is_unknown or platform.find(audience.audience) == known.external_id:
            with run.work.database.transaction() as connection:
                store.keep(run.work.queries, connection, audience)
            raise
    _forget(run, audience, told)


def _forget(run: Run, audience: Pending, told: _Told) -> None:
    """Nobody is in an audience that is no more."""
    with run.work.database.transaction() as connection:
        people = store.gone(run.work.queries, connection, audience, run.as_of)
    told.gone.add(audience)
    told.people[f"{audience.platform} removed with the audience"] += people


def _take_in(run: Run, platform: Platform, campaign: str, audience: Pending, told: _Told, *, page: int | None) -> None:
    """Tell who is to come in; an audience that had to be deleted waits until enough people belong in it."""
    deleted = _deleted(run, audience)
    if deleted is None or not deleted.waits:
        _tell(run, platform, campaign, audience, told, verb="add", page=page)


def _known(run: Run, audience: Pending) -> Known | None:
    with run.work.database.transaction() as connection:
        return store.known(run.work.queries, connection, audience)


def _deleted(run: Run, audience: Pending) -> Deleted | None:
    provider = factory.provider(run.work, audience.platform, run.mode)
    with run.work.database.transaction() as connection:
        return store.deleted(run.work.queries, connection, audience, provider)


def _pending(run: Run, campaign: str) -> list[Pending]:
    with run.work.database.transaction() as connection:
        return store.pending(run.work.queries, connection, campaign)


def _row(which: Which, told: _Told) -> dict[str, Any]:
    """One audience of a sync in the Prefect UI: counts, and the platform's own words where it said no."""
    campaign, platform, audience = which
    counts = Counter({name.removeprefix(f"{platform} "): n for name, n in told.by_audience[which].items()})
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


def _note(which: Which, told: _Told, counts: Mapping[str, int]) -> str:
    if which in told.failed:
        return str(told.failed[which])
    if counts["removed with the audience"]:
        return "deleted at the platform"
    return "everybody was told anew" if counts["told anew"] else ""


def _finish(run: Run, told: _Told) -> dict[str, int]:
    done = ", ".join(f"{name} {people:,}" for name, people in sorted(told.people.items()))
    say(f"audiences: {done or 'nothing to tell'}")
    counts = told.people + told.refused
    show_table(
        "audiences",
        [_row(which, told) for which in sorted(told.by_audience)],
        "How many people were added to and removed from each ad audience, and what kept others from it",
    )
    run.counts["audiences"] = dict(counts)
    with run.work.database.transaction() as connection:
        for campaign, platform, audience in sorted(told.by_audience):
            error = told.failed.get((campaign, platform, audience))
            which = Pending(platform, audience, 0, 0)
            store.trouble(run.work.queries, connection, campaign, which, run.as_of, str(error) if error else None)
    if told.failed:
        raise next(iter(told.failed.values()))
    return dict(counts)


def _tell(
    run: Run, platform: Platform, campaign: str, audience: Pending, told: _Told, *, verb: Verb, page: int | None
) -> None:
    """Tell one audience page by page; each page is recorded, in a transaction of its own, before the next is told."""
    if not (audience.removes if verb == "remove" else audience.adds):
        return
    size, number = min(page or platform.page, platform.page), None
    with closing(_pages(partial(_page, run, campaign, audience, verb, size=size))) as pages:
        for members in pages:
            people = [member for member in members if member.identifiers and not member.is_shared]
            if people:
                number = number or _external_id(run, platform, audience, verb, people)
            request = _begin(run, campaign, audience, len(people)) if people and verb == "add" else None
            taken = _call(run, platform, audience, verb, number, people, request) if people and number else Taken()
            judged = _judged(members, people, taken, verb)
            # Another run may be finding out at this moment who is to leave.
            run.work.database.repeated(
                partial(_record, run, campaign, audience, verb, judged, len(people), taken, request)
            )
            _count(told, audience, verb, judged)


def _count(told: _Told, audience: Pending, verb: Verb, members: Sequence[Member]) -> None:
    reasons = Counter(member.refused for member in members)
    told.people[f"{audience.platform} {'removed' if verb == 'remove' else 'added'}"] += reasons.pop(None, 0)
    told.refused.update({f"{audience.platform} refused: {reason}": people for reason, people in reasons.items()})


def _pages(read: Callable[[str], list[Member]]) -> Generator[list[Member]]:
    """Page after page, the next one read while one is told: who is on it does not hang on what became of that one.

    A page makes so many objects that Python would look through all it has in memory every few pages, a third of what
    telling costs it. What was there before is left out of that meanwhile.
    """
    gc.freeze()
    try:
        with ThreadPoolExecutor(max_workers=1) as ahead:
            coming = ahead.submit(read, "")
            while members := coming.result():
                coming = ahead.submit(read, members[-1].customer_id)
                yield members
    finally:
        gc.unfreeze()


def _page(run: Run, campaign: str, audience: Pending, verb: Verb, after: str, *, size: int) -> list[Member]:
    with run.work.database.transaction() as connection:
        members = store.page(run.work.queries, connection, campaign, audience, verb, after, size)
    return [_identified(audience.platform, member) for member in members]


def _identified(platform: str, member: Member) -> Member:
    """Who goes out leaves under the identifiers they came in with; who comes in gets theirs from today's contact."""
    if member.identifiers:
        return member
    contact = identity.Contact(member.email, member.phone, member.first_name, member.last_name, member.country)
    return Member(member.customer_id, identity.identifiers(platform, contact) or None, member.contact_sha256)


def _external_id(run: Run, platform: Platform, audience: Pending, verb: Verb, first: Sequence[Member]) -> str | None:
    """What the platform calls the audience: known, found by its name, or made; None where nobody is in it."""
    queries = run.work.queries
    provider = factory.provider(run.work, audience.platform, run.mode)
    with run.work.database.transaction() as connection:
        known = store.known(queries, connection, audience)
    if known:
        return known.external_id
    number = platform.find(audience.audience)
    is_new = number is None and verb == "add"
    if is_new:
        number = platform.create(audience.audience, [member.identifiers or {} for member in first])
    if number is not None:
        with run.work.database.transaction() as connection:
            # Found, it may hold anybody; made, the people it was made of, who are recorded by the page that follows.
            store.found(
                queries, connection, audience, provider, number, run.as_of, is_new=is_new,
                is_doubtful=isinstance(platform, Replaces),
            )  # fmt: skip
    return number


def _begin(run: Run, campaign: str, audience: Pending, people: int) -> int:
    """Note that people are about to be told to come in, before they are: after a crash they may be in (`_recall`)."""
    with run.work.database.transaction() as connection:
        return store.request(
            run.work.queries, connection, campaign, audience, "add", run.as_of, people=people, external_id=None,
            state="waiting",
        )  # fmt: skip


def _call(
    run: Run,
    platform: Platform,
    audience: Pending,
    verb: Verb,
    number: str,
    people: Sequence[Member],
    request: int | None,
) -> Taken:
    """Tell a platform one page. A lost answer is told again; where only all of it at once is certain, that is noted."""
    call = platform.remove if verb == "remove" else platform.add
    try:
        taken = call(number, [member.identifiers or {} for member in people])
    except Unanswered:
        _doubt(run, audience)
        raise
    except ProviderError as no:
        if request is not None:  # certainly nobody came in
            with run.work.database.transaction() as connection:
                _settled(run.work.queries, connection, request, run.as_of, Outcome("failed", words=str(no)))
        raise
    if taken.is_partial:
        _doubt(run, audience)
    return taken


def _doubt(run: Run, audience: Pending) -> None:
    with run.work.database.transaction() as connection:
        store.doubt(run.work.queries, connection, audience, is_doubtful=True)


def _judged(members: Sequence[Member], people: Sequence[Member], taken: Taken, verb: Verb) -> list[Member]:
    refused = {people[place].customer_id: why for place, why in taken.refused.items()}
    if verb == "add":
        refused |= {member.customer_id: "no_identifier" for member in members if not member.identifiers}
    if not refused:
        return list(members)
    return [
        member._replace(refused=refused[member.customer_id]) if member.customer_id in refused else member
        for member in members
    ]


def _record(
    run: Run,
    campaign: str,
    audience: Pending,
    verb: Verb,
    members: Sequence[Member],
    people: int,
    taken: Taken,
    request: int | None,
    connection: sa.Connection,
) -> None:
    queries = run.work.queries
    state = "waiting" if taken.request else "partial" if taken.is_partial else "done"
    answer = {"external_id": taken.request, "state": state, "words": taken.words}
    if request is not None:
        store.answered(queries, connection, request, **answer)
    elif people:
        request = store.request(queries, connection, campaign, audience, verb, run.as_of, people=people, **answer)
    asked = request if taken.request else None
    store.told(queries, connection, campaign, audience, verb, members, run.as_of, asked)


def _replace(run: Run, platform: Platform, campaign: str, audience: Pending, told: _Told) -> None:
    """Where a page may have been lost, and the platform can, tell it everybody at once, of every campaign."""
    queries = run.work.queries
    with run.work.database.transaction() as connection:
        known = store.known(queries, connection, audience)
    if known is None or not known.is_doubtful or not isinstance(platform, Replaces):
        return
    with run.work.database.transaction() as connection:
        request = store.request(
            queries, connection, campaign, audience, "replace", run.as_of, people=0, external_id=None, state="waiting"
        )
    people: list[str] = []  # by the places that the platform counts

    def everybody() -> Iterator[Mapping[str, str]]:
        after = ""
        while members := _whole_page(run, audience, after, request, platform.page):
            after = members[-1].customer_id
            for member in members:
                if member.identifiers:
                    people.append(member.customer_id)
                    yield member.identifiers

    try:
        taken = platform.replace(known.external_id, everybody())
    except ProviderError as error:
        with run.work.database.transaction() as connection:
            _settled(queries, connection, request, run.as_of, Outcome("failed", words=str(error)))
        raise
    refused = {people[place]: why for place, why in taken.refused.items()}
    with run.work.database.transaction() as connection:
        store.replaced(
            queries, connection, audience, request, run.as_of, people=len(people) - len(refused),
            external_id=taken.request, refused=refused,
        )  # fmt: skip
        store.doubt(queries, connection, audience, is_doubtful=taken.is_partial)
    told.people[f"{audience.platform} told anew"] += len(people) - len(refused)
    told.refused.update(Counter(f"{audience.platform} refused: {why}" for why in refused.values()))


def _whole_page(run: Run, audience: Pending, after: str, request: int, size: int) -> list[Member]:
    """The next of everybody who belongs into an audience, marked as told by this request."""
    queries = run.work.queries
    with run.work.database.transaction() as connection:
        members = [
            _identified(audience.platform, member)
            for member in store.whole_page(queries, connection, audience, after, size)
        ]
        store.mark(queries, connection, audience, request, [member for member in members if member.identifiers])
    return members


def _recall(run: Run, platform: Platform, campaign: str, audience: Pending, told: _Told, *, page: int | None) -> None:
    """Tell those to leave who are to be out and may be in: of a page without an answer, or during which we died.

    Who still belongs in is told to come once more with everybody else.
    """
    del told
    queries = run.work.queries
    with run.work.database.transaction() as connection:
        lost, known = store.lost(queries, connection, campaign, audience), store.known(queries, connection, audience)
    if not lost:
        return
    size = min(page or platform.page, platform.page)
    with closing(_pages(partial(_unsure_page, run, campaign, audience, size=size))) as pages:
        for members in pages if known else ():
            people = [member.identifiers for member in members if member.identifiers]
            if people and known:
                platform.remove(known.external_id, people)
    with run.work.database.transaction() as connection:
        for request_id in lost:
            _settled(queries, connection, request_id, run.as_of, Outcome("failed", words="the answer was lost"))


def _unsure_page(run: Run, campaign: str, audience: Pending, after: str, *, size: int) -> list[Member]:
    with run.work.database.transaction() as connection:
        members = store.unsure_page(run.work.queries, connection, campaign, audience, after, size)
    return [_identified(audience.platform, member) for member in members]


def _settle(run: Run, platform: Platform, campaign: str, audience: Pending, told: _Told) -> None:
    """Ask what became of requests that a platform only took."""
    del campaign, told
    queries = run.work.queries
    with run.work.database.transaction() as connection:
        waiting = store.waiting(queries, connection, audience, run.as_of - ASK_AFTER)
    for request in waiting:
        outcome = platform.ask(request.external_id)
        if outcome.state == "waiting" and run.as_of - request.told_at >= GIVE_UP_AFTER:
            outcome = Outcome("done", words="no answer within a day")
        with run.work.database.transaction() as connection:
            _settled(queries, connection, request.request_id, run.as_of, outcome)
            if request.verb == "replace" and outcome.state in ("partial", "failed"):
                store.doubt(queries, connection, audience, is_doubtful=True)
        if request.verb != "add" and outcome.is_too_small:
            raise Refused(f"{audience.platform}: {outcome.words}", TOO_SMALL)


def _settled(queries: Queries, connection: sa.Connection, request_id: int, as_of: datetime, outcome: Outcome) -> None:
    store.settle(
        queries, connection, request_id, as_of, state=outcome.state, received=outcome.received,
        matched=outcome.matched, words=outcome.words,
    )  # fmt: skip


def _measure(run: Run, platform: Platform, campaign: str, audience: Pending, told: _Told) -> None:
    """Note once a day how large a platform says an audience is."""
    del campaign, told
    queries = run.work.queries
    with run.work.database.transaction() as connection:
        known = store.known(queries, connection, audience)
        if known is None or store.is_measured(queries, connection, audience, run.as_of):
            return
    size = platform.size(known.external_id)
    with run.work.database.transaction() as connection:
        store.measure(
            queries, connection, audience, run.as_of, least=size.least, most=size.most, match_rate=size.match_rate,
            is_usable=size.is_usable, words=size.words,
        )  # fmt: skip
