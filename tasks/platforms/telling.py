"""Tell an ad platform who is to come in and who is to leave, page by page, each recorded before the next is told."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

import sqlalchemy as sa

from tasks.platforms import factory, identity
from tasks.platforms.base import TOO_SMALL, Outcome, Platform, Replaces, Taken
from tasks.rules.errors import ProviderError, Refused, Unanswered
from tasks.store import audiences as store
from tasks.store.audiences import Known, Member, Pending
from tasks.store.queries import Queries
from tasks.store.runs import Run

Verb = Literal["remove", "add"]
Which = tuple[str, str, str]  # campaign, platform, audience
# A platform that answers later is asked no sooner (Google: half an hour). One that took a page and never says what
# became of it is believed: not every platform answers for every page.
ASK_AFTER = timedelta(minutes=30)
GIVE_UP_AFTER = timedelta(days=1)


@dataclass
class Told:
    """What a sync has told so far; `failed` audiences are told again by the next run."""

    people: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    by_audience: dict[Which, Counter[str]] = field(default_factory=dict)
    failed: dict[Which, ProviderError] = field(default_factory=dict)


Act = Callable[[Run, Platform, str, Pending, Told], None]


def tell(
    run: Run, platform: Platform, campaign: str, audience: Pending, told: Told, *, verb: Verb, page: int | None
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


def replace(run: Run, platform: Platform, campaign: str, audience: Pending, told: Told) -> None:
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


def recall(run: Run, platform: Platform, campaign: str, audience: Pending, told: Told, *, page: int | None) -> None:
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


def settle(run: Run, platform: Platform, campaign: str, audience: Pending, told: Told) -> None:
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


def measure(run: Run, platform: Platform, campaign: str, audience: Pending, told: Told) -> None:
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


def known(run: Run, audience: Pending) -> Known | None:
    with run.work.database.transaction() as connection:
        return store.known(run.work.queries, connection, audience)


def _count(told: Told, audience: Pending, verb: Verb, members: Sequence[Member]) -> None:
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
    """Note that people are about to be told to come in, before they are: after a crash they may be in (`recall`)."""
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


def _unsure_page(run: Run, campaign: str, audience: Pending, after: str, *, size: int) -> list[Member]:
    with run.work.database.transaction() as connection:
        members = store.unsure_page(run.work.queries, connection, campaign, audience, after, size)
    return [_identified(audience.platform, member) for member in members]


def _settled(queries: Queries, connection: sa.Connection, request_id: int, as_of: datetime, outcome: Outcome) -> None:
    store.settle(
        queries, connection, request_id, as_of, state=outcome.state, received=outcome.received,
        matched=outcome.matched, words=outcome.words,
    )  # fmt: skip
