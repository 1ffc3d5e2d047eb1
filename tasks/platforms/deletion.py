"""Delete an audience that nobody may leave because it would become too small (I16), and make it again later."""

from __future__ import annotations

from tasks.platforms import factory, telling
from tasks.platforms.base import NOBODY, TOO_SMALL, UNKNOWN, Deletes, Platform
from tasks.platforms.telling import Act, Told
from tasks.rules.errors import ProviderError, Refused, Unanswered
from tasks.store import audiences as store
from tasks.store.audiences import Deleted, Pending
from tasks.store.runs import Run


def or_delete(act: Act) -> Act:
    """Do it; where the platform refuses because the audience would become too small, it is deleted there (I16)."""

    def acted(run: Run, platform: Platform, campaign: str, audience: Pending, told: Told) -> None:
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
            end(run, platform, campaign, audience, told)

    return acted


def end(run: Run, platform: Platform, campaign: str, audience: Pending, told: Told) -> None:
    """Delete an audience whose deletion was begun. An answer that got lost is asked for again by the next sync."""
    del campaign
    known, begun = telling.known(run, audience), _deleted(run, audience)
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
    forget(run, audience, told)


def forget(run: Run, audience: Pending, told: Told) -> None:
    """Nobody is in an audience that is no more."""
    with run.work.database.transaction() as connection:
        people = store.gone(run.work.queries, connection, audience, run.as_of)
    told.people[f"{audience.platform} removed with the audience"] += people


def take_in(run: Run, platform: Platform, campaign: str, audience: Pending, told: Told, *, page: int | None) -> None:
    """Tell who is to come in; an audience that had to be deleted waits until enough people belong in it."""
    deleted = _deleted(run, audience)
    if deleted is None or not deleted.waits:
        telling.tell(run, platform, campaign, audience, told, verb="add", page=page)


def _deleted(run: Run, audience: Pending) -> Deleted | None:
    provider = factory.provider(run.work, audience.platform, run.mode)
    with run.work.database.transaction() as connection:
        return store.deleted(run.work.queries, connection, audience, provider)
