"""What a bench found: a value beside its target, and the page that keeps the last run."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One figure: what was measured, and whether it is what it must be. No target: for information."""

    what: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def missed(self) -> bool:
        """Whether the target is missed."""
        if self.target is None:
            return False
        return self.value < self.target if self.at_least else self.value > self.target

    @property
    def shown_target(self) -> str:
        """The target in words."""
        if self.target is None:
            return ""
        return f"{'at least' if self.at_least else 'at most'} {self.target:,.4g} {self.unit}"

    @property
    def verdict(self) -> str:
        """Met, missed, or nothing where there is no target."""
        return "" if self.target is None else "MISSED" if self.missed else "met"

    def line(self) -> str:
        """One line for a terminal."""
        return (
            f"{self.what:<66} {self.value:>10,.2f} {self.unit:<4} {self.shown_target:<20} {self.verdict:<7} {self.note}"
        )


def machine(server_version: str) -> str:
    """What the figures were taken on, in one sentence."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{cores} cores ({platform.machine()}), {memory:.0f} GiB of memory, load {load:.1f} when it began, "
        f"PostgreSQL {server_version}, Python {platform.python_version()}"
    )


def write(path: Path, about: Sequence[str], sections: Sequence[tuple[str, str, Sequence[Figure]]]) -> None:
    """The page with the last run: each section is a title, what was done, and its figures."""
    lines = [
        "# The last run of `make bench`",
        "",
        f"Run {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. Read ratios, not seconds: both sides of each were taken in turn,",
        "in this one run, and the value is the median. `make bench` exits 1 when a target is missed;",
        "`python -m bench --write` writes this page.",
        "",
        *(f"- {sentence}" for sentence in about),
    ]
    for title, told, figures in sections:
        lines += ["", f"## {title}", "", told, "", "| | value | target | |", "|---|---|---|---|"]
        for figure in figures:
            verdict = " ".join(word for word in (figure.verdict, figure.note) if word)
            lines.append(f"| {figure.what} | {figure.value:,.2f} {figure.unit} | {figure.shown_target} | {verdict} |")
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
