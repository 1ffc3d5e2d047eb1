"""`reengage demo`: the main job on a sample shop, end to end, in a simulated database of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
import typer

from config.settings import CHECKOUT, Settings, load_settings
from flows.commands.console import console
from tasks.rules.errors import DatabaseError

if TYPE_CHECKING:
    from prefect import Flow

    from flows.server import Child
    from tasks.sources.sample.shop import Delivered, SampleShop
    from tasks.store.workspace import Workspace

DATABASE = "demo"
# In a smaller shop days go by without an order, and its mapping takes a source that is silent for 36 hours as broken.
FEWEST_CUSTOMERS = 500
SHOP = CHECKOUT / "config" / "examples" / "shop"
# A simulated day, from midnight in the shop's zone: the campaigns run at six, the shop delivers its files at half past
# seven, the first messages may leave at eight. So who bought since the last delivery is planned for and not written to.
# Whatever campaign is due again by then runs on what was delivered.
RUN = timedelta(hours=6)
DELIVERY = timedelta(hours=7, minutes=30)
DAY = timedelta(days=1)
OUR_SCHEMAS = ("raw", "core", "facts", "campaign", "outbox", "evaluation")


def demo(
    customers: Annotated[
        int, typer.Option(min=FEWEST_CUSTOMERS, max=1_000_000, help="How many customers the shop has.")
    ] = 20_000,
    days: Annotated[int, typer.Option(min=1, max=60, help="How many days are played.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another shop.")] = 1,
    *,
    prefect: Annotated[
        bool, typer.Option("--prefect", help="Run every day as Prefect flows; without it each flow runs so once.")
    ] = False,
) -> None:
    """Play the main job on a made-up shop: load, choose, plan, deliver to the outbox, evaluate; then where to look."""
    from flows.commands import summary
    from tasks.sources.sample.shop import SampleShop

    began = time.monotonic()
    console.print(f"[bold]A made-up shop of {customers:,} customers, {days} simulated days[/bold]\n")
    with contextlib.ExitStack() as ending:
        work = open_workspace()
        play = Play(work, SampleShop(work.settings.home / "shop", customers=customers, seed=seed))
        play.make_database()
        play.start_server(ending)
        from flows.story import using

        ending.enter_context(using(work))
        play.write_history()
        play.load_history()
        for day in range(days):
            play.play(day, through_prefect=prefect or day == 0, each_flow_once=not prefect)
        play.look_back(days)
        with stage("stopping the Prefect server") as done:
            ending.close()
            done("it keeps the runs, `reengage up` shows them")
        summary.show(work, play.ends_at(days), hours=max(days - 1, 1) * 24, seconds=time.monotonic() - began)


def open_workspace(database: str = DATABASE, **given: Any) -> Workspace:
    """The workspace of the sample shop, in a simulated database of its own whatever else the environment names."""
    from tasks.store.workspace import Workspace

    around = load_settings(config=SHOP, **given)
    own: dict[str, Any] = {
        **given,
        "config": SHOP,
        "database": database,
        "mode": "simulated",
        "time_zone": around.pipeline.time_zone,
        "analyst_url": None,
        "dashboard_url": None,
    }
    if around.database_url:
        url = sa.make_url(around.database_url.get_secret_value()).set(database=database)
        own["database_url"] = url.render_as_string(hide_password=False)
    return Workspace(Settings(**own))


class Play:
    """One performance: the shop writes files, the flows run on them, and the shop reacts to what was sent."""

    def __init__(self, work: Workspace, shop: SampleShop, *, port: int = 0) -> None:
        """`port` is that of a Prefect server which this process talks to already; without one no flow run is made."""
        from tasks.sources.sample.scenery import OPENS_AT

        self.work = work
        self.shop = shop
        self._opens_at = OPENS_AT
        self._written_until = OPENS_AT
        self._server: Child | None = None
        self._port = port

    def ends_at(self, days: int) -> datetime:
        """The moment at which the last day is looked back on."""
        return self._opens_at + days * DAY + RUN

    def make_database(self) -> None:
        """A fresh simulated database; only a demo's own is ever dropped: a demo must not cost anyone their data."""
        from tasks.store import mode
        from tasks.store.migrate import migrate

        database = self.work.database
        with stage("a fresh database") as done:
            database.create_if_missing()
            with database.transaction() as connection:
                inspector = sa.inspect(connection)
                schemas = set(inspector.get_schema_names()) - {"information_schema"}
                is_ours = schemas <= {"public", *OUR_SCHEMAS} and not inspector.get_table_names("public")
                if is_ours and "campaign" in schemas:
                    is_ours = connection.execute(self.work.queries["ledger/mode"]()).one().mode == "simulated"
            if not is_ours:
                raise DatabaseError(f"database {database.name} is not a demo's; drop or rename it first")
            database.drop()
            database.create_if_missing()
            migrate(database, business_zone=str(self.work.settings.business_zone))
            with database.transaction() as connection:
                mode.settle(self.work, connection)
            done(f"`{database.name}`, simulated")

    def start_server(self, ending: contextlib.ExitStack) -> None:
        """Start the Prefect server behind our back; its address must be in the environment before Prefect is read."""
        from flows import server

        self._port = server.free_port()
        os.environ.update(server.environment(self.work.settings, self._port))
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "ERROR"
        database = server.prefect_database(self.work.database)
        self._server = server.start_prefect(self.work.settings, database, self._port)
        ending.callback(self._server.stop)

    def write_history(self) -> None:
        """Write the files of the two years before."""
        os.environ["REENGAGE_SHOP"] = str(self.shop.folder.resolve())
        with stage("writing two years of the shop's files") as done:
            shutil.rmtree(self.shop.folder, ignore_errors=True)
            done(f"{sum(self.shop.write_history().values()):,} lines in {shown(self.shop.folder)}")

    def load_history(self) -> None:
        """Load what was written so far."""
        with stage("loading them: land, check, merge") as done:
            from flows.ingest import ingest

            done(self._tell(ingest, through_prefect=False, as_of=self._opens_at))

    def play(self, day: int, *, through_prefect: bool, each_flow_once: bool = False) -> None:
        """One simulated day: the campaigns' run, the shop's delivery, and whatever is due until midnight.

        `each_flow_once` leaves the runs after the delivery to this process: every flow has run through Prefect by then.
        """
        from flows import dispatch, evaluate, ingest

        midnight = self._opens_at + day * DAY
        title = midnight.astimezone(self.work.settings.business_zone).strftime("%A %-d %B")
        if through_prefect and self._port:
            self._await_server()
        with stage(title) as done:
            at, before = midnight + RUN, len(self._delivered())
            counts = self._run_due(at, through_prefect=through_prefect)
            self._write_files(midnight + DELIVERY)
            self._tell(ingest.ingest, through_prefect=through_prefect, as_of=midnight + DELIVERY)
            counts += self._run_due(midnight + DELIVERY, through_prefect=through_prefect and not each_flow_once)
            self._tell(dispatch.dispatch, through_prefect=through_prefect, as_of=midnight + DAY)
            if through_prefect:
                self._tell(evaluate.evaluate, through_prefect=True, as_of=midnight + DAY)
            late = sum(count["choose"]["enrolled"] for count in counts)
            by_prefect = "each flow once" if each_flow_once else "every flow run"
            done(
                f"newly enrolled {late:,}, messages delivered {len(self._delivered()) - before:,}"
                + (f", {by_prefect} through Prefect" if through_prefect and self._port else "")
            )

    def look_back(self, days: int) -> None:
        """Load what came in at last, and evaluate."""
        from flows.evaluate import evaluate
        from flows.ingest import ingest

        at = self.ends_at(days)
        with stage("looking back: who came back, treated against held out") as done:
            self._write_files(at)
            self._tell(ingest, through_prefect=False, as_of=at)
            self._tell(evaluate, through_prefect=False, as_of=at)
            done("evaluation tables rebuilt")

    def _await_server(self) -> None:
        from flows import deployments, reengage, server

        address = f"http://{server.LOOPBACK}:{self._port}"
        if self._server and not server.answers(f"{address}/api/health"):
            with stage("waiting for the Prefect server") as done:
                self._server.wait_for(f"{address}/api/health")
                done(address)
        deployments.register_one(reengage.reengage)

    def _write_files(self, until: datetime) -> None:
        delivered = self._delivered()
        self.shop.write_day(self._written_until, until, delivered)
        self.shop.write_talks(self._written_until, until, delivered)
        self._written_until = until

    def _run_due(self, at: datetime, *, through_prefect: bool) -> list[dict[str, Any]]:
        from flows.reengage import reengage
        from flows.tick import tick
        from tasks import start

        if through_prefect and self._port:
            return self._carry_out(self._tell(tick, through_prefect=True, as_of=at))
        return [reengage.fn(name, as_of=at) for name in start.due(self.work, at).slots]

    def _delivered(self) -> list[Delivered]:
        from tasks.sources.sample.shop import Delivered

        with self.work.database.transaction() as connection:
            rows = connection.execute(self.work.queries["ledger/outbox_delivered"]()).all()
        return [Delivered(row.channel, row.address, row.at) for row in rows]

    def _tell(self, story: Flow[..., Any], *, through_prefect: bool, **given: Any) -> Any:
        return story(**given) if through_prefect and self._port else story.fn(**given)

    def _carry_out(self, flow_run_ids: list[str]) -> list[dict[str, Any]]:
        """Carry out the runs that the tick asked for in this process, as a worker would in one of its own."""
        from flows import deployments, reengage

        return [deployments.carry_out(reengage.reengage, flow_run_id) for flow_run_id in flow_run_ids]


def shown(path: Path) -> str:
    """A path as short as it can be said."""
    resolved = path.resolve()
    return str(resolved.relative_to(CHECKOUT) if resolved.is_relative_to(CHECKOUT) else resolved)


@contextlib.contextmanager
def stage(title: str) -> Iterator[Any]:
    """Show what is being done, then what came of it and how long it took."""
    began, said = time.monotonic(), []
    with console.status(f"{title} ..."):
        yield said.append
    words = f": {said[0]}" if said else ""
    console.print(f"  [green]✓[/green] {title}{words}  [dim]{time.monotonic() - began:.1f} s[/dim]", soft_wrap=True)
