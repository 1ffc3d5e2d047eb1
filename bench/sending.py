"""Delivery: from the ledger to a provider on loopback, claims and records included.

`python -m bench.sending FOLDER DATABASE URL` dispatches everything that is due, in a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from bench.place import MEGABYTE, Place, open_workspace, process, statement
from bench.report import Figure
from config.settings import CHECKOUT
from tasks.store import legal
from tasks.store.workspace import Workspace

ROUNDS = 3
FEW, MANY = 10_000, 200_000
SLOW = 0.05  # seconds a slow provider takes to answer

CAMPAIGN = """\
segment: lapsing_customers
channels: [email, whatsapp]
steps:
  - send_after: 9h
    messages:
      email: {subject: "{{ voucher.percent }} % for you", file: email.html}
      whatsapp: {file: whatsapp.txt, template: {name: come_back, language: en, parameters: {"1": "{{ voucher.code }}"}}}
quiet_hours: {start: "21:00", end: "08:00"}
caps: [{messages: 3, per: 7d}]
voucher: {code: COMEBACK10, percent: 10, valid_days: 14}
"""
PIPELINE = """\
mode: live
providers:
  - {{provider: email_sendgrid, endpoint: "{url}"}}
  - {{provider: whatsapp_cloud, endpoint: "{url}", phone_number_id: "1", rate: 100000}}
"""
PROVIDERS = {"email": "email_sendgrid", "whatsapp": "whatsapp_cloud"}


def sending(place: Place) -> list[Figure]:
    """Rates of a batch channel and a single-message channel, memory, and what a second process adds."""
    with provider(0) as url:
        email = [_run(place, url, "email", 2 * FEW) for _ in range(ROUNDS)]
        single = [_run(place, url, "whatsapp", FEW // 2) for _ in range(ROUNDS)]
        few, many = _run(place, url, "email", FEW), _run(place, url, "email", MANY)
    with provider(SLOW) as url:
        alone = [_run(place, url, "whatsapp", FEW // 4) for _ in range(ROUNDS)]
        paired = [_run(place, url, "whatsapp", FEW // 4, processes=2) for _ in range(ROUNDS)]
    return [
        Figure("email in batches of 100, messages a second", _rate(email), "/s", 3_000, at_least=True),
        Figure("one message a call, messages a second", _rate(single), "/s", 400, at_least=True),
        Figure("email, most in doubt when the process dies", email[0]["most_in_doubt"], ""),
        Figure("one message a call, most in doubt when the process dies", single[0]["most_in_doubt"], ""),
        Figure(f"memory of {MANY:,} against {FEW:,} messages", many["peak_mb"] / few["peak_mb"], "x", 1.1),
        Figure(f"memory of {MANY:,} messages", many["peak_mb"], "MB"),
        Figure(f"email, {MANY:,} messages, messages a second", many["rate"], "/s"),
        Figure("a second process, provider answers in 50 ms", _rate(paired) / _rate(alone), "x", 1.6, at_least=True),
        Figure("one process, provider answers in 50 ms, messages a second", _rate(alone), "/s"),
    ]


def _rate(runs: list[dict[str, Any]]) -> float:
    return median(run["rate"] for run in runs)


def _run(place: Place, url: str, channel: str, messages: int, processes: int = 1) -> dict[str, Any]:
    """Deliver so many messages from a fresh database and compare with what the provider counted."""
    work = _stage(place, url, channel, messages)
    try:
        before = _accepted(url, channel)
        words = ("bench.sending", str(place.folder), work.database.name, url)
        # Each prints "ready", waits for a line, dispatches, and prints what it did.
        workers = [process(*words) for _ in range(processes)]
        for worker in workers:
            worker.wait_for("ready")
        began = time.perf_counter()
        for worker in workers:
            worker.tell("go")
        answers = [worker.answer() for worker in workers]
        seconds = time.perf_counter() - began
        accepted = _accepted(url, channel) - before
        if accepted != messages:  # what is refused may leave by the other channel
            message = f"{accepted:,} of {messages:,} messages were accepted as {channel}"
            raise RuntimeError(message)
    finally:
        place.drop(work)
    return {
        "rate": messages / seconds,
        "peak_mb": max(answer["peak_mb"] for answer in answers),
        "most_in_doubt": float(sum(answer["most_in_doubt"] for answer in answers)),
    }


def _stage(place: Place, url: str, channel: str, messages: int) -> Workspace:
    number = len(list(place.folder.glob("sending_*")))
    work = place.workspace(f"sending_{number}", mode="live")
    config = work.settings.config
    shutil.rmtree(config / "campaigns")
    folder = config / "campaigns" / "back"
    folder.mkdir(parents=True)
    (config / "reengage.yaml").write_text(PIPELINE.format(url=url))
    (folder / "campaign.yaml").write_text(CAMPAIGN)
    shipped = CHECKOUT / "config" / "campaigns" / "lapsing_customers"
    shutil.copy(shipped / "email.html", folder)
    (folder / "whatsapp.txt").write_text("Your code is {{ voucher.code }}.")
    with work.database.transaction() as connection:
        connection.execute(statement("send_people", people=messages, zone=_zone_where_it_is_noon()))
        planned = {"campaign": "back", "channel": channel, "provider": PROVIDERS[channel]}
        connection.execute(statement("send_planned", **planned))
        legal.refresh(work, connection)  # the table of legal hours is read once, not by every dispatch
    with work.database.alone() as connection:
        connection.execute(sa.text("vacuum (analyze)"))
        connection.execute(sa.text("checkpoint"))
    return work


def _zone_where_it_is_noon() -> str:
    """Nobody is written to at night, and a bench may run at any time."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}"  # these names count the other way round


@contextlib.contextmanager
def provider(seconds: float) -> Iterator[str]:
    """A provider in a process of its own that takes so long to answer; its address."""
    command = [sys.executable, "-m", "bench.provider", str(seconds)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as serving:
        try:
            yield f"http://127.0.0.1:{(serving.stdout.readline() if serving.stdout else '').strip()}"
        finally:
            serving.terminate()


def _accepted(url: str, channel: str) -> int:
    with urllib.request.urlopen(f"{url}/count", timeout=10) as answer:
        return json.load(answer)[channel]


def main() -> None:
    """One dispatcher; prints its peak of memory and how much it could have left in doubt."""
    from tasks import send
    from tasks.channels import factory

    folder, name, _ = sys.argv[1:]
    work = open_workspace(
        Path(folder), name, mode="live", sendgrid_api_key=SecretStr("SG.bench"), whatsapp_token=SecretStr("bench")
    )
    work.queries.verify()
    for named in PROVIDERS.values():  # their libraries are imported when they are opened
        factory.open_sender(work, named, mode="live").close()
    print("ready", flush=True)
    sys.stdin.readline()
    sent = send.due(work)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE
    print(json.dumps({"peak_mb": peak, "most_in_doubt": sent.most_in_doubt, "counts": dict(sent.counts)}))


if __name__ == "__main__":
    main()
