"""Ad audiences: who should be in (desired), who is in (applied), and the difference still to tell."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson
import sqlalchemy as sa
from pydantic import ValidationError

from config.campaign import Campaign
from tasks.rules.keyed import pads
from tasks.store import changes, filling
from tasks.store.planning import answer_into_eligible
from tasks.store.queries import Queries
from tasks.store.workspace import Workspace

# Everybody is looked at so often, whatever is noted; notes are kept for longer.
FULL_LOOK_EVERY: Final = timedelta(days=7)
NOTES_KEPT: Final = timedelta(days=8)
# Made for one transaction each.
_TEMPORARY: Final = (
    "people", "people_ids", "consented", "eligible", "audience_people", "audience_ways", "audience_untold",
)  # fmt: skip


@dataclass(frozen=True)
class Pending:
    """What one audience still has to be told; counts only."""

    platform: str
    audience: str
    removes: int
    adds: int
    kept: int = 0  # people whom this campaign lets go and another wants: nothing is told
    refused: Mapping[str, int] = field(default_factory=dict)  # why -> people just found to be wanted and untellable


class Member(NamedTuple):
    """One person of a page; the contact lives in memory only. A tuple, since a million of them are made in a minute."""

    customer_id: str
    identifiers: Mapping[str, str] | None = None
    contact_sha256: str | None = None
    refused: str | None = None  # why the platform cannot take them, or let them go
    is_shared: bool = False  # another campaign wants them in the same audience
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    country: str | None = None


@dataclass(frozen=True)
class Known:
    """What is known of an audience on its platform."""

    provider: str  # who was told so far: the platform, or the outbox in its place
    external_id: str
    is_doubtful: bool  # who is in it is not certain
    found_at: datetime


@dataclass(frozen=True)
class Deleted:
    """An audience that was deleted at its platform, or is about to be."""

    is_gone: bool  # the platform has confirmed it
    enough: int  # people who must belong in it before it is made again
    wanted: int  # people who do, of all campaigns

    @property
    def waits(self) -> bool:
        """Whether nobody may be put in yet."""
        return not self.is_gone or self.wanted < self.enough


@dataclass(frozen=True)
class Request:
    """Something a platform was told and has not answered for good."""

    request_id: int
    external_id: str
    verb: str
    told_at: datetime


def audience_name(campaign: Campaign, platform: str) -> str:
    """The audience's name on a platform: its own, else the campaign's."""
    named = next((use.audience for use in campaign.platforms if use.name == platform), None)
    return named or campaign.name


def desire(
    work: Workspace,
    connection: sa.Connection,
    campaign: Campaign,
    as_of: datetime,
    run_id: int,
    *,
    may_add: bool,
    everybody: bool = False,
) -> list[Pending]:
    """Bring the desired membership up to date and say what is to be told; safe to repeat.

    In are people of open episodes who are not held out, whose consent for the platform and a contact are there now,
    for at most audience_max_days. Who lacks the contact only, or shares it with somebody who has to be out, is wanted
    and refused with the reason. `may_add` is False for a paused or held campaign, and between runs: then people
    only leave (A18, I16). Looked at are those of whom something may have changed since the sync before; `everybody`
    when the campaign's rules or the law changed, when nobody can say who changed, and once a week: both give the same.
    """
    queries = work.queries
    found = _audiences(queries, connection, campaign)
    if not found:
        return []
    connection.execute(queries["ledger/plan_memory"]())
    _look(queries, connection, campaign, as_of, run_id, may_add=may_add, everybody=everybody)
    connection.execute(sa.text("analyze people (person_id)"))
    connection.execute(queries["ledger/plan_ids"]())
    connection.execute(sa.text("analyze people_ids"))
    _answer(work, connection, campaign, as_of)
    new, refused = 0, {}
    for platform, audience in found:
        where = {"platform": platform, "audience": audience, "campaign": campaign.name}
        is_named = audience == audience_name(campaign, platform) and platform in _names(campaign)
        connection.execute(queries["ledger/audience_leave"](**where, as_of=as_of, is_named=is_named))
        if is_named:
            refused[platform, audience] = _refuse(queries, connection, where, as_of, may_add=may_add)
        if may_add and is_named:
            connection.execute(queries["ledger/audience_used"](**where))
            new += connection.execute(queries["ledger/audience_join"](**where, as_of=as_of)).scalar_one()
    filling.grown(connection, queries, "campaign.audience_members", new)
    told = {(one.platform, one.audience): one for one in pending(queries, connection, campaign.name)}
    for (platform, audience), why in refused.items():
        if why:
            one = told.get((platform, audience)) or Pending(platform, audience, 0, 0)
            told[platform, audience] = replace(one, refused=why)
    return [told[which] for which in sorted(told)]


def _refuse(
    queries: Queries, connection: sa.Connection, where: Mapping[str, str], as_of: datetime, *, may_add: bool
) -> dict[str, int]:
    """Mark who belongs into an audience and cannot be told; gives why and how many were not marked so before."""
    connection.execute(sa.text("drop table if exists pg_temp.audience_untold"))
    connection.execute(queries["ledger/audience_untold"](**where, may_add=may_add))
    connection.execute(sa.text("analyze audience_untold"))
    marked = connection.execute(queries["ledger/audience_refuse"](**where, as_of=as_of, may_add=may_add))
    return {row.reason: row.people for row in marked}


def _look(
    queries: Queries,
    connection: sa.Connection,
    campaign: Campaign,
    as_of: datetime,
    run_id: int,
    *,
    may_add: bool,
    everybody: bool,
) -> None:
    """Put whoever is to be looked at into the temporary table people, and note how far this look goes."""
    for table in _TEMPORARY:  # planning may have made its own in the same transaction
        connection.execute(sa.text(f"drop table if exists pg_temp.{table}"))
    seen_at = changes.horizon(connection, queries)
    rules = _rules(queries, connection, campaign, as_of)
    asked = queries["ledger/audience_look"](campaign=campaign.name, adds=may_add)
    last = None if everybody else connection.execute(asked).one_or_none()
    changed = None
    if last is not None and _goes_on(last, rules, as_of, seen_at):
        changed = changes.changed_since(connection, queries, changes.STANDING, last.seen_at)
    stay = {"campaign": campaign.name, "as_of": as_of, "max_days": campaign.audience_max_days}
    if last is None or changed is None:
        full_at = as_of
        connection.execute(queries["ledger/audience_everybody"](**stay, members_only=not may_add))
        connection.execute(queries["core/ways_forget"](before=seen_at - NOTES_KEPT))
    else:
        full_at = last.full_at
        looked = queries["ledger/audience_looked_at"](
            **stay, customer_ids=changed, since_run=last.run_id, since=last.since
        )
        connection.execute(looked)
    noted = queries["ledger/audience_look_note"](
        campaign=campaign.name, adds=may_add, rules_sha256=rules, run_id=run_id, as_of=as_of, seen_at=seen_at,
        full_at=full_at, definition=campaign.model_dump(mode="json"),
    )  # fmt: skip
    connection.execute(noted)


def last_definition(queries: Queries, connection: sa.Connection, campaign: str) -> Campaign | None:
    """The campaign as it was when its audiences were looked at last; None where it was not noted, or reads no more."""
    found = connection.execute(queries["ledger/audience_definition"](campaign=campaign)).scalar()
    try:
        return None if found is None else Campaign.model_validate(found)
    except ValidationError:
        return None


def _goes_on(last: sa.Row[Any], rules: str, as_of: datetime, now: datetime) -> bool:
    """Whether what changed since that look is all that can have changed; `now` is the database's clock."""
    is_recent = as_of - last.full_at < FULL_LOOK_EVERY and now - last.seen_at < FULL_LOOK_EVERY
    return last.rules_sha256 == rules and last.as_of <= as_of and is_recent


def _rules(queries: Queries, connection: sa.Connection, campaign: Campaign, as_of: datetime) -> str:
    """Fingerprint of all that decides besides facts about people."""
    bases = sorted({basis for use in campaign.platforms for basis in use.consent})
    law = queries["ledger/audience_rules"](as_of=as_of, purpose=campaign.purpose, bases=bases)
    decides = {"name", "purpose", "platforms", "audience_max_days", "goal", "stop_event"}
    asked = [queries[f"eligibility/{name}"].sql for name in _names(campaign)]
    text = [campaign.model_dump_json(include=decides), str(connection.execute(law).scalar_one()), *asked]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()


def _answer(work: Workspace, connection: sa.Connection, campaign: Campaign, as_of: datetime) -> None:
    """Ask sql/eligibility about the people, platform by platform."""
    queries, names = work.queries, _names(campaign)
    inner_pad, outer_pad = pads(work.settings.suppression_key.get_secret_value())
    connection.execute(queries["ledger/people_consented"](as_of=as_of, purpose=campaign.purpose, channels=names))
    connection.execute(
        queries["ledger/audience_people"](
            campaign=campaign.name,
            as_of=as_of,
            max_days=campaign.audience_max_days,
            goal_event=campaign.goal.event,
            goal_where=campaign.goal.where,
            stop_event=campaign.stop_event.event,
            stop_where=campaign.stop_event.where,
        )
    )
    connection.execute(
        sa.text("analyze consented (person_id, channel), audience_people (person_id, email_canonical, phone_e164)")
    )
    connection.execute(queries["ledger/audience_stops"](as_of=as_of))
    connection.execute(
        queries["ledger/audience_ways"](purpose=campaign.purpose, inner_pad=inner_pad, outer_pad=outer_pad)
    )
    connection.execute(queries["ledger/plan_eligible"]())
    for use in campaign.platforms:
        given: dict[str, Any] = {"bases": list(use.consent)}
        if use.name == "google":
            given |= {"as_of": as_of, "purpose": campaign.purpose}
        answer_into_eligible(queries, connection, use.name, **given)
    connection.execute(sa.text("analyze eligible (person_id, channel)"))


def pending(queries: Queries, connection: sa.Connection, campaign: str) -> list[Pending]:
    """What each audience of a campaign still has to be told."""
    rows = connection.execute(queries["ledger/audience_pending"](campaign=campaign))
    return [Pending(row.platform, row.audience, row.removes, row.adds, row.kept) for row in rows]


def campaigns(queries: Queries, connection: sa.Connection) -> list[str]:
    """Names of all campaigns that have people in audiences, also of those whose folder is gone."""
    return sorted({row.campaign for row in connection.execute(queries["ledger/audience_campaigns"]())})


def abandon(queries: Queries, connection: sa.Connection, campaign: str, as_of: datetime) -> list[Pending]:
    """Everyone leaves the audiences of a campaign that is no more, or over."""
    connection.execute(queries["ledger/audience_abandon"](campaign=campaign, as_of=as_of))
    return pending(queries, connection, campaign)


def page(
    queries: Queries, connection: sa.Connection, campaign: str, audience: Pending, verb: str, after: str, size: int
) -> list[Member]:
    """The next people to `remove` from or `add` to an audience, behind the person `after`."""
    asked = {**_where(audience), "campaign": campaign, "after": after, "page": size}
    if verb == "remove":
        out = connection.execute(queries["ledger/audience_page_out"](**asked))
        return [Member(who, identifiers, is_shared=is_shared) for who, identifiers, is_shared in out]
    return _with_contacts(connection.execute(queries["ledger/audience_page_in"](**asked)))


def told(
    queries: Queries,
    connection: sa.Connection,
    campaign: str,
    audience: Pending,
    verb: str,
    members: Sequence[Member],
    as_of: datetime,
    request_id: int | None = None,
) -> None:
    """Record a page, which is in the order of its people: who is about to be told to come in, or was told to leave."""
    connection.execute(queries["ledger/audience_told"]())
    is_added = verb == "add"
    if is_added:
        lines = [
            orjson.dumps((who, known, contact_sha256, refused)) for who, known, contact_sha256, refused, *_ in members
        ]
    else:
        lines = [orjson.dumps((who, None, None, refused, is_shared)) for who, _, _, refused, is_shared, *_ in members]
    with connection.connection.cursor() as cursor:  # ty: ignore[invalid-context-manager] - psycopg2's has both
        # COPY reads a backslash in its own way before JSON does
        cursor.copy_expert("copy audience_told from stdin", io.BytesIO(b"\n".join(lines).replace(b"\\", rb"\\")))
    if not is_added:
        connection.execute(queries["ledger/audience_again"](**_where(audience), campaign=campaign))
    connection.execute(
        queries[f"ledger/audience_{'out' if verb == 'remove' else 'in'}"](
            **_where(audience), campaign=campaign, as_of=as_of, request_id=request_id,
            first=members[0].customer_id, last=members[-1].customer_id,
        )
    )  # fmt: skip


def known(queries: Queries, connection: sa.Connection, audience: Pending) -> Known | None:
    """What is known of an audience on its platform; None before anything was told."""
    row = connection.execute(queries["ledger/audience_known"](**_where(audience))).one_or_none()
    return Known(row.provider, row.external_id, row.is_doubtful, row.found_at) if row else None


def found(
    queries: Queries,
    connection: sa.Connection,
    audience: Pending,
    provider: str,
    external_id: str,
    as_of: datetime,
    *,
    is_new: bool,
    is_doubtful: bool,
    request_id: int | None,
) -> None:
    """Note what `provider` calls an audience; in a new one is nobody but the people of the request it was made for."""
    asked = queries["ledger/audience_found"](
        **_where(audience),
        provider=provider,
        external_id=external_id,
        as_of=as_of,
        is_new=is_new,
        is_doubtful=is_doubtful,
        request_id=request_id,
    )
    connection.execute(asked)


def begin_deletion(
    queries: Queries, connection: sa.Connection, audience: Pending, provider: str, as_of: datetime, *, smallest: int
) -> None:
    """Note that an audience is about to be deleted at its platform, where ads need so many people at least."""
    asked = queries["ledger/audience_deletion"](**_where(audience), provider=provider, smallest=smallest, as_of=as_of)
    connection.execute(asked)


def keep(queries: Queries, connection: sa.Connection, audience: Pending) -> None:
    """Note that an audience was certainly not deleted."""
    connection.execute(queries["ledger/audience_kept"](**_where(audience)))


def gone(queries: Queries, connection: sa.Connection, audience: Pending, as_of: datetime) -> int:
    """Record that an audience is no more at its platform; gives how many people were in it."""
    return connection.execute(queries["ledger/audience_gone"](**_where(audience), as_of=as_of)).scalar_one()


def deleted(queries: Queries, connection: sa.Connection, audience: Pending, provider: str) -> Deleted | None:
    """What is known of the deletion of an audience that was not made again since."""
    row = connection.execute(queries["ledger/audience_deleted"](**_where(audience), provider=provider)).one_or_none()
    return Deleted(row.is_gone, row.enough, row.wanted) if row else None


def forget(queries: Queries, connection: sa.Connection, audience: Pending, provider: str) -> None:
    """Where somebody else than `provider` was told about an audience so far, everybody is told anew."""
    connection.execute(queries["ledger/audience_forget"](**_where(audience), provider=provider))


def doubt(queries: Queries, connection: sa.Connection, audience: Pending, *, is_doubtful: bool) -> None:
    """Note whether who is in an audience is certain."""
    connection.execute(queries["ledger/audience_doubt"](**_where(audience), is_doubtful=is_doubtful))


def request(
    queries: Queries,
    connection: sa.Connection,
    campaign: str,
    audience: Pending,
    verb: str,
    as_of: datetime,
    *,
    people: int,
    external_id: str | None,
    state: str,
    words: str = "",
) -> int:
    """Note a page that a platform took; gives our own number of it."""
    asked = queries["ledger/audience_request"](
        **_where(audience), campaign=campaign, verb=verb, people=people, as_of=as_of, external_id=external_id,
        state=state, words=words,
    )  # fmt: skip
    return connection.execute(asked).scalar_one()


def waiting(queries: Queries, connection: sa.Connection, audience: Pending, before: datetime) -> list[Request]:
    """Requests whose outcome is not known, and was not asked for since `before`."""
    rows = connection.execute(queries["ledger/audience_waiting"](**_where(audience), before=before))
    return [Request(row.request_id, row.external_id, row.verb, row.told_at) for row in rows]


def answered(queries: Queries, connection: sa.Connection, request_id: int, **answer: Any) -> None:
    """Note what a platform answered to a page of people who were to come in."""
    connection.execute(queries["ledger/audience_answered"](request_id=request_id, **answer))


def lost(queries: Queries, connection: sa.Connection, campaign: str, before: datetime) -> list[tuple[int, Pending]]:
    """Pages of people to come in, told at `before` at the latest, that have no answer: it was lost, or we died."""
    rows = connection.execute(queries["ledger/audience_lost"](campaign=campaign, before=before))
    return [(row.request_id, Pending(row.platform, row.audience, 0, 0)) for row in rows]


def unsure(queries: Queries, connection: sa.Connection, request_id: int, as_of: datetime) -> None:
    """Note that the answer to a page was lost: its people may be in, and who is wanted is told again."""
    connection.execute(queries["ledger/audience_unsure"](request_id=request_id, as_of=as_of))


def settle(queries: Queries, connection: sa.Connection, request_id: int, as_of: datetime, **outcome: Any) -> None:
    """Note what became of a request; who is in one that failed is told again."""
    connection.execute(queries["ledger/audience_settle"](request_id=request_id, as_of=as_of, **outcome))


def is_measured(queries: Queries, connection: sa.Connection, audience: Pending, as_of: datetime) -> bool:
    """Whether the platform has said today how large an audience is."""
    asked = queries["ledger/audience_measured"](**_where(audience), as_of=as_of)
    return connection.execute(asked).scalar_one()


def measure(queries: Queries, connection: sa.Connection, audience: Pending, as_of: datetime, **size: Any) -> None:
    """Note how large a platform says an audience is."""
    connection.execute(queries["ledger/audience_size"](**_where(audience), as_of=as_of, **size))


def trouble(
    queries: Queries, connection: sa.Connection, campaign: str, audience: Pending, as_of: datetime, words: str | None
) -> None:
    """Note what keeps a campaign from telling an audience, in the platform's words; None when nothing does."""
    if words is None:
        connection.execute(queries["ledger/audience_well"](**_where(audience), campaign=campaign))
    else:
        asked = queries["ledger/audience_trouble"](**_where(audience), campaign=campaign, words=words, as_of=as_of)
        connection.execute(asked)


def of_campaign(queries: Queries, connection: sa.Connection, campaign: str) -> list[Pending]:
    """The audiences that a campaign has anybody in, or had; without what is to be told."""
    rows = connection.execute(queries["ledger/audience_of_campaign"](campaign=campaign))
    return [Pending(row.platform, row.audience, 0, 0) for row in rows]


def whole_page(queries: Queries, connection: sa.Connection, audience: Pending, after: str, size: int) -> list[Member]:
    """The next of everybody whom any campaign wants in an audience, behind the person `after`."""
    asked = queries["ledger/audience_whole_page"](**_where(audience), after=after, page=size)
    return _with_contacts(connection.execute(asked))


def mark(
    queries: Queries, connection: sa.Connection, audience: Pending, request_id: int, members: Sequence[Member]
) -> None:
    """Note with whom a request tells the whole audience."""
    rows = [
        {"customer_id": m.customer_id, "identifiers": m.identifiers, "contact_sha256": m.contact_sha256}
        for m in members
    ]
    connection.execute(queries["ledger/audience_mark"](**_where(audience), request_id=request_id, members=rows))


def replaced(
    queries: Queries,
    connection: sa.Connection,
    audience: Pending,
    request_id: int,
    as_of: datetime,
    *,
    people: int,
    external_id: str | None,
    refused: Mapping[str, str],
) -> None:
    """Record that exactly those whom a request told are in an audience; `refused` are customers and why not they."""
    asked = queries["ledger/audience_replaced"](
        **_where(audience), request_id=request_id, people=people, external_id=external_id, refused=dict(refused),
        as_of=as_of,
    )  # fmt: skip
    connection.execute(asked)


def _with_contacts(rows: sa.CursorResult[Any]) -> list[Member]:
    return [
        Member(who, None, contact_sha256, None, False, email, phone, first_name, last_name, country)
        for who, email, phone, first_name, last_name, country, contact_sha256 in rows.all()
    ]


def _where(audience: Pending) -> dict[str, str]:
    return {"platform": audience.platform, "audience": audience.audience}


def _names(campaign: Campaign) -> list[str]:
    return [use.name for use in campaign.platforms]


def _audiences(queries: Queries, connection: sa.Connection, campaign: Campaign) -> list[tuple[str, str]]:
    """The campaign's audiences, and those it once filled and no longer names: people leave those too."""
    now = {(use.name, audience_name(campaign, use.name)) for use in campaign.platforms}
    rows = connection.execute(queries["ledger/audience_campaigns"]())
    filled = {(row.platform, row.audience) for row in rows if row.campaign == campaign.name}
    return sorted({(str(platform), audience) for platform, audience in now | filled})
