"""A live day in a process of its own, everything at DEBUG: every flow through Prefect, then what people type."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable


def tried(what: Callable[[], object]) -> None:
    """Say how it ended, as a log would: with everything the error knows."""
    try:
        print("ended with", what())
    except BaseException:  # noqa: BLE001 - a command line ends by SystemExit
        traceback.print_exc(file=sys.stdout)


def command(*words: str) -> None:
    """The command line, in this process."""
    from flows.__main__ import main

    sys.argv = ["reengage", *words]
    main()


def day() -> None:
    """In the order of a working day; what fails is told and the rest goes on."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    from flows.dispatch import dispatch
    from flows.evaluate import evaluate
    from flows.ingest import ingest
    from flows.reengage import reengage
    from flows.tick import tick

    tried(ingest)
    tried(lambda: reengage("lapsing_customers"))
    for _ in range(3):
        tried(dispatch)
    tried(evaluate)
    tried(tick)
    for words in (
        ("sends", "list"), ("sends", "list", "--json", "--all"), ("quarantine", "list"),
        ("why", "zz1", "lapsing_customers"),
        ("plan", "lapsing_customers"), ("segment", "preview", "lapsing_customers"), ("doctor",), ("check",),
        ("campaign", "show", "lapsing_customers"), ("ingest",), ("erase", "zz1"), ("erase", "--list"),
        ("erase", "zz1"), ("dispatch",), ("evaluate",),
    ):  # fmt: skip
        tried(lambda words=words: command(*words))


if __name__ == "__main__":
    day()
