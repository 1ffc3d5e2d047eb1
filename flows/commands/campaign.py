"""`reengage campaign`: write a new one that runs, list them, show every parameter of one."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from config.errors import Problem
from flows.commands.console import All, Json, console, show_rows, workspace

app = typer.Typer(help="Campaigns: write a new one, list them, show every parameter.", no_args_is_help=True)
_LISTED = (
    "campaign", "state", "segment", "cadence", "channels", "platforms", "steps", "holdout", "period", "description",
)  # fmt: skip

LETTER = {
    "campaign.yaml": """\
{schema}
description: Say in one sentence whom this wins back and how.

segment: {segment}
cadence: daily
at: "06:00"

channels: [email]            # in order; the first that may be used gets the message
steps:
  - send_after: 9h           # from the moment the segment calls the anchor
    messages:
      email: {{subject: "{{{{ customer.first_name | default('Hello') }}}}, we miss you", file: email.html}}

quiet_hours: {{start: "21:00", end: "08:00"}}
holdout: 0.1                 # share of people who are never written to, so that lift can be measured
goal: {{event: purchase}}
""",
    "email.html": """\
<!doctype html>
<html lang="en">
<body>
  <p>Hello {{ customer.first_name | default("there") }},</p>
  <p>it has been a while. <a href="https://shop.example.com/">See what is new</a></p>
  <p style="font-size: .8em">
    {{ sender.name }}, {{ sender.postal_address }} -
    <a href="{{ unsubscribe_url }}">Unsubscribe</a>
  </p>
</body>
</html>
""",
}
RETARGETS = {
    "campaign.yaml": """\
{schema}
description: Say in one sentence whom this writes to again and how.

segment: {segment}
ads: []                      # ids of your ads; none: every ad that has had a bot
cadence: every 5 minutes
purpose: retargeting
channels:
  - {{name: whatsapp, consent: [express, inquiry]}}   # opening a conversation with us is an inquiry, which expires

retargeting:
  when_ad_paused: false      # true: also while the ad is paused
  after_free_window: false   # true: also when the free window is over, at WhatsApp's regular price

steps:                       # up to three, each counted from the customer's last message
  - send_after: 12h
    messages:
      whatsapp:
        file: first.txt      # what the approved template says, for people who read this folder and for test-send
        template: {{name: name_of_your_approved_template, language: en}}

quiet_hours: {{start: "21:00", end: "08:00"}}
holdout: 0.1                 # share of people who are never written to, so that lift can be measured
""",
    "first.txt": """\
Hello, you asked us something a while ago. Shall we go on? Write STOP and we will not write again.
""",
}


@app.command()
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the folder: lower case, digits and _.")],
    segment: Annotated[str, typer.Option(help="A file of sql/segments, without .sql.")] = "lapsing_customers",
) -> None:
    """Write the folder of a campaign that runs as it is; nothing else is needed."""
    from config.errors import ConfigError
    from config.schema import schema_comment

    work = workspace(context)
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
        raise ConfigError(Problem(name, "a campaign's name is lower case letters, digits and _, at most 63"))
    query = work.queries[f"segments/{segment}"]  # raises, naming it, when there is no such segment
    folder = work.settings.folder("campaigns") / name
    if folder.exists():
        raise ConfigError(Problem(str(folder), "exists already"))
    folder.mkdir(parents=True)
    for file, text in (RETARGETS if "ads" in query.params else LETTER).items():
        shown = text.format(schema=schema_comment(folder), segment=segment) if file == "campaign.yaml" else text
        (folder / file).write_text(shown, "utf-8")
    console.print(f"wrote {folder}")
    console.print(f"next: reengage check, then reengage plan {name} (it only tells), then reengage run {name}")


@app.command(name="list")
def list_command(context: typer.Context, json: Json = False, all_rows: All = False) -> None:
    """List the campaigns with what they are for and whether they are paused."""
    work = workspace(context)
    with work.database.transaction() as connection:
        states = {
            name: connection.execute(work.queries["ledger/campaign_state"](campaign=name)).one()
            for name in work.campaigns
        }
    rows = [
        {
            "campaign": name,
            "state": _state(states[name]),
            "segment": campaign.segment,
            "cadence": campaign.cadence,
            "channels": ", ".join(use.name for use in campaign.channels),
            "platforms": ", ".join(use.name for use in campaign.platforms),
            "steps": len(campaign.steps),
            "holdout": campaign.holdout,
            "period": _period(campaign.period.start, campaign.period.end),
            "description": campaign.description,
        }
        for name, campaign in work.campaigns.items()
    ]
    # The table fits a terminal of 80 columns; `campaign show` tells the rest.
    shown = ["campaign", "state", "segment", "cadence", "channels"]
    show_rows(rows, list(_LISTED) if json else shown, json=json, all_rows=all_rows)


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The campaign's name.")],
    json: Json = False,
    all_rows: All = False,
) -> None:
    """Print every parameter with its value, default, meaning and where it was set."""
    from config.provenance import parameters, set_lines

    work = workspace(context)
    campaign = work.campaign(name)
    folder = work.settings.folder("campaigns") / name
    rows = [
        {"parameter": p.path, "value": p.value, "default": p.default, "set_in": p.set_in, "meaning": p.meaning}
        for p in parameters(campaign, folder)
        if p.path != "params"
    ]
    query = work.queries[f"segments/{campaign.segment}"]
    lines = set_lines(folder / "campaign.yaml")
    rows += [
        {
            "parameter": f"params.{param}",
            "value": campaign.params.get(param, declared.default),
            "default": declared.default,
            "set_in": f"campaign.yaml:{lines[f'params.{param}']}" if f"params.{param}" in lines else "default",
            "meaning": declared.meaning,
        }
        for param, declared in query.params.items()
        if param not in ("as_of", "time_zone", "ads")
    ]
    columns = ["parameter", "value", "default", "set_in", "meaning"]
    title = f"{name}: {campaign.description}"
    show_rows(rows, columns, title=title, json=json, all_rows=all_rows or not json, arguments={"campaign": name})


def _state(found: Any) -> str:
    """One word, the strongest first: an ended campaign stays ended whatever else is true."""
    if found.is_ended:
        return "ended"
    return "paused" if found.is_paused else "held (data gate)" if found.is_held else "active"


def _period(start: object, end: object) -> str:
    if not start and not end:
        return "always"
    return f"{start or '...'} to {end or '...'}"
