"""Leads that are played through choosing, planning and dispatch, and what came of them by plain loops (R18 to R21).

The recomputation knows two things only: what the story put in, and the ledger's own rows. It walks through each lead's
life in the order in which things happened.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from pydantic import SecretStr

from config.settings import Settings
from tasks import choose, plan
from tasks.store import runs
from tasks.store.engine import Database
from tasks.store.workspace import Workspace
from tests.send.stage import Stage, write_campaign
from tests.send.test_hours import HOURS, own_table
from tests.send.test_retargeting import Leads, steps

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Clocks in Berlin go back from 03:00 to 02:00 at 01:00 UTC of the next day.
EVENING = datetime(2026, 10, 24, 18, tzinfo=UTC)
BERLIN = "Europe/Berlin"
_RETARGETS = {
    "segment": "partial_leads", "channels": ["whatsapp"], "voucher": None,
    "retargeting": {"after_free_window": True, "min_quiet_after_reply": "5m"},
}  # fmt: skip


@dataclass
class Talk:
    """What the story put in about one conversation."""

    customer: str
    ad: str
    opened_at: datetime
    said: list[datetime] = field(default_factory=list)
    reached: list[tuple[str, datetime]] = field(default_factory=list)


def place_of(customer: str) -> tuple[str, str]:
    """Which language a made-up person speaks, '' = nobody knows, and where they live."""
    number = sum(map(ord, customer))
    return ("de", "fr", "")[number % 3], ("AT", "DE")[number % 2]


@dataclass
class Story(Leads):
    """Leads whose every input is kept beside the database."""

    talks: dict[str, Talk] = field(default_factory=dict)
    campaigns: Sequence[str] = ("back",)

    def lead(self, customer: str, talk: str, at: datetime, *, ad: str = "ad1", zone: str = "UTC") -> None:
        self.talks[talk] = Talk(customer, ad, at)
        super().lead(customer, talk, at, ad=ad, zone=zone)
        language, country = place_of(customer)
        with self.stage.work.database.transaction() as connection:
            connection.execute(
                sa.text("update core.customers set language = :language, country = :country where customer_id = :id"),
                {"language": language or None, "country": country, "id": customer},
            )

    def reaches(self, talk: str, milestone: str, at: datetime) -> None:
        self.talks[talk].reached.append((milestone, at))
        super().reaches(talk, milestone, at)

    def says(self, talk: str, *times: datetime, sender: str = "customer") -> None:
        if sender == "customer":
            self.talks[talk].said += times
        super().says(talk, *times, sender=sender)

    def run(self, *times: datetime) -> None:
        """Choose and plan every campaign, then hand over what is due, at each moment."""
        for at in times:
            for campaign in self.campaigns:
                with runs.begin(self.stage.work, "reengage", self.stage.work.campaign(campaign), at) as run:
                    choose.members(run)
                    plan.messages(run)
            self.stage.dispatch(at)

    def play(self, *scenes: tuple[datetime, Callable[[], None]]) -> None:
        """Each scene in its turn; whatever is due by then has left before it."""
        for at, scene in sorted(scenes, key=lambda one: one[0]):
            self.run(at)
            scene()

    def truth(
        self, as_of: datetime, ads: Mapping[str, set[str]], zone: str = "UTC", *, place: Mapping[str, str] | None = None
    ) -> Truth:
        """The figures as at a moment; `ads` are those whose leads each campaign has, `place` narrows them to a part."""
        sends = self.stage.rows(
            "select campaign, episode, step, state, accepted_at from campaign.sends where accepted_at <= :at", at=as_of
        )
        enrolments = self.stage.rows(
            "select campaign, episode from campaign.enrolments where enrolled_at <= :at", at=as_of
        )
        talks = {
            name: talk
            for name, talk in self.talks.items()
            if (place or {}).items() <= dict(zip(("language", "country"), place_of(talk.customer), strict=True)).items()
        }
        return Truth(talks, ads, sends, {(row["campaign"], row["episode"]) for row in enrolments}, as_of, zone)


@dataclass
class Truth:
    """The three tables, each as counts by key."""

    talks: Mapping[str, Talk]
    ads: Mapping[str, set[str]]
    sends: Sequence[Mapping[str, Any]]
    enrolled: set[tuple[str, str]]
    as_of: datetime
    zone: str
    leads: Counter[tuple[str, str, int, int]] = field(default_factory=Counter)
    retargeted: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    hours: dict[tuple[str, int, date, int], Counter[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, talk in self.talks.items():
            if talk.opened_at <= self.as_of:
                self._walk(name, talk)

    def _walk(self, name: str, talk: Talk) -> None:
        """One lead's life: whatever happens belongs to the retarget that left last."""
        # What happens at the very instant of a retarget was not caused by it, and comes first.
        happenings = [(at, 0, ("says",)) for at in talk.said]
        happenings += [(at, 0, ("reaches", milestone)) for milestone, at in talk.reached]
        happenings += [(at, 1, ("retarget", *which)) for which, at in self._retargets(name).items()]
        milestone, answered = "lead", True
        latest: tuple[str, int] | None = None
        last: Counter[str] = Counter()
        credited: tuple[str, int] | None = None
        standing: dict[tuple[str, int], str] = {}
        for at, _, (what, *rest) in sorted(happenings):
            if at > self.as_of:
                break
            if what == "retarget":
                latest, answered = (rest[0], rest[1]), False
                standing[latest] = "qualified_before" if milestone == "qualified" else milestone
                last[rest[0]] = max(last[rest[0]], rest[1])
                self._count(latest, at, "retargeted")
            elif what == "says" and not answered and latest:
                answered = True
                self._count(latest, at, "first_responses")
            elif what == "reaches" and milestone != "qualified" and rest[0] != "lead":
                milestone = rest[0]
                if latest:
                    standing[latest] = milestone
                    if milestone == "qualified":
                        credited = latest
                        self._count(latest, at, "qualified")
        for campaign, ads in self.ads.items():
            if talk.ad in ads or (campaign, name) in self.enrolled:
                order = credited[1] if credited and credited[0] == campaign else 0
                self.leads[campaign, milestone, last[campaign], order] += 1
        for (campaign, order), reached in standing.items():
            self.retargeted[campaign, order, reached] += 1

    def _retargets(self, name: str) -> dict[tuple[str, int], datetime]:
        first: dict[tuple[str, int], datetime] = {}
        for row in self.sends:
            if row["episode"] == name and row["state"] == "accepted":
                which = (row["campaign"], int(row["step"][0]))
                first[which] = min(first.get(which, row["accepted_at"]), row["accepted_at"])
        return first

    def _count(self, which: tuple[str, int], at: datetime, what: str) -> None:
        local = at.astimezone(ZoneInfo(self.zone))
        self.hours.setdefault((*which, local.date(), local.hour), Counter())[what] += 1

    def total(self, campaign: str) -> int:
        """Leads in the system."""
        return sum(count for key, count in self.leads.items() if key[0] == campaign)

    def sum_of(self, campaign: str, order: int, what: str) -> int:
        """One column of the hours of one order."""
        return sum(counts[what] for key, counts in self.hours.items() if key[:2] == (campaign, order))


def open_story(database: Database, folder: Path, ads: Mapping[str, set[str]], zone: str) -> Story:
    """Retargeting campaigns over these ads in a simulated database, and leads to come; close its workspace.

    `back` writes after 4, 20 and 44 hours of silence, any other campaign after 6 and 20.5.
    """
    for name, ids in ads.items():
        offsets = ("4h", "20h", "44h") if name == "back" else ("6h", "1230m")
        write_campaign(folder, name, **{**_RETARGETS, "steps": steps(*offsets), "ads": sorted(ids)})
    url = SecretStr(database.url.render_as_string(hide_password=False))
    settings = Settings(
        config=folder, home=database.home, database_url=url, time_zone=zone, mode="simulated", _env_file=None
    )
    stage = Stage(Workspace(settings), folder)
    own_table(stage, HOURS.replace("HOURS", "00:00-24:00"))
    story = Story(stage, campaigns=sorted(ads))
    for ad in ("ad1", "ad2", "else"):
        story.ad(ad=ad)
    return story


def long_weekend(story: Story) -> datetime:
    """Leads of every kind of `back` over the night the clocks go back; answers the moment it is looked back from."""
    at = EVENING
    story.lead("ann", "answers-and-qualifies", at + 2 * HOUR + 30 * MINUTE)  # written to at 02:30, summer time
    story.lead("bob", "qualifies-after-second", at + 3 * HOUR + 30 * MINUTE)  # at 02:30 again, winter time
    story.lead("cat", "never", at + 3 * HOUR + 40 * MINUTE)
    story.lead("dan", "deep-then-third", at)
    story.lead("eve", "first-click", at + HOUR)
    story.lead("fay", "answers-first-qualifies-second", at + 90 * MINUTE)
    story.lead("gus", "alone", at + 10 * MINUTE)
    story.lead("hal", "told-late", at + 20 * MINUTE)
    story.lead("ida", "from-elsewhere", at, ad="elsewhere")
    story.play(
        (at + 3 * HOUR, lambda: story.reaches("alone", "qualified", at + 3 * HOUR)),
        (at + 7 * HOUR, lambda: story.says("answers-and-qualifies", at + 7 * HOUR, at + 7 * HOUR + MINUTE)),
        (at + 7 * HOUR + 5 * MINUTE, lambda: story.reaches("answers-and-qualifies", "qualified", at + 7 * HOUR)),
        (at + 8 * HOUR, lambda: story.reaches("told-late", "qualified", at + 30 * MINUTE)),
        (at + 9 * HOUR, lambda: story.says("answers-first-qualifies-second", at + 9 * HOUR)),
        (at + 10 * HOUR, lambda: story.reaches("deep-then-third", "deep_conversation", at + 10 * HOUR)),
        (at + 12 * HOUR, lambda: story.lead("eve", "second-click", at + 12 * HOUR, ad="ad2")),
        (at + 13 * HOUR, lambda: None),
        (at + 18 * HOUR, lambda: story.reaches("second-click", "qualified", at + 18 * HOUR)),
        (at + 30 * HOUR, lambda: story.reaches("qualifies-after-second", "qualified", at + 30 * HOUR)),
        (at + 33 * HOUR, lambda: story.reaches("answers-first-qualifies-second", "qualified", at + 33 * HOUR)),
        (at + 50 * HOUR, lambda: story.says("never", at + 49 * HOUR + 59 * MINUTE)),
        (at + 60 * HOUR, lambda: story.reaches("deep-then-third", "qualified", at + 60 * HOUR)),
        (at + 100 * HOUR, lambda: None),
    )
    return at + 100 * HOUR


def random_days(story: Story, seed: int, people: int = 14, turns: int = 14) -> datetime:
    """Leads who write, deepen, qualify and click again at random, also told late; answers the last moment."""
    dice = random.Random(seed)
    now = EVENING
    for turn in range(turns):
        for customer in dice.sample(range(people), 4):
            said = now - dice.randrange(1, 300) * MINUTE
            mine = [name for name, talk in story.talks.items() if talk.customer == f"p{customer}"]
            if not mine or dice.random() < 0.2:
                story.lead(
                    f"p{customer}", f"talk-{customer}-{turn}", said, ad=dice.choice(["ad1", "ad1", "ad2", "else"])
                )
            else:
                story.says(dice.choice(mine), said)
        for name in dice.sample(sorted(story.talks), min(2, len(story.talks))):
            milestone = dice.choice(["deep_conversation", "qualified"])
            at = max(story.talks[name].opened_at, now - dice.randrange(400) * MINUTE)
            if (milestone, at) not in story.talks[name].reached:
                story.reaches(name, milestone, at)
        story.run(now)
        now += dice.randrange(2 * 60, 9 * 60) * MINUTE
    story.run(now)
    return now
