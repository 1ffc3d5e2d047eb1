"""Choose: who a campaign is for now, enrolled once per episode with a fixed arm; and which episodes are over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from config.campaign import LONGEST_OFFSET, Campaign
from tasks.rules import assignment
from tasks.rules.contract import DELTA_PARAMS
from tasks.rules.errors import ConfigError, Problem
from tasks.store import changes, planning, runs, segments
from tasks.store.runs import Run

FULL_PASS_EVERY = timedelta(days=7)


@dataclass(frozen=True)
class Standing:
    """Whether a campaign may begin something new now (A20, I21), and in one word why not."""

    is_on: bool
    is_over: bool
    is_held: bool
    why: str


@dataclass(frozen=True)
class Chosen:
    """What a choosing did; counts only."""

    standing: Standing
    full_pass: bool = False
    found: int = 0
    enrolled: dict[str, int] = field(default_factory=dict)  # by arm
    variants: dict[str, int] = field(default_factory=dict)
    reopened: int = 0
    closed: dict[str, int] = field(default_factory=dict)  # by reason
    cancelled: int = 0
    # Enrolled now, and charged for at whatever step: a campaign that writes for free only excludes them.
    outside_free_window: int = 0
    forgotten: int = 0  # not enrolled: the occasion began before what the ledger remembers

    @property
    def new(self) -> int:
        """Everyone enrolled now, held out or not."""
        return sum(self.enrolled.values())

    def counts(self) -> dict[str, Any]:
        """For the run's row and the artifact."""
        return {
            "standing": "held" if self.standing.is_on and self.standing.is_held else self.standing.why,
            "full_pass": self.full_pass,
            "found": self.found,
            "enrolled": self.new,
            "holdout": self.enrolled.get("holdout", 0),
            "variants": self.variants,
            "reopened": self.reopened,
            "closed": self.closed,
            "cancelled": self.cancelled,
            **({"outside_free_window": self.outside_free_window} if self.outside_free_window else {}),
            **({"forgotten": self.forgotten} if self.forgotten else {}),
        }


def standing(run: Run, connection: sa.Connection) -> Standing:
    """Whether the campaign is active at the run's moment: its period in its own zone, pauses, holds."""
    campaign = _campaign(run)
    state = connection.execute(run.work.queries["ledger/campaign_state"](campaign=campaign.name)).one()
    zone = ZoneInfo(campaign.zone(str(run.work.settings.business_zone)))
    today = run.as_of.astimezone(zone).date()
    over = state.is_ended or (campaign.period.end is not None and today > campaign.period.end)
    early = campaign.period.start is not None and today < campaign.period.start
    why = "over" if over else "not started" if early else "paused" if state.is_paused else "active"
    return Standing(why == "active", over, state.is_held, why)


def choose(
    run: Run,
    connection: sa.Connection,
    only: list[str] | None = None,
    arms_of: Campaign | None = None,
    *,
    everybody: bool = False,
) -> Chosen:
    """Stage the segment, close what is over, enrol who is new; all in the caller's transaction.

    Takes the newly chosen since the last complete run and everyone whose facts changed since; everybody
    when the segment or its parameters changed, when it cannot say who is new, and once a week. Both enrol the same
    people. `only` looks at these customers alone and at nobody else. `arms_of` is the campaign whose arms hold, another
    one than the run's where that is played. Episodes with nothing left to decide are asked whether they are over when
    something about their person changed; with `everybody`, in a full pass and after the campaign's file changed, all
    are, and the same ones end. Raises, with nobody enrolled, SqlContractError when the segment breaks its
    promise and ConfigError when an ad to retarget never had a bot (R2).
    """
    queries, campaign = run.work.queries, _campaign(run)
    now = standing(run, connection)
    if now.is_on and campaign.retargeting:
        _refuse_ads_without_bot(run, connection)
    connection.execute(queries["ledger/plan_memory"]())
    connection.execute(queries["ledger/choose_create"]())
    seen = changes.horizon(connection, queries)
    full, found, fingerprint = False, 0, None
    looked_at: list[str] = []
    if now.is_on:
        fingerprint = _fingerprint(run)
        since = None if only else _since(run, connection, fingerprint)
        changed = changes.changed_since(connection, queries, _notes(run), since[1]) if since else None
        if only:
            _stage(run, connection, {}, only)
            looked_at = only
        elif since and changed is not None:
            _stage(run, connection, {str(_delta_param(run)): since[0]}, None)
            _stage(run, connection, {}, changed)
            looked_at = changed
        else:
            full = True
            _stage(run, connection, {}, None)
        connection.execute(sa.text("analyze chosen (customer_id, person_id, episode)"))
        found = connection.execute(sa.select(sa.func.count()).select_from(sa.table("chosen"))).scalar_one()
    connection.execute(queries["ledger/choose_ids"]())
    connection.execute(queries["ledger/choose_looked_at"](customer_ids=looked_at))
    # Temporary tables are never analysed by themselves, and unanalysed ones are joined row by row.
    connection.execute(sa.text("analyze chosen_ids, looked_at"))
    closed = _close(run, connection, now, full_pass=full, everybody=everybody)
    cancelled = connection.execute(queries["ledger/close_sends"](campaign=campaign.name, as_of=run.as_of)).scalar_one()
    noted = queries["ledger/choose_noted"](
        run_id=run.run_id, full_pass=full, segment_sha256=fingerprint, changes_seen_at=seen
    )
    connection.execute(noted)
    if fingerprint is None:
        return Chosen(now, closed=closed, cancelled=cancelled)
    connection.execute(queries["ledger/choose_known"](campaign=campaign.name))
    connection.execute(sa.text("analyze chosen_known (person_id, episode)"))
    reopened = connection.execute(queries["ledger/reopen"](run_id=run.run_id)).scalar_one()
    if campaign.retargeting:
        follows = campaign.retargeting.anchor == "latest_message"
        moved = queries["ledger/choose_anchors"](campaign=campaign.name, as_of=run.as_of, follows_replies=follows)
        connection.execute(moved)
    left_out = queries["ledger/choose_forgotten"](has_conversations=campaign.retargeting is not None)
    forgotten = connection.execute(left_out).scalar_one()
    rows = _enrol(run, connection, fingerprint, arms_of or campaign)
    return Chosen(
        now,
        full_pass=full,
        found=found,
        enrolled=_sums(rows, "arm"),
        variants=_sums(rows, "variant"),
        reopened=reopened,
        closed=closed,
        cancelled=cancelled,
        outside_free_window=_outside(run, connection),
        forgotten=forgotten,
    )


def _refuse_ads_without_bot(run: Run, connection: sa.Connection) -> None:
    """An ad that lost its bot suspends what is due (`no_bot`); one that never had any is a mistake in the file."""
    campaign = _campaign(run)
    never = run.work.queries["core/ads_never_with_bot"](ads=campaign.ads, as_of=run.as_of)
    where = str(run.work.settings.folder("campaigns") / campaign.name / "campaign.yaml")
    problems = [
        Problem(f"{where}: ads", f"ad {ad} never had a bot: link one to it, or take it out of `ads`")
        for ad in connection.execute(never).scalars()
    ]
    if problems:
        raise ConfigError(*problems)


def _outside(run: Run, connection: sa.Connection) -> int:
    """How many of those enrolled now no step can reach: their free window will be over, or never opened (R16)."""
    campaign = _campaign(run)
    if campaign.retargeting is None or campaign.retargeting.after_free_window:
        return 0
    steps = [
        {"variant": variant, "send_after_seconds": step.send_after.total_seconds()}
        for variant in planning.variant_names(campaign)
        for number, step in enumerate(campaign.steps, 1)
        if planning.PRICED in campaign.messages_for(number, variant)
    ]
    asked = run.work.queries["ledger/choose_outside"](
        campaign=campaign.name, run_id=run.run_id, as_of=run.as_of, steps=steps
    )
    return connection.execute(asked).scalar_one() if steps else 0


def _campaign(run: Run) -> Campaign:
    if run.campaign is None:
        raise TypeError("choosing is for one campaign")
    return run.campaign


def _notes(run: Run) -> set[str]:
    return changes.notes_of(segments.relations(run.work.queries[f"segments/{_campaign(run).segment}"]))


def _fingerprint(run: Run) -> str:
    campaign = _campaign(run)
    query = run.work.queries[f"segments/{campaign.segment}"]
    return segments.fingerprint(query, segments.params_of(query, campaign))


def _delta_param(run: Run) -> str | None:
    """The parameter by which the segment answers for who is new only; None: it cannot tell."""
    query = run.work.queries[f"segments/{_campaign(run).segment}"]
    return next((name for name in DELTA_PARAMS if name in query.params), None)


def _since(run: Run, connection: sa.Connection, fingerprint: str) -> tuple[datetime, datetime] | None:
    """From where a delta goes on: who became late after, whose days changed after. None: look at everybody."""
    campaign = _campaign(run)
    delta = _delta_param(run)
    if delta is None or delta in campaign.params:
        return None
    last = connection.execute(run.work.queries["ledger/choose_last"](campaign=campaign.name)).one_or_none()
    if last is None or last.segment_sha256 != fingerprint or last.full_at is None:
        return None
    if run.as_of - last.full_at >= FULL_PASS_EVERY:
        return None
    return last.as_of.astimezone(UTC) - DELTA_PARAMS[delta], last.changes_seen_at


def _stage(run: Run, connection: sa.Connection, extra: dict[str, Any], only: list[str] | None) -> None:
    if only == []:
        return
    campaign = _campaign(run)
    asked = segments.params_of(run.work.queries[f"segments/{campaign.segment}"], campaign) | extra
    segments.stage(run.work, connection, campaign.segment, asked, run.as_of, only=only)
    connection.execute(run.work.queries["ledger/choose_take"]())


def _close(run: Run, connection: sa.Connection, now: Standing, *, full_pass: bool, everybody: bool) -> dict[str, int]:
    """End what is over among the episodes that may be, all of them where nothing says which."""
    campaign, queries = _campaign(run), run.work.queries
    before = None if everybody or full_pass or now.is_over else runs.before(run, connection)
    changed = changes.changed_since(connection, queries, changes.ENDINGS, before.changes_seen_at) if before else None
    connection.execute(queries["ledger/choose_changed"](customer_ids=changed or []))
    connection.execute(sa.text("analyze changed_people"))
    connection.execute(
        queries["ledger/choose_asked"](
            campaign=campaign.name,
            as_of=run.as_of,
            everybody=changed is None,
            since_run=before.run_id if before else None,
        )
    )
    connection.execute(sa.text("analyze asked_ids (customer_id, person_id)"))
    rows = connection.execute(
        queries["ledger/close"](
            campaign=campaign.name,
            as_of=run.as_of,
            goal_event=campaign.goal.event,
            goal_where=campaign.goal.where,
            stop_event=campaign.stop_event.event,
            stop_where=campaign.stop_event.where,
            ended=now.is_over,
            full_pass=full_pass,
        )
    )
    return {row.close_reason: row.closed for row in rows}


def _enrol(run: Run, connection: sa.Connection, fingerprint: str, arms_of: Campaign) -> list[sa.Row[Any]]:
    campaign, salt = _campaign(run), run.work.settings.salt.get_secret_value()
    version = assignment.version(arms_of, salt)
    connection.execute(
        run.work.queries["ledger/choose_experiment"](campaign=campaign.name, version=version, holdout=campaign.holdout)
    )
    rows = connection.execute(
        run.work.queries["ledger/enrol"](
            campaign=campaign.name,
            as_of=run.as_of,
            run_id=run.run_id,
            salt=salt,
            holdout_experiment=assignment.holdout_experiment(arms_of.name),
            variant_experiment=assignment.variant_experiment(arms_of.name),
            holdout=campaign.holdout,
            variants=assignment.variant_bounds(campaign),
            version=version,
            arms_of=arms_of.name,
            segment_sha256=fingerprint,
            config_sha256=run.config_sha256,
            has_conversations=campaign.retargeting is not None,
            silent_since=None if _takes_backlog(campaign) else run.as_of - LONGEST_OFFSET,
        )
    )
    return list(rows)


def _takes_backlog(campaign: Campaign) -> bool:
    return campaign.retargeting is None or campaign.retargeting.backlog


def _sums(rows: list[sa.Row[Any]], name: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in rows:
        key = getattr(row, name)
        sums[key] = sums.get(key, 0) + row.enrolled
    return sums
