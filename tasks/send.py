"""Hand over what is due: claim, commit, call once, record; whatever happens in between, nothing leaves twice."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial

import sqlalchemy as sa

from config.campaign import Campaign
from config.providers import OUTBOX
from config.settings import Mode
from tasks.channels import factory
from tasks.channels.base import Sender
from tasks.channels.handover import Dispatch, Sent, pass_by
from tasks.rules.content import Templates
from tasks.rules.errors import ConfigError, DatabaseError, Misconfigured
from tasks.step import say, show_table, step
from tasks.store import legal, mode, prices, replies
from tasks.store.ledger import Clock, Ledger, Limits
from tasks.store.workspace import Workspace


@step(name="send due messages", tags=("send",))
def due(
    work: Workspace,
    as_of: datetime | None = None,
    campaign: str | None = None,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    senders: Mapping[str, Sender] | None = None,
    watch: Callable[[str], None] = pass_by,
    wall_clock: Callable[[], float] = time.time,
) -> Sent:
    """Dispatch everything that is due, of one campaign or all; safe to run twice, at once, and after any crash.

    Live, the database's clock decides and `as_of` says nothing. In a simulated database every row leaves at its own
    due or not_before moment up to `as_of`, as dispatches in between would have sent it. `watch` is called with the
    name of each point passed: claiming, claimed, calling, answered, recorded. Raises DatabaseError when this
    machine's `wall_clock` (seconds since 1970) and the database's are further apart than `limits` allow, and
    Misconfigured, after everything else was handed over, when a provider does not know us.
    """
    at = mode.clock(work, as_of) if as_of is None else as_of
    stored = work.database.repeated(partial(_up_to_date, work))
    most_skew = limits.most_skew.total_seconds()
    if abs(work.database.now().timestamp() - wall_clock()) > most_skew:
        raise DatabaseError(
            f"this machine's clock and the database's are more than {most_skew:g} s apart: nothing was claimed; put "
            "the clocks right and dispatch again"
        )
    clock = Clock(at if stored == "simulated" else None)
    sent = Sent()
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(_stopping())
        campaigns, templates = _readable(work, campaign, sent)
        providers = factory.providers(work, stored)
        ledger = Ledger(
            work.queries,
            campaigns,
            clock=clock,
            business_zone=str(work.settings.business_zone),
            address_key=work.settings.suppression_key.get_secret_value(),
            providers=providers,
            limits=limits,
        )
        if senders is None:
            senders = _opened(work, providers, stored, limits, sent)
            for sender in senders.values():
                stack.callback(sender.close)
        dispatch = Dispatch(work, ledger, templates, senders, providers, clock, limits, watch, stop, sent)
        sent.most_in_doubt = dispatch.most_in_doubt
        whose = f"dispatch {campaign or 'of all campaigns'}"
        # Before the first claim: who wants to know is who finds a worker that was killed (I3).
        say(f"{whose}: no more than {sent.most_in_doubt:,} can be in doubt when this worker dies")
        dispatch.until_nothing_is_due(campaign)
    say(f"{whose}: {sent.in_words}")
    if pace := dispatch.rates_in_words:
        say(f"called {pace}")
    show_table("dispatch", [{"what": name, "messages": count} for name, count in sorted(sent.counts.items())],
               "What became of the messages that were due")  # fmt: skip
    for problem in sent.problems:
        say(f"left out, its messages stay planned: {problem}")
    if sent.halted:
        raise Misconfigured(
            "; ".join(f"{channel} halted: {reason}" for channel, reason in sorted(sent.halted.items()))
            + ". Nothing was rejected; the messages stay planned until this is put right"
        )
    return sent


def _up_to_date(work: Workspace, connection: sa.Connection) -> Mode:
    """The database's mode, once what bears on every decision is as the configuration and the loads have it."""
    stored = mode.settle(work, connection)
    legal.refresh(work, connection)
    prices.refresh(work, connection)
    replies.judge_loads(
        connection,
        work.queries,
        key=work.settings.suppression_key.get_secret_value(),
        revoke_all=work.settings.pipeline.revoke_all,
    )
    return stored


def _opened(
    work: Workspace, providers: Mapping[str, str], stored: Mode, limits: Limits, sent: Sent
) -> dict[str, Sender]:
    """The client of every provider; the channel of one that cannot be opened halts, the others go on."""
    senders = {}
    for name in (OUTBOX, *sorted(set(providers.values()))):
        try:
            senders[name] = factory.open_sender(work, name, mode=stored, timeout=limits.call_timeout.total_seconds())
        except Misconfigured as wrong:
            sent.halted |= {channel: str(wrong) for channel, provider in providers.items() if provider == name}
    return senders


def _readable(work: Workspace, wanted: str | None, sent: Sent) -> tuple[dict[str, Campaign], dict[str, Templates]]:
    """Campaigns whose folder can be read and whose messages pass the lint; others are left out and told (I21)."""
    folder = work.settings.folder("campaigns")
    names = [wanted] if wanted else sorted(path.parent.name for path in folder.glob("*/campaign.yaml"))
    campaigns, templates = {}, {}
    for name in names:
        try:
            campaign = work.campaign(name)
            templates[name] = work.templates(campaign)
        except ConfigError as error:
            if wanted:
                raise
            sent.problems += error.problems
            continue
        campaigns[name] = campaign
    return campaigns, templates


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Set when the process is asked to end: stop claiming, finish the call, record, leave (R19)."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGTERM, lambda _signal, _frame: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
