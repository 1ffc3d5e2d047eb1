"""Random crashes and faults, many of them, each with a judge: `python -m tests.send.trials --trials 1000 --seed 7`.

A trial is a handful of people, one or two workers, providers that misbehave by chance, and something that happens to
each worker: it is killed at a named point, at any moment, or by the time the provider has its message; stopped until
its lease is over; asked to end; or left in peace. Then everything is well again: reports come for some of what is in
doubt, a person looks into some more, and the work is started twice. The honest count of the providers judges the
ledger.

The first trials of any seed are planned: one for each point at which a worker is killed or stopped, and some in which
each way of misbehaving is the first answer that somebody gets. So even a sample leaves nothing out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NoReturn

import sqlalchemy as sa
from pydantic import SecretStr

from config.settings import Settings
from tasks import reconcile, send
from tasks.rules.errors import Misconfigured
from tasks.store import embedded
from tasks.store.engine import Database
from tasks.store.ledger import Clock, Ledger, Limits
from tasks.store.migrate import migrate
from tasks.store.workspace import Workspace
from tests.channels import mail_send
from tests.channels.loopback import Loopback, Mode, Request
from tests.send import live
from tests.send.conftest import empty
from tests.send.live import CHANNELS, EMAIL, WHATSAPP
from tests.send.stage import Stage, write_campaign

POINTS: Final = ("claiming", "claimed", "calling", "answered", "recorded")
AT_PROVIDER: Final = "in the provider's hands"
ANY_MOMENT: Final = "any moment"
KILLED: Final = -signal.SIGKILL
FAULTS: Final = tuple(mode for mode in Mode if mode is not Mode.ACCEPT)
EARLY: Final = "early or repeated report"
COSTLY: Final = (Mode.HANG, Mode.SLOW)  # of a second or so, thus rarer
# What is imported at its first use, so that no worker has to.
WARM: Final = (
    "email_validator", "httpx", "phonenumbers", "sendgrid", "tasks.channels.email_sendgrid",
    "tasks.channels.whatsapp_cloud", "tasks.channels.direct",
)  # fmt: skip
LONGEST: Final = 90.0  # seconds until a worker counts as stuck

# A lease of moments for workers who will not live long, and a usual one for those who clear up.
SHORT: Final = {
    "lease": timedelta(seconds=3.4), "call_timeout": timedelta(seconds=0.5), "most_skew": timedelta(seconds=1),
}  # fmt: skip
CALM: Final = Limits(lease=timedelta(seconds=130), call_timeout=timedelta(seconds=8))
CERTAIN: Final = {"busy", "returned", "not_started", "misconfigured", "refused"}
FINAL: Final = {"accepted", "rejected", "unknown"}


@dataclass(frozen=True)
class Fate:
    """What happens to a worker: `kind` is killed, stopped, asked (to end) or none, at a point or after seconds."""

    kind: str
    point: str | None = None
    on_pass: int = 1
    share: float = 0.0  # of a usual run, until it happens

    @property
    def name(self) -> str:
        """How the report calls it."""
        return f"{self.kind} at {self.point}" if self.point else self.kind


@dataclass(frozen=True)
class Planned:
    """A trial that nothing is left to chance in: one worker's fate, and the first answer of providers by channel."""

    fate: Fate
    first: Mapping[str, Mode] = field(default_factory=dict)


SOON: Final = 0.1  # of a usual run: a worker has begun and is not done
PLAN: Final = (
    *(Planned(Fate("killed", point, share=SOON)) for point in (*POINTS, AT_PROVIDER, ANY_MOMENT)),
    *(Planned(Fate("stopped", point)) for point in POINTS),
    *(
        Planned(Fate("left in peace"), dict(zip(CHANNELS, FAULTS[start:], strict=False)))
        for start in range(0, len(FAULTS), len(CHANNELS))
    ),
)


@dataclass(frozen=True)
class Orders:
    """What a worker is told: its limits, and where it dies or stops by itself."""

    limits: Limits
    crash_at: str | None = None
    stop_at: str | None = None
    on_pass: int = 1


# --- the process that all workers are forked from: everything is read, and there are no threads


def nursery(orders: Connection, settings: Settings) -> None:
    """Fork a worker for each order; answer what became of one when asked."""
    logging.disable(logging.WARNING)
    work = Workspace(settings)
    work.queries.verify()
    work.templates(work.campaign("back"))
    assert work.settings.pipeline.providers
    for module in WARM:
        importlib.import_module(module)
    while True:
        try:
            asked, given = orders.recv()
        except EOFError:
            return
        if asked == "start":
            pid = os.fork()
            if pid == 0:
                _work(work, given)
            orders.send(pid)
        else:
            orders.send(_end_of(*given))


def _end_of(pid: int, until_stopped: bool) -> int | None:
    """How a worker ended (exit code, or minus the signal); None when it has stopped."""
    ends_at = time.monotonic() + LONGEST
    while time.monotonic() < ends_at:
        found, status = os.waitpid(pid, os.WNOHANG | (os.WUNTRACED if until_stopped else 0))
        if found:
            return None if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 99


def _work(work: Workspace, orders: Orders) -> NoReturn:
    """A worker's life: settle, dispatch, as the flow does."""
    passes: Counter[str] = Counter()
    lock = threading.Lock()

    def watch(point: str) -> None:
        with lock:
            passes[point] += 1
            if passes[point] != orders.on_pass:
                return
        if point == orders.crash_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if point == orders.stop_at:
            os.kill(os.getpid(), signal.SIGSTOP)

    code = 0
    try:
        reconcile.doubts(work, limits=orders.limits)
        send.due(work, limits=orders.limits, watch=watch)
    except Misconfigured:
        code = 3
    except BaseException:  # noqa: BLE001 - the judge wants to know
        traceback.print_exc()
        code = 4
    os._exit(code)


# --- the trials


@dataclass
class Providers:
    """Both providers with their chances of misbehaving, and whom they may kill."""

    email: Loopback
    whatsapp: Loopback
    stage: Stage
    trial: int = 0
    seed: str = ""
    fault_rate: float = 0.0
    report_rate: float = 0.0
    first: dict[str, Mode] = field(default_factory=dict)  # what a channel's next request meets, whatever the chances
    kill_on: int = 0  # the how manieth request kills who sent it
    victims: list[int] = field(default_factory=list)
    treated: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    is_healthy: bool = True
    has_killed: bool = False
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, trial: int, seed: str, chance: random.Random, planned: Planned | None) -> None:
        """Forget the last trial, choose how bad this one is, unless that is planned."""
        for one in (self.email, self.whatsapp):
            one.released.set()
            one.released = threading.Event()
            one.accepted, one.requests = [], []
        self.trial, self.seed = trial, seed
        self.fault_rate = 0 if planned else chance.choice((0, 0.15, 0.4, 0.9))
        self.first = dict(planned.first) if planned else {}
        self.report_rate = chance.choice((0, 0, 0.3))
        self.kill_on, self.has_killed, self.victims, self.is_healthy = 0, False, [], False
        self.asked.clear()

    def conduct(self, request: Request) -> Mode:
        """By chance, but the same for the same person's n-th request in the same trial."""
        who = recipients(request)[0]
        with self.lock:
            if self.is_healthy or not mine(request, self.trial):
                return Mode.ACCEPT
            self.asked[who] += 1
            number, requests = self.asked[who], sum(self.asked.values())
            planned = self.first.pop(EMAIL if "@" in who else WHATSAPP, None)
            kill = requests == self.kill_on and self.victims
            if kill:
                self.has_killed = True
                for pid in self.victims:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        chance = random.Random(f"{self.seed} {who} {number}")
        mode = planned or Mode.ACCEPT
        if chance.random() < self.fault_rate:
            mode = chance.choice(FAULTS)
            if mode in COSTLY and chance.random() < 0.7:
                mode = Mode.DROP_AFTER
        with self.lock:
            self.treated[mode] += 1
        return mode

    def report_early(self, request: Request, provider: Loopback, channel: str) -> None:
        """Send webhooks about what was just taken, once or twice, before the answer."""
        if self.is_healthy or not mine(request, self.trial):
            return
        chance = random.Random(f"{self.seed} report {recipients(request)[0]}")
        for attempt in provider.keys(request):
            for _ in range(chance.choice((1, 2)) if chance.random() < self.report_rate else 0):
                try:
                    live.hear(self.stage, attempt, channel=channel, address=recipients(request)[0])
                except sa.exc.SQLAlchemyError as error:  # a receiver that fails is no part of these trials
                    self.problems.append(f"an early report failed: {error}")
                with self.lock:
                    self.treated[EARLY] += 1

    @contextlib.contextmanager
    def running(self) -> Iterator[Providers]:
        """Serve until the block ends."""
        for provider, channel in ((self.email, EMAIL), (self.whatsapp, WHATSAPP)):
            provider.conduct = self.conduct
            provider.judge = lambda _: None  # what requests look like is judged elsewhere
            say = provider.yes
            provider.yes = lambda request, say=say, one=provider, channel=channel: (
                self.report_early(request, one, channel), say(request)
            )[1]  # fmt: skip
        with self.email.running(), self.whatsapp.running():
            yield self

    def requests(self) -> list[str]:
        """Attempt ids in the order they were asked for, taken or not; one that stands twice was asked twice."""
        return [key for one in (self.email, self.whatsapp) for request in one.requests
                if mine(request, self.trial) for key in one.keys(request)]  # fmt: skip

    def accepted(self) -> list[str]:
        """Attempt ids that were taken."""
        return [taken.key for one in (self.email, self.whatsapp) for taken in one.accepted
                if mine(taken.request, self.trial)]  # fmt: skip


def recipients(request: Request) -> list[str]:
    """To whom a request goes."""
    body = request.json
    if "personalizations" in body:
        return [one["to"][0]["email"] for one in body["personalizations"]]
    return [body["to"]]


def mine(request: Request, trial: int) -> bool:
    """Whether a request is of this trial, and no straggler of an earlier one's dead worker."""
    first = recipients(request)[0]
    return first.startswith(f"t{trial}x" if "@" in first else f"4930{trial % 10_000:04}")


@dataclass
class Trials:
    """Plays trials on one database, and keeps the score."""

    stage: Stage
    providers: Providers
    line: Connection
    hits: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    played: int = 0
    usual: float = 0.5  # seconds of a run that nothing happens to

    def play(self, seed: int, number: int) -> None:
        """One trial from its seed."""
        name = f"{seed}/{number}"
        chance = random.Random(name)
        self.played += 1
        empty(self.stage.work.database)
        planned = PLAN[number] if number < len(PLAN) else None
        self.providers.begin(number, name, chance, planned)
        people = self._people(number, chance)
        limits = Limits(batch=chance.choice((1, 2, 3, 5, 8, None)), **SHORT)
        fates = [planned.fate] if planned else [self._fate(chance) for _ in range(chance.choice((1, 1, 2)))]
        said = f"trial {name}: {people} people, {limits.batch} at once, {'; '.join(fate.name for fate in fates)}"
        try:
            self._happen(fates, limits, chance)
            self._bound_of_doubt(said, limits, len(fates))
            self._recover(chance)
        except Exception:  # noqa: BLE001 - told with its seed, and the others are played
            self.failures.append(f"{said}\n{traceback.format_exc()}")
            return
        self.failures += [f"{said}: {problem}" for problem in (*self._problems(), *self.providers.problems)]
        self.providers.problems.clear()

    # --- what happens

    def _people(self, trial: int, chance: random.Random) -> int:
        number = chance.randint(5, 40)
        both = chance.choice((0, 0.5, 1))
        given = [
            {"id": f"t{trial}x{n}", "phone": f"+4930{trial % 10_000:04}{n:04}",
             "channels": list(CHANNELS) if chance.random() < both else [channel], "channel": channel}
            for n in range(number) for channel in [chance.choice((EMAIL, EMAIL, WHATSAPP)) if n > 1 else CHANNELS[n]]
        ]  # fmt: skip
        live.crowd(self.stage, given)
        return number

    def _fate(self, chance: random.Random) -> Fate:
        kind = chance.choice(("killed",) * 5 + ("stopped", "asked to end", "left in peace"))
        if kind == "killed":
            point = chance.choice((*POINTS, AT_PROVIDER, ANY_MOMENT, ANY_MOMENT))
            return Fate(kind, point, chance.choice((1, 1, 2, 3, 5)), chance.uniform(0, 1.1))
        if kind == "stopped":
            return Fate(kind, chance.choice(POINTS), chance.choice((1, 1, 2)))
        return Fate(kind, share=chance.uniform(0, 1.0))

    def _happen(self, fates: Sequence[Fate], limits: Limits, chance: random.Random) -> None:
        begun = time.monotonic()
        started = [(self._start(self._orders(fate, limits)), fate) for fate in fates]
        alive = {pid for pid, _ in started}
        try:
            for pid, fate in started:
                if fate.point == AT_PROVIDER:
                    self.providers.victims.append(pid)
                    self.providers.kill_on = fate.on_pass
            for pid, fate in sorted(started, key=lambda one: one[1].share):
                if fate.point == ANY_MOMENT or fate.kind == "asked to end":
                    time.sleep(max(0.0, begun + self.usual * fate.share - time.monotonic()))
                    os.kill(pid, signal.SIGKILL if fate.kind == "killed" else signal.SIGTERM)
            for pid, fate in started:
                code = self._wait(pid, until_stopped=fate.kind == "stopped")
                if code is None:
                    self.hits[fate.name] += 1
                    self._while_stopped(limits, chance)
                    os.kill(pid, signal.SIGCONT)
                    code = self._wait(pid)
                alive.discard(pid)
                self._count(fate, code)
                if fate.kind == "left in peace" and len(fates) == 1:
                    self.usual = 0.8 * self.usual + 0.2 * (time.monotonic() - begun)
        finally:
            for pid in alive:
                os.kill(pid, signal.SIGKILL)
                self._wait(pid)

    @staticmethod
    def _orders(fate: Fate, limits: Limits) -> Orders:
        return Orders(
            limits,
            crash_at=fate.point if fate.kind == "killed" and fate.point in POINTS else None,
            stop_at=fate.point if fate.kind == "stopped" else None,
            on_pass=fate.on_pass,
        )

    def _while_stopped(self, limits: Limits, chance: random.Random) -> None:
        """The leases of a stopped worker end, and another one comes along."""
        if chance.random() < 0.3:
            time.sleep(SHORT["lease"].total_seconds() + 0.1)  # its own clock sees it too
        else:
            self._end_leases()
        self._finish(Orders(limits), allowed=(0, 3))

    def _count(self, fate: Fate, code: int | None) -> None:
        if code not in (0, 3, KILLED) and not (fate.kind == "asked to end" and code == -signal.SIGTERM):
            message = f"a worker ({fate.name}) ended with {code}"
            raise RuntimeError(message)
        is_hit = code == KILLED if fate.kind == "killed" else fate.kind != "stopped"
        if is_hit:
            self.hits[fate.name] += 1

    def _recover(self, chance: random.Random) -> None:
        """Time passes, some reports come, somebody looks into a few doubts, and the work is started twice."""
        self.providers.is_healthy = True
        all_waits_are_over = chance.random() < 0.5
        self._pass_time(all_of_it=all_waits_are_over)
        self._finish(Orders(CALM))
        self._learn(chance)
        self._pass_time(all_of_it=all_waits_are_over)
        self._finish(Orders(CALM))

    def _learn(self, chance: random.Random) -> None:
        taken = set(self.providers.accepted())
        doubts = self.stage.rows(
            "select sends.send_key, attempts.attempt_id, attempts.channel from campaign.sends"
            " join campaign.attempts using (send_key, attempt_no) where state = 'unknown'"
        )
        for row in doubts:
            attempt = str(row["attempt_id"])
            if chance.random() < 0.5:
                continue
            if attempt in taken and chance.random() < 0.8:
                live.hear(self.stage, attempt, channel=row["channel"])
            else:
                with self.stage.work.database.transaction() as connection:
                    self._ledger().resolve(connection, row["send_key"], was_accepted=attempt in taken)

    def _ledger(self) -> Ledger:
        work = self.stage.work
        key = work.settings.suppression_key.get_secret_value()
        return Ledger(
            work.queries, {}, clock=Clock(None), business_zone="UTC", address_key=key, providers={}, limits=CALM
        )

    def _pass_time(self, *, all_of_it: bool) -> None:
        """Leases, rests and waits are over; waits that the provider asked for only when `all_of_it` passes."""
        self.stage.run_sql("update campaign.rests set rests_until = clock_timestamp() - interval '1 s'")
        self.stage.run_sql(
            "update campaign.sends set lease_until = least(lease_until, clock_timestamp() - interval '1 h'),"
            " not_before = case when :all or not exists (select from campaign.attempts where attempts.send_key ="
            " sends.send_key and attempts.attempt_no = sends.attempt_no and retry_after is not null)"
            " then least(not_before, clock_timestamp() - interval '1 s') else not_before end"
            " where state in ('in_flight', 'unknown', 'retry_wait')",
            all=all_of_it,
        )

    def _end_leases(self) -> None:
        """Of every row that no stopped worker has locked."""
        self.stage.run_sql(
            "update campaign.sends set lease_until = clock_timestamp() - interval '1 s' where send_key in (select"
            " send_key from campaign.sends where state = 'in_flight' for update skip locked)"
        )

    def _start(self, orders: Orders) -> int:
        self.line.send(("start", orders))
        return self.line.recv()

    def _wait(self, pid: int, *, until_stopped: bool = False) -> int | None:
        """How a worker ended (exit code, or minus the signal); None when it has stopped."""
        self.line.send(("wait", (pid, until_stopped)))
        return self.line.recv()

    def _finish(self, orders: Orders, allowed: Sequence[int] = (0,)) -> None:
        code = self._wait(self._start(orders))
        if code not in allowed:
            message = f"a worker that nothing happened to ended with {code}"
            raise RuntimeError(message)

    # --- the judge

    def _bound_of_doubt(self, said: str, limits: Limits, workers: int) -> None:
        """What dead workers left in flight is no more than they may have in doubt (I3)."""
        if limits.batch is None:
            return
        lanes = 2 * len(CHANNELS)  # at two calls at a time
        left = self.stage.one("select count(*) from campaign.sends where state = 'in_flight'")
        if left > lanes * limits.batch * workers:
            self.failures.append(f"{said}: {left} in doubt at once")

    def _problems(self) -> Iterator[str]:
        rows = self.stage.rows(
            "select send_key, state, reason, not_before > clock_timestamp() as waits, attempts.tries,"
            " attempts.outcomes, attempts.was_asked from campaign.sends left join lateral (select"
            " array_agg(cast(attempt_id as text)) as tries, array_agg(coalesce(outcome, 'open')) as outcomes,"
            " bool_or(retry_after is not null) as was_asked from campaign.attempts"
            " where attempts.send_key = sends.send_key) as attempts on true"
        )
        taken, asked = Counter(self.providers.accepted()), Counter(self.providers.requests())
        of_key = {attempt: row["send_key"] for row in rows for attempt in row["tries"] or ()}
        if strangers := asked.keys() - of_key.keys():
            yield f"{len(strangers)} requests whose intent was not committed"
        if max(asked.values(), default=0) > 1:
            yield "an attempt left in two requests"
        sent = Counter(of_key[attempt] for attempt in taken.elements() if attempt in of_key)
        for row in rows:
            key, state = row["send_key"], row["state"]
            self.ends[state] += 1
            told = f"{key[:8]} {state}({row['reason']}) after {row['outcomes']}"
            if sent[key] > 1:
                yield f"accepted {sent[key]} times: {told}"
            if state in ("planned", "retry_wait") and row["waits"] and row["was_asked"]:
                if sent[key]:
                    yield f"accepted, and is to be sent again: {told}"
                continue
            if state not in FINAL:
                yield f"neither final nor in doubt: {told}"
            elif state == "accepted" and sent[key] != 1:
                yield f"nobody accepted it: {told}"
            elif state == "rejected" and sent[key]:
                yield f"accepted all the same: {told}"
            elif state == "unknown" and not set(row["outcomes"]) - CERTAIN:
                yield f"was certainly not sent, and is in doubt: {told}"
        shown = self.stage.one("select count(*) from campaign.voucher_events")
        if shown != sum(row["state"] == "accepted" for row in rows):
            yield f"{shown} codes shown"
        if not self.stage.decisions_follow_the_ledger():
            yield "decisions do not follow the ledger"

    # --- the report

    def missing(self) -> list[str]:
        """Points and ways of misbehaving that no trial hit."""
        wanted = [f"killed at {point}" for point in (*POINTS, AT_PROVIDER, ANY_MOMENT)]
        wanted += [f"stopped at {point}" for point in POINTS]
        counted = self.hits + Counter({str(mode): count for mode, count in self.providers.treated.items()})
        return [name for name in (*wanted, *map(str, Mode), EARLY) if not counted[name]]

    def report(self) -> str:
        """How often everything happened, and how messages ended."""

        def table(title: str, counts: Mapping[Any, int]) -> list[str]:
            return [f"\n{title}", *(f"  {count:7,}  {name}" for name, count in sorted(counts.items(), key=str))]

        lines = [f"{self.played:,} trials, {sum(self.ends.values()):,} messages, {len(self.failures)} failures"]
        lines += table("what happened to workers", self.hits)
        lines += table("what providers did", {str(mode): n for mode, n in self.providers.treated.items()})
        lines += table("how messages ended", self.ends)
        if self.missing():
            lines.append(f"\nnever hit: {', '.join(self.missing())}")
        return "\n".join([*lines, *(f"\nFAILED {failure}" for failure in self.failures)])


@contextlib.contextmanager
def ready(database: Database, folder: Path) -> Iterator[Trials]:
    """Everything trials need on a migrated database: providers, configuration, and the process workers come from."""
    write_campaign(folder, **live.CAMPAIGN, pause_when={"errors": 1, "at_least": 100_000})
    sendgrid, meta = live.sendgrid(), live.meta()
    live.configure(folder, {EMAIL: sendgrid.url, WHATSAPP: meta.url}, calls_in_flight=2)
    settings = Settings(
        config=folder,
        home=database.home,
        database_url=SecretStr(database.url.render_as_string(hide_password=False)),
        mode="live",
        time_zone="UTC",
        sendgrid_api_key=SecretStr(mail_send.KEY),
        whatsapp_token=SecretStr(live.TOKEN),
        _env_file=None,
    )
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=nursery, args=(theirs, settings), daemon=True)
    process.start()
    theirs.close()
    work = Workspace(settings)
    stage = Stage(work, folder)
    try:
        with Providers(sendgrid, meta, stage).running() as providers:
            yield Trials(stage, providers, ours)
    finally:
        ours.close()
        process.join(10)
        if process.is_alive():
            process.kill()
        work.close()


def main() -> int:
    """Play trials on a server of its own; exits 1 when one failed or a point was never hit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="play this one trial of the seed")
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    home = Path(tempfile.mkdtemp(prefix="reengage-trials-"))
    home.chmod(0o755)
    began = time.monotonic()
    try:
        server = embedded.start(home, Path(os.environ["REENGAGE_PG_BIN"]) if "REENGAGE_PG_BIN" in os.environ else None)
        database = Database(server.url("trials"), home)
        database.create_if_missing()
        with database.alone() as connection:  # nothing of this server is kept, so it need not wait for the disk
            connection.exec_driver_sql("alter system set fsync = off")
            connection.exec_driver_sql("select pg_reload_conf()")
        migrate(database, business_zone="UTC")
        with ready(database, home / "config") as trials:
            numbers = [asked.only] if asked.only is not None else range(asked.trials)
            for number, left in zip(numbers, itertools.count(1), strict=False):
                trials.play(asked.seed, number)
                if left % 50 == 0:
                    since = time.monotonic() - began
                    print(
                        f"{left:,} played, {len(trials.failures)} failures, {since:.0f} s", file=sys.stderr, flush=True
                    )
            print(trials.report())
            print(f"\n{time.monotonic() - began:.0f} s")
            return 1 if trials.failures or (asked.only is None and trials.missing()) else 0
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
