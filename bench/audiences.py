"""Ad audiences of a million people: told for the first time, left alone, and changed by a day."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from pydantic import SecretStr

from bench.place import Place, statement, timed
from bench.report import Figure
from bench.sending import provider
from config.platforms import Google
from tasks import http, sync
from tasks.platforms import factory
from tasks.platforms.base import Platform
from tasks.platforms.google import GooglePlatform
from tasks.store import runs
from tasks.store.runs import Run
from tasks.store.workspace import Workspace

PLATFORMS = ("meta", "google")
CHANGED = 0.01  # of the audience in a day: half of them buy and leave, as many are new

PIPELINE = """\
mode: live
ad_platforms:
  - {{platform: meta, endpoint: "{url}", ad_account: "1"}}
  - {{platform: google, endpoint: "{url}", account: "1234567890"}}
"""
CAMPAIGN = """\
segment: lapsing_customers
channels: [email]
platforms: [{platform}]
steps:
  - send_after: 9h
    messages:
      email: {{subject: "Hello", file: email.html}}
"""


def audiences(place: Place, people: int, say: Callable[[str], None]) -> list[Figure]:
    """Each platform by itself: everybody is told for the first time, then nothing changes, then a day does."""
    figures = []
    with provider(0) as url:
        for platform in PLATFORMS:
            figures += _platform(place, url, platform, people)
            say(f"an audience of {people:,} people on {platform}")
    return figures


def _platform(place: Place, url: str, platform: str, people: int) -> list[Figure]:
    work = _stage(place, url, platform)
    few = round(people * CHANGED / 2)
    enrolled_at = datetime.now(UTC) - timedelta(days=1)
    _enrol(work, 1, people, enrolled_at)
    first = timed(lambda: _sync(work))
    unchanged = timed(lambda: _sync(work))
    _enrol(work, people + 1, people + few, enrolled_at)
    with work.database.transaction() as connection:
        # Google has answered by then, which is asked page by page and not what is measured
        connection.execute(sa.text("update campaign.audience_requests set state = 'done'"))
        connection.execute(sa.text("update campaign.audience_members set request_id = null"))
        connection.execute(statement("audience_bought", people=few, as_of=enrolled_at + timedelta(hours=1)))
    changed = timed(lambda: _sync(work))
    with work.database.transaction() as connection:
        found = connection.execute(sa.text("select applied, to_add, to_remove from evaluation.audiences")).one()
    if tuple(found) != (people, 0, 0):
        message = f"{found} of {people:,} are in the audience, still to come and still to go"
        raise RuntimeError(message)
    place.drop(work)
    return [
        Figure(f"{platform}: first sync, people a second", people / first, "/s", 20_000, at_least=True),
        Figure(f"{platform}: nothing changed, seconds", unchanged, "s", 2),
        Figure(f"{platform}: {2 * few:,} people changed, seconds", changed, "s", 5),
    ]


def _stage(place: Place, url: str, platform: str) -> Workspace:
    work = place.workspace(f"audience_{platform}", mode="live", meta_ads_token=SecretStr("bench"))
    config = work.settings.config
    shutil.rmtree(config / "campaigns")
    folder = config / "campaigns" / "back"
    folder.mkdir(parents=True)
    (config / "reengage.yaml").write_text(PIPELINE.format(url=url))
    (folder / "campaign.yaml").write_text(CAMPAIGN.format(platform=platform))
    (folder / "email.html").write_text("<p>Hello</p>")
    return work


def _enrol(work: Workspace, since: int, until: int, as_of: datetime) -> None:
    with work.database.transaction() as connection:
        connection.execute(statement("audience_enrolled", campaign="back", since=since, until=until, as_of=as_of))
    with work.database.alone() as connection:
        connection.execute(sa.text("vacuum (analyze)"))
        connection.execute(sa.text("checkpoint"))


def _sync(work: Workspace) -> None:
    with runs.begin(work, "reengage", work.campaign("back"), None) as run:
        sync.audiences(run, connect=_connect)


def _connect(run: Run, platform: str) -> Platform:
    """As the pipeline does, but for Google's own server, which gives access tokens."""
    options = run.work.settings.pipeline.ad_platform(platform)
    if isinstance(options, Google):
        return GooglePlatform(http.client(options.endpoint, timeout=20), options, token=lambda: "bench")
    return factory.open_platform(run.work, platform, platform, mode="live")
