"""`python -m bench`: every figure beside its target; exit code 1 when one is missed."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench import audiences, days, idle, leads, loading, planning, sending
from bench.place import Place, open_place, settle
from bench.report import Figure, Section, machine, write
from config.settings import CHECKOUT

PAGE = CHECKOUT / "docs" / "bench.md"
SECTIONS = {
    "load": "First load",
    "days": "A day with new purchases",
    "scan": "Newly late",
    "plan": "Planning",
    "send": "Delivery",
    "leads": "Partial leads",
    "idle": "A run with nothing due",
    "audiences": "Ad audiences",
}
ON_THEIR_OWN = {"send", "leads", "idle", "audiences"}  # the others share their histories

TOLD = {
    "load": "A CSV file of purchases, from the file to purchase days (landing, SQL gate, quarantine, merge, purchase "
    "cycle), three times into a fresh database, each beside `\\copy` of the same file into a logged table with a "
    "primary key, both on a disk that has caught up. Great Expectations runs once more, in a process of its own.",
    "days": "A file of 10,000 new purchases: loaded, judged, merged, purchase days refreshed, the newly late fetched; "
    "five days on the short and on the long history in turn, after one that warms both, each after a checkpoint. "
    "Both histories are written straight into core.purchases by SQL, purchase days by our own code. "
    "Full recomputation is the same load, then every purchase day worked out and stored again in place of the refresh, "
    "which answers what we answer; or one query that finds that day's newly late from all purchases and keeps nothing, "
    "over the bare table and, for information, over the covering index that the refresh keeps.",
    "scan": "`lapsing_customers` for those who became late in one day, on the long history, beside a scan of the "
    "partial index that returns as many rows.",
    "plan": "One run of the campaign on the short history: everyone is enrolled, then eligibility, decisions and "
    "ledger rows for all of them are one transaction.",
    "send": "Messages that are due, from the ledger to a provider on loopback that answers at once: claimed, rendered, "
    "handed over by the real senders (SendGrid in batches, WhatsApp one by one) and recorded, by one process with its "
    "imports done. Every run compares what the provider counted with what was due.",
    "leads": "A file of new messages of customers drawn at random, as many as half a day of the history has: loaded, "
    "judged, merged, leads refreshed; then `partial_leads` for those who fell silent since the file before (and an "
    "hour), fetched; five times, after one that warms. Beside it the same answer, checked to be "
    "equal, worked out from every message with nothing kept; and, for information, one bare window that finds each "
    "last message and looks at no ad, no free window and no other conversation of the person. The history is written "
    "straight into core by SQL, its leads by our own code.",
    "idle": "One run of `partial_leads` (choosing, planning, audiences) five minutes after another, when nobody has "
    "written and every step has ended; the leads are all enrolled still. The median of five, after one that warms.",
    "audiences": "People with an email and a phone number who are all enrolled and have agreed: told to a platform on "
    "loopback that answers at once, by the real clients, for the first time; again with nothing changed; and after a "
    "day on which one in a hundred changed, half of them buyers who leave and half of them new. Each is one whole "
    "sync: who should be in is worked out, identifiers are normalised and hashed, pages are told and recorded.",
}


def main() -> int:
    """Run the benches asked for and print what they found."""
    words = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    words.add_argument("only", nargs="*", choices=[[], *SECTIONS], help="which benches; left out: all")
    words.add_argument("--purchases", type=int, default=1_000_000, help="purchases of the file and the short history")
    words.add_argument("--conversations", type=int, default=1_000_000, help="conversations of ten messages each")
    words.add_argument("--people", type=int, default=1_000_000, help="people of an audience")
    words.add_argument("--times", type=int, default=10, help="how many times longer the long history is")
    words.add_argument("--write", action="store_true", help="write what was found into docs/bench.md")
    given = words.parse_args()
    wanted = given.only or list(SECTIONS)

    pg_bin = os.environ.get("REENGAGE_PG_BIN")
    with open_place(Path(pg_bin) if pg_bin else None) as place:
        about = machine(place.server.version)
        _say(about)
        found = _run(place, about, wanted, given.purchases, given.times, given.conversations, given.people)
    missed = [figure for section in found for figure in section.figures if figure.missed]
    if given.write:
        write(PAGE, list(SECTIONS.values()), found, datetime.now(UTC))
        _say(f"written to {PAGE.relative_to(CHECKOUT)}")
    _say(f"{len(missed)} target(s) missed" if missed else "every target met")
    return 1 if missed else 0


def _run(
    place: Place, about: str, wanted: list[str], purchases: int, times: int, conversations: int, people: int
) -> list[Section]:
    found: list[Section] = []
    told: list[str] = []  # of the histories that the benches since stand on

    def tell(sentence: str) -> None:
        told.append(sentence)
        _say(sentence)

    def note(name: str, bench: Callable[[], list[Figure]]) -> None:
        began = time.perf_counter()
        _say(f"\n{SECTIONS[name]}")
        figures = bench()
        found.append(Section(SECTIONS[name], TOLD[name], [about, *told], figures))
        if name in ON_THEIR_OWN:
            told.clear()
        for figure in figures:
            _say(f"  {figure.line()}")
        _say(f"  ({time.perf_counter() - began:.0f} s)")

    if "send" in wanted:
        note("send", lambda: sending.sending(place))
    if "leads" in wanted:
        note("leads", lambda: leads.leads(place, conversations, tell))
    if "idle" in wanted:
        note("idle", lambda: idle.idle(place))
    if "audiences" in wanted:
        note("audiences", lambda: audiences.audiences(place, people, tell))
    if set(wanted) <= ON_THEIR_OWN:
        return found
    short = days.build(place, purchases, tell)
    if "load" in wanted:
        path = place.folder / "purchases.csv"
        loading.write_history(short.work, path)
        tell(f"the file of the first load has {path.stat().st_size / 2**20:,.0f} MB")
        note("load", lambda: loading.first_load(place, path, days.a_day(0)[1]))
    if {"days", "scan"} & set(wanted):
        long = days.build(place, purchases * times, tell)
        if "days" in wanted:
            note("days", lambda: days.days(short, long))
            settle(long.work)
        if "scan" in wanted:
            note("scan", lambda: days.scans(long))
        place.drop(long.work)
    if "plan" in wanted:
        note("plan", lambda: planning.planning(short))
    place.drop(short.work)
    return found


def _say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
