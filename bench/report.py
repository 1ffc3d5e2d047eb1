"""What a bench found: a value beside its target, and the page that keeps the last run."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

HEADING = "## "
PREFACE = """\
# The last run of each bench

Read ratios, not seconds: both sides of each were taken in turn, in one run, and the value is the median. `make bench`
exits 1 when a target is missed; `python -m bench --write` writes this page, `python -m bench --write leads` a part of
it. Machines differ by half, so figures of different runs are not compared.
"""


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


@dataclass(frozen=True)
class Section:
    """What one bench found: a title, what was done, what it was done on, and the figures."""

    title: str
    told: str
    about: Sequence[str]
    figures: Sequence[Figure]

    def page(self, at: datetime) -> str:
        """Its part of the page."""
        lines = [
            f"{HEADING}{self.title}", "", self.told, "", f"- Run {at:%Y-%m-%d %H:%M} UTC",
            *(f"- {sentence}" for sentence in self.about), "", "| | value | target | |", "|---|---|---|---|",
        ]  # fmt: skip
        for figure in self.figures:
            verdict = " ".join(word for word in (figure.verdict, figure.note) if word)
            lines.append(f"| {figure.what} | {figure.value:,.2f} {figure.unit} | {figure.shown_target} | {verdict} |")
        return "\n".join(lines) + "\n"


def write(path: Path, order: Sequence[str], sections: Sequence[Section], at: datetime) -> None:
    """The page with the last run of each bench: those that did not run now keep what they found before.

    `order` are the titles of all sections.
    """
    before = path.read_text("utf-8").split(f"\n{HEADING}")[1:] if path.exists() else []
    parts = {part.split("\n", 1)[0]: f"{HEADING}{part.rstrip()}\n" for part in before}
    parts |= {section.title: section.page(at) for section in sections}
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([PREFACE, *(parts[title] for title in order if title in parts)]), "utf-8")
