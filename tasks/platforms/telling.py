"""Tell an ad platform who is to come in and who is to leave, page by page, each recorded before the next is told."""

from __future__ import annotations

import dataclasses
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
from tasks.rules.words import KEPT
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
    left_alone: dict[Which, str] = field(default_factory=dict)  # why nothing can be told


Act = Callable[[Run, Platform, str, Pending, Told], None]


def tell(
    run: Run, platform: Platform, campaign: str, audience: Pending, told: Told, *, verb: Verb, page: int | None
) -> None:
    """Tell one audience page by page, each recorded in a transaction of its own.

    Who is to come in is recorded before the platform is told, who is to leave when it has let them go: in between
    people count as in.
    """
    if not (audience.removes + audience.kept if verb == "remove" else audience.adds):
        return
    size = min(page or platform.page, platform.page)
    with closing(_pages(partial(_page, run, campaign, audience, verb, size=size))) as pages:
        number = None
        for members in pages:
            page_of = _take_in if verb == "add" else _let_go
            number = page_of(run, platform, campaign, audience, told, members, number)


def _take_in(
    run: Run,
    platform: Platform,
    campaign: str,
    audience: Pending,
    told: Told,
    members: Sequence[Member],
    number: str | None,
) -> str | None:
    """Tell a page of people to come in; gives what the platform calls the audience, made when there is none."""
    judged = [member if member.identifiers else member._replace(refused="no_identifier") for member in members]
    people = [member for member in members if member.identifiers]
    request = run.work.database.repeated(partial(_begin, run, campaign, audience, judged, len(people)))
    if request is None:
        _count(told, audience, "add", judged)
        return number
    is_made = False
    try:
        number = number or _named(run, platform, audience)
        if number is None:
            number, is_made = _made(run, platform, audience, people, request), True
        taken = platform.add(number, [member.identifiers or {} for member in people])
    except ProviderError as no:
        if is_made or isinstance(no, Unanswered):  # a platform may make an audience of its first people
            run.work.database.repeated(partial(_lose, run, audience, request))
        else:  # certainly nobody came in
            with run.work.database.transaction() as connection:
                _settled(run.work.queries, connection, request, run.as_of, Outcome("failed", words=str(no)))
        raise
    refused = {people[place].customer_id: why for place, why in taken.refused.items()}
    run.work.database.repeated(partial(_answered, run, audience, request, taken, refused))
    _count(told, audience, "add", _judged(judged, refused))
    return number


def _let_go(
    run: Run,
    platform: Platform,
    campaign: str,
    audience: Pending,
    told: Told,
    members: Sequence[Member],
    number: str | None,
) -> str | None:
    """Tell a page of people to leave; gives what the platform calls the audience, None where there is none."""
    people = [member for member in members if member.identifiers and not member.is_shared]
    taken = Taken()
    if people:
        number = number or _named(run, platform, audience)
    if people and number:
        try:
            taken = platform.remove(number, [member.identifiers or {} for member in people])
        except Unanswered:
            _doubt(run, audience)
            raise
    judged = _judged(members, {people[place].customer_id: why for place, why in taken.refused.items()})
    # Another run may be finding out at this moment who is to leave.
    run.work.database.repeated(partial(_record, run, campaign, audience, judged, len(people), taken))
    if not taken.is_partial:
        _count(told, audience, "remove", judged)
    return number


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


def recall(run: Run, campaign: str, *, before: datetime) -> None:
    """Whoever was on a page that was told at `before` at the latest and has no answer may be in: lost, or we died."""
    with run.work.database.transaction() as connection:
        lost = store.lost(run.work.queries, connection, campaign, before)
    for request, audience in lost:
        run.work.database.repeated(partial(_lose, run, audience, request))


def settle(run: Run, platform: Platform, campaign: str, audience: Pending, told: Told) -> None:
    """Ask what became of requests that a platform only took."""
    del campaign, told
    queries = run.work.queries
    with run.work.database.transaction() as connection:
        waiting = store.waiting(queries, connection, audience, run.as_of - ASK_AFTER)
    for request in waiting:
        outcome = platform.ask(request.external_id)
        is_leaving = request.verb == "remove"
        if outcome.state == "waiting" and run.as_of - request.told_at >= GIVE_UP_AFTER:
            outcome = Outcome("failed" if is_leaving else "done", words="no answer within a day")
        if outcome.state == "partial" and is_leaving:  # nobody says who is in still, so all are told again
            outcome = dataclasses.replace(outcome, state="failed")
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
    """What is known of an audience on its platform; None before anything was told."""
    with run.work.database.transaction() as connection:
        return store.known(run.work.queries, connection, audience)


def _count(told: Told, audience: Pending, verb: Verb, members: Sequence[Member]) -> None:
    reasons = Counter(member.refused for member in members)
    done = reasons.pop(None, 0)
    if kept := sum(member.is_shared for member in members):
        told.people[f"{audience.platform} {KEPT}"] += kept
    if done > kept:
        told.people[f"{audience.platform} {'removed' if verb == 'remove' else 'added'}"] += done - kept
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


def _named(run: Run, platform: Platform, audience: Pending) -> str | None:
    """What the platform calls the audience: known, or found by its name; None where there is none."""
    if there := known(run, audience):
        return there.external_id
    number = platform.find(audience.audience)
    if number is not None:
        _found(run, platform, audience, number, made_for=None)
    return number


def _made(run: Run, platform: Platform, audience: Pending, first: Sequence[Member], request: int) -> str:
    """What the platform calls a new audience, made for the people of a request, who are recorded already."""
    number = platform.create(audience.audience, [member.identifiers or {} for member in first])
    _found(run, platform, audience, number, made_for=request)
    return number


def _found(run: Run, platform: Platform, audience: Pending, number: str, *, made_for: int | None) -> None:
    provider = factory.provider(run.work, audience.platform, run.mode)
    with run.work.database.transaction() as connection:
        store.found(
            run.work.queries, connection, audience, provider, number, run.as_of, is_new=made_for is not None,
            is_doubtful=isinstance(platform, Replaces), request_id=made_for,
        )  # fmt: skip


def _begin(
    run: Run, campaign: str, audience: Pending, members: Sequence[Member], people: int, connection: sa.Connection
) -> int | None:
    """Record that people are about to be told to come in; gives the request, None where nobody can be told."""
    queries, request = run.work.queries, None
    if people:
        request = store.request(
            queries, connection, campaign, audience, "add", run.as_of, people=people, external_id=None,
            state="waiting",
        )  # fmt: skip
    store.told(queries, connection, campaign, audience, "add", members, run.as_of, request)
    return request


def _lose(run: Run, audience: Pending, request: int, connection: sa.Connection) -> None:
    store.unsure(run.work.queries, connection, request, run.as_of)
    store.doubt(run.work.queries, connection, audience, is_doubtful=True)


def _answered(
    run: Run, audience: Pending, request: int, taken: Taken, refused: Mapping[str, str], connection: sa.Connection
) -> None:
    queries = run.work.queries
    store.answered(
        queries, connection, request, external_id=taken.request, state=_state(taken), words=taken.words,
        is_partial=taken.is_partial, refused=dict(refused),
    )  # fmt: skip
    if taken.is_partial:
        store.doubt(queries, connection, audience, is_doubtful=True)


def _state(taken: Taken) -> str:
    return "waiting" if taken.request else "partial" if taken.is_partial else "done"


def _doubt(run: Run, audience: Pending) -> None:
    with run.work.database.transaction() as connection:
        store.doubt(run.work.queries, connection, audience, is_doubtful=True)


def _judged(members: Sequence[Member], refused: Mapping[str, str]) -> Sequence[Member]:
    if not refused:
        return members
    return [
        member._replace(refused=refused[member.customer_id]) if member.customer_id in refused else member
        for member in members
    ]


def _record(
    run: Run,
    campaign: str,
    audience: Pending,
    members: Sequence[Member],
    people: int,
    taken: Taken,
    connection: sa.Connection,
) -> None:
    """Record who was told to leave; where nobody says who was let go, all stay, and are told again."""
    queries, request = run.work.queries, None
    if people:
        request = store.request(
            queries, connection, campaign, audience, "remove", run.as_of, people=people, external_id=taken.request,
            state=_state(taken), words=taken.words,
        )  # fmt: skip
    if taken.is_partial:
        store.doubt(queries, connection, audience, is_doubtful=True)
    else:
        asked = request if taken.request else None
        store.told(queries, connection, campaign, audience, "remove", members, run.as_of, asked)


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


def _settled(queries: Queries, connection: sa.Connection, request_id: int, as_of: datetime, outcome: Outcome) -> None:
    store.settle(
        queries, connection, request_id, as_of, state=outcome.state, received=outcome.received,
        matched=outcome.matched, words=outcome.words,
    )  # fmt: skip
