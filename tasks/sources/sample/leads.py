"""People who click on an ad and chat on WhatsApp: bursts, silence, and what a retarget makes them do.

What anybody says follows from the seed, their number and the retargets that reached them, each drawn from a stream of
its own: a file that is written already never turns out wrong, and what one person does changes nothing for another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from tasks.sources.sample.people import People
from tasks.sources.sample.scenery import FIRST_NAMES, LEAD_ADS, LEAD_PLACES, OPENS_AT, Ad, Place
from tasks.sources.sample.writing import instants, iso_of, seconds, write_csv, write_json


class Reaction(NamedTuple):
    """Shares of the silent people whom one retarget makes answer without qualifying, and qualify."""

    replies: float
    qualifies: float


# What the 1st, 2nd and 3rd retarget add. This is the effect that the evaluation has to find again.
RETARGETING = (Reaction(0.20, 0.16), Reaction(0.14, 0.10), Reaction(0.08, 0.06))
NO_EFFECT = (Reaction(0, 0),) * 3
# Share of silent people who come back on a day by themselves, written to or not; half of them qualify.
COMES_BACK_A_DAY = 0.02
# Minutes until somebody answers a retarget, in the middle, and how much people differ (of a log-normal distribution).
MINUTES_TO_ANSWER, SPREAD = 40.0, 1.0
# Nobody answers at night: hours of the day on their own clock.
WAKES, SLEEPS = 7, 23

DAYS_BEFORE, DAYS_AFTER = 5, 61  # days with new leads, counted from OPENS_AT
_DAY = 86_400
_FATES, _SHARES = ("lead", "deep", "qualified"), (0.42, 0.36, 0.22)

_ASKS = ("Hi! I saw your ad, is this still available?", "Hello, how much is it?", "Do you deliver to my town?")
_GOES_ON = ("Which one do you recommend?", "And how fresh is it?", "Hm, let me think.", "Can I cancel any time?")
_RETURNS = ("Sorry, I was busy. Is the offer still on?", "Hello again!", "Yes, tell me more.")
_BOT = ("Yes! Which one would you like?", "It is roasted on the day we send it.", "Shall I put one aside for you?")


class Line(NamedTuple):
    """One message of a chat; `key` tells it from the others of its chat."""

    at: int  # seconds since 1970
    key: str
    sender: str
    text: str | None
    kind: str = "text"


class Burst(NamedTuple):
    """Messages that follow each other within minutes."""

    lines: tuple[Line, ...]
    qualifies: bool

    @property
    def begins_at(self) -> int:
        """When its first message is written."""
        return self.lines[0].at


class Leads:
    """The leads of one shop in order of their opening, by index from 0."""

    def __init__(self, people: People, *, a_day: int, effect: Sequence[Reaction] = RETARGETING) -> None:
        """`a_day` new ones come each day; `effect` is what each retarget of one person adds, in order."""
        self._people = people
        self._effect = tuple(effect)
        self._bursts: dict[tuple[int, ...], Burst | None] = {}
        random, self.size = people.random("leads"), a_day * (DAYS_BEFORE + DAYS_AFTER)
        day = np.repeat(np.arange(-DAYS_BEFORE, DAYS_AFTER), a_day)
        awake = WAKES * 3600 + (random.random(self.size) * (SLEEPS - WAKES) * 3600).astype(np.int64)
        self.opened_at = np.sort(seconds(OPENS_AT) + day * _DAY + awake)
        self._fate = random.choice(_FATES, self.size, p=_SHARES)
        self._ad = _drawn(random, [ad.weight for ad in LEAD_ADS], self.size)
        self._place = _drawn(random, [place.weight for place in LEAD_PLACES], self.size)
        self._first_name = random.integers(len(FIRST_NAMES), size=self.size)

    def customer_id(self, lead: int) -> str:
        """Whom the shop's export calls so."""
        return f"L{lead + 1:07d}"

    def ad(self, lead: int) -> Ad:
        """The ad that was clicked on; a paused one brings nobody, so it was another."""
        ad = LEAD_ADS[self._ad[lead]]
        is_gone = ad.status == "paused" and self.opened_at[lead] >= seconds(ad.changed_at)
        return LEAD_ADS[0] if is_gone else ad

    def home(self, lead: int) -> Place:
        """Where they live."""
        return LEAD_PLACES[self._place[lead]]

    def phone(self, lead: int) -> str:
        """Their number as E.164; no two leads have the same."""
        home = self.home(lead)
        digits = home.mobile.count("#")
        number = f"{lead * 611_953 % 10**digits:0{digits}d}"  # coprime to ten: every number comes once
        return f"+{home.code}{home.mobile.rstrip('#')}{number}"

    def first_name(self, lead: int) -> str | None:
        """The name of their profile, which not everybody has."""
        return None if lead % 11 == 0 else FIRST_NAMES[self._first_name[lead]]

    @cached_property
    def by_phone(self) -> dict[str, int]:
        """Who reads what is sent to a number."""
        return {self.phone(lead): lead for lead in range(self.size)}

    def between(self, since: datetime, until: datetime) -> range:
        """Who opened a chat after `since` and up to `until`."""
        first, last = np.searchsorted(self.opened_at, [seconds(since), seconds(until)], side="right")
        return range(int(first), int(last))

    def talk(self, lead: int, retargeted_at: Sequence[int] = ()) -> Iterator[Line]:
        """Everything ever said in a chat, in order of time, given when retargets reached the person (seconds)."""
        sent = sorted(retargeted_at)
        bursts = [self._once((lead,)), self._once((lead, 0))]
        bursts += [self._once((lead, order, at)) for order, at in enumerate(sent, 1)]
        lines = [Line(at, f"r{order}", "campaign", None, "template") for order, at in enumerate(sent, 1)]
        # Whoever has qualified has what they wanted: later reasons to write are none.
        for burst in sorted((burst for burst in bursts if burst), key=lambda burst: burst.begins_at):
            lines += burst.lines
            if burst.qualifies:
                break
        yield from sorted(lines)

    def _once(self, key: tuple[int, ...]) -> Burst | None:
        if key not in self._bursts:
            lead, *why = key
            if not why:
                burst = self._opening(lead)
            elif why == [0]:
                burst = self._by_themselves(lead)
            else:
                burst = self._reaction(lead, *why)
            self._bursts[key] = burst
        return self._bursts[key]

    def _opening(self, lead: int) -> Burst:
        """What is said after the click, until they fall silent or order."""
        random, ad, fate = self._people.random("talks", lead), self.ad(lead), self._fate[lead]
        at, key = int(self.opened_at[lead]), "o"
        if ad.hours_to_answer:
            late = at + int((ad.hours_to_answer + random.random() * 10) * 3600)
            asked, answer = Line(at, f"{key}0", "customer", _ASKS[0]), Line(late, f"{key}1", "agent", _BOT[0])
            return Burst((asked, answer), qualifies=False)
        said = int(random.integers(1, 3) if fate == "lead" else random.integers(3, 6))
        return _burst(random, key, at, said, _ASKS, qualifies=fate == "qualified")

    def _by_themselves(self, lead: int) -> Burst | None:
        """Some come back unasked, after days."""
        first, random = self._once((lead,)), self._people.random("talks", lead, 0)
        if first is None or first.qualifies:
            return None
        days, half = random.exponential(1 / COMES_BACK_A_DAY), random.random()
        silent_since = max(line.at for line in first.lines if line.sender == "customer")
        at = self._awake(lead, silent_since + int(days * _DAY), random)
        return _burst(random, "b", at, int(random.integers(1, 3)), _RETURNS, qualifies=half < 0.5)

    def _reaction(self, lead: int, order: int, sent_at: int) -> Burst | None:
        """What one retarget makes of them."""
        random = self._people.random("talks", lead, order)
        chance, minutes = random.random(), MINUTES_TO_ANSWER * np.exp(SPREAD * random.standard_normal())
        effect = self._effect[order - 1] if order <= len(self._effect) else Reaction(0, 0)
        if chance >= effect.qualifies + effect.replies:
            return None
        at = self._awake(lead, sent_at + 60 + int(minutes * 60), random)
        qualifies = bool(chance < effect.qualifies)
        return _burst(random, f"a{order}.", at, int(random.integers(1, 3)), _RETURNS, qualifies=qualifies)

    def _awake(self, lead: int, at: int, random: np.random.Generator) -> int:
        """The moment itself, or at night some moment of the next morning, on their own clock."""
        local = datetime.fromtimestamp(at, ZoneInfo(self.home(lead).zone))
        after = 3600 * 2 * random.random()
        if WAKES <= local.hour < SLEEPS:
            return at
        morning = local.replace(hour=WAKES, minute=0, second=0)
        return seconds(morning + timedelta(days=local.hour >= SLEEPS)) + int(after)


def write(
    folder: Path, leads: Leads, label: str, since: datetime, until: datetime, retargeted_at: Mapping[int, Sequence[int]]
) -> int:
    """Write who opened a chat after `since` and up to `until`, and all that was said then; returns how many lines.

    `retargeted_at` says when messages reached a lead (seconds). A file that would be empty is not written.
    """
    first, last = seconds(since), seconds(until)
    messages = [
        _message(leads.customer_id(lead), line)
        for lead in range(leads.between(until, until).stop)
        for line in leads.talk(lead, retargeted_at.get(lead, ()))
        if first < line.at <= last
    ]
    new = leads.between(since, until)
    if new:
        write_csv(folder / "customers" / f"leads_{label}.csv", _customers(leads, new))
        chats = [_conversation(leads, lead) for lead in new]
        write_json(folder / "conversations" / f"leads_{label}.jsonl", chats)
    if messages:
        write_json(folder / "messages" / f"leads_{label}.jsonl", messages)
    return 2 * len(new) + len(messages)


def _drawn(random: np.random.Generator, weights: Sequence[float], size: int) -> np.ndarray:
    return random.choice(len(weights), size, p=np.array(weights) / sum(weights))


def _burst(
    random: np.random.Generator, key: str, at: int, said: int, texts: Sequence[str], *, qualifies: bool
) -> Burst:
    """So many messages of the customer, each answered by the bot; at last an order when they qualify."""
    lines = []
    for number in range(said + qualifies):
        is_order = number == said
        words = (texts if number == 0 else _GOES_ON)[int(random.integers(len(texts if number == 0 else _GOES_ON)))]
        lines.append(
            Line(at, f"{key}{2 * number}", "customer", None if is_order else words, "order" if is_order else "text")
        )
        answer = "Thank you! It is on its way." if is_order else _BOT[int(random.integers(len(_BOT)))]
        lines.append(Line(at + int(random.integers(3, 20)), f"{key}{2 * number + 1}", "bot", answer))
        at = lines[-1].at + int(random.integers(20, 240))
    return Burst(tuple(lines), qualifies)


def _customers(leads: Leads, new: range) -> dict[str, pa.Array | list[str] | list[str | None]]:
    """WhatsApp tells a number and perhaps a name, nothing more."""
    unknown, opened = pa.nulls(len(new), pa.string()), instants(leads.opened_at[new.start : new.stop])
    return {
        "Customer No": [leads.customer_id(lead) for lead in new],
        "E-Mail": unknown,
        "Phone": [leads.phone(lead) for lead in new],
        "First Name": pa.array([leads.first_name(lead) for lead in new], pa.string()),
        "Last Name": unknown,
        "Language": unknown,
        "Country": unknown,
        "Region": unknown,
        "Time Zone": unknown,
        "Customer Since": opened,
        "Last Changed": opened,
    }


def _conversation(leads: Leads, lead: int) -> dict[str, str | None]:
    """Without milestones: those are derived from what is said (sql/milestones/conversations.sql)."""
    ad, opened = leads.ad(lead), iso_of(int(leads.opened_at[lead]))
    return {
        "id": f"C-{leads.customer_id(lead)}",
        "customer": leads.customer_id(lead),
        "channel": "whatsapp",
        "account": "shop-main",
        "ad": ad.ad_id,
        "bot": ad.bot_id,
        "opened_at": opened,
        "milestone": None,
        "milestone_at": None,
        "updated_at": opened,
    }


def _message(customer_id: str, line: Line) -> dict[str, str | None]:
    return {
        "id": f"C-{customer_id}-{line.key}",
        "conversation": f"C-{customer_id}",
        "direction": "inbound" if line.sender == "customer" else "outbound",
        "sender": line.sender,
        "sent_at": iso_of(line.at),
        "text": line.text,
        "kind": line.kind,
    }
