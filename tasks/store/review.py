"""Read everything a person wrote under config/ and sql/ and collect what is wrong, without a database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from config.campaign import Campaign, read_campaign
from config.prices import load_whatsapp_prices
from config.sources import ENTITIES, load_sources
from config.suites import load_suite
from tasks.rules.agreement import late_steps, segment_problems, shared_ads
from tasks.rules.content import Templates, segment_variables
from tasks.rules.errors import ConfigError, Problem
from tasks.store import cases
from tasks.store.segments import FIRST_COLUMNS
from tasks.store.workspace import Workspace

T = TypeVar("T")


@dataclass
class Review:
    """How much was read, every finding, and what is allowed but may not be meant."""

    read: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def collect(self, what: str, read: Callable[[], T]) -> T | None:
        """Read one thing; its problems join the others'."""
        self.read.setdefault(what, 0)
        try:
            found = read()
        except ConfigError as error:
            self.problems += error.problems
            return None
        self.read[what] += 1
        return found


def review(work: Workspace) -> Review:
    """Settings, sources, suites, campaigns with their messages and segments, every SQL file, every case."""
    answer = Review()
    settings = work.settings
    answer.collect("settings", lambda: settings.pipeline)
    if answer.problems:
        return answer  # where everything else lies is not known
    sources = answer.collect("sources", lambda: load_sources(settings.folder("sources")))
    answer.read["sources"] = len(sources or {})
    for path in sorted(settings.folder("suites").glob("*.yaml")):
        if path.stem in ENTITIES:
            answer.collect("suites", lambda name=path.stem: load_suite(settings.folder("suites"), name))
        else:
            answer.problems.append(Problem(str(path), f"is no entity; there are: {', '.join(ENTITIES)}"))
    answer.collect("price tables", lambda: load_whatsapp_prices(settings.whatsapp_prices))
    answer.read["SQL files"] = len(work.queries)
    answer.problems += work.queries.problems
    campaigns = []
    for path in sorted(settings.folder("campaigns").glob("[!.]*")):
        if (path / "campaign.yaml").is_file():
            campaigns += _review_campaign(work, answer, path.name)
        elif path.suffix != ".md":  # notes may lie beside the campaigns
            answer.problems.append(Problem(str(path), "is no campaign: a folder with a campaign.yaml is expected here"))
    answer.warnings += shared_ads(campaigns)
    found = answer.collect("cases", lambda: cases.load(work.root))
    answer.read["cases"] = len(found or [])
    answer.problems += [
        Problem(case.where, f"there is no SQL file {case.query} for this case")
        for case in found or []
        if case.query not in work.queries
    ]
    answer.problems = list(dict.fromkeys(answer.problems))
    return answer


def _review_campaign(work: Workspace, answer: Review, name: str) -> list[tuple[str, Campaign]]:
    """Collect what is to be said of one campaign; answers it with its file, where enough of it can be read."""
    folder = work.settings.folder("campaigns") / name
    answer.read.setdefault("campaigns", 0)
    try:
        campaign, found = read_campaign(folder)
    except ConfigError as error:
        answer.problems += error.problems
        return []
    answer.problems += found
    if campaign is None:
        return []
    answer.read["campaigns"] += not found
    where = str(folder / "campaign.yaml")
    kept = work.settings.pipeline.retention.ledger
    if kept is not None and campaign.looks_back > timedelta(days=kept):
        what = f"looks back further than the {kept} days of `retention: {{ledger: ...}}` in reengage.yaml"
        answer.problems.append(Problem(f"{where}: caps, audience_max_days", what))
    if f"segments/{campaign.segment}" not in work.queries:
        known = ", ".join(sorted(q.partition("/")[2] for q in work.queries if q.startswith("segments/"))) or "none"
        answer.problems.append(
            Problem(f"{where}: segment", f"there is no segment {campaign.segment}; there are: {known}")
        )
        return [(where, campaign)]
    try:
        query = work.queries[f"segments/{campaign.segment}"]
    except ConfigError:
        return [(where, campaign)]  # its findings are in the report already
    answer.problems += segment_problems(campaign, query.contract, where)
    answer.warnings += late_steps(campaign, query.contract, where)
    columns = {column.name: column.nullable for column in query.returns.values() if column.name not in FIRST_COLUMNS}
    answer.collect(
        "messages",
        lambda: Templates.load(campaign, folder, segment_variables(columns), work.settings.pipeline.sender),
    )
    return [(where, campaign)]
