"""`reengage why`: every gate one person passed or not, in order and in words, from what was decided and stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
import typer

from flows.commands.console import All, AsOf, Json, console, show_rows, workspace
from tasks.rules.words import reason

if TYPE_CHECKING:
    from config.campaign import Campaign

COLUMNS = ("episode", "step", "gate", "answer", "because")
NOT_DELIVERED = "marketing_not_delivered"  # asked about WhatsApp only
# The gates of one channel in the order they are asked; the answer names the first that did not open.
CHANNEL_GATES = (
    ("consent", "no_consent", "no consent in force on a basis the campaign accepts here"),
    ("address", "no_address", "consent, but no address, number or active token that can be used"),
    ("not suppressed", "suppressed_address", "the address is on the do-not-write list"),
    ("delivered there", NOT_DELIVERED, "WhatsApp delivers no marketing templates to that country"),
    ("zone known", "zone_unknown", "time zone unknown, so quiet hours cannot be kept"),
)
STATES = {
    "planned": "a message is planned",
    "in_flight": "a message is being handed over",
    "retry_wait": "refused for now by the provider, tried again later",
    "accepted": "the provider took the message",
    "unknown": "handed over without an answer: in doubt, not sent again",
    "abandoned": "in doubt for too long, given up, not sent again",
    "suppressed": "nothing leaves",
    "cancelled": "cancelled before anything left",
    "expired": "waited too long for a way to be sent",
    "rejected": "the provider refused the message for good",
    "holdout": "held out: never written to, to measure the campaign's effect",
    "waiting": "waiting for the next run",
}


def why(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(help="The customer's id.", metavar="CUSTOMER")],
    campaign: Annotated[str, typer.Argument(help="The campaign's name.", metavar="CAMPAIGN")],
    as_of: AsOf = None,
    json: Json = False,
    all_rows: All = False,
) -> None:
    """Say why a person was, or was not, written to: each gate in order, answered from stored decisions."""
    from tasks.store import mode

    work = workspace(context)
    found = work.campaign(campaign)
    at = mode.clock(work, work.instant(as_of), writes=False)
    queries = work.queries
    with work.database.transaction() as connection:
        asked = {"customer_id": customer.strip(), "campaign": campaign}
        person = connection.execute(queries["ledger/why_person"](**asked, as_of=at)).one()
        rows: list[dict[str, Any]] = []
        for enrolment in connection.execute(queries["ledger/why_enrolments"](**asked, as_of=at)).all():
            rows += _enrolment(enrolment, found)
            decisions = connection.execute(
                queries["ledger/why_decisions"](enrolment_id=enrolment.enrolment_id, as_of=at)
            )
            for decision in decisions:
                rows += _decision(enrolment, decision)
        audiences = connection.execute(queries["ledger/why_audiences"](**asked)).all()
    if not rows:
        rows.append(_not_enrolled(person, found))
    rows += [_audience(member) for member in audiences]
    show_rows(
        rows,
        COLUMNS,
        title=f"{customer} in {campaign} as of {_moment(at)}",
        json=json,
        all_rows=all_rows or not json,
        arguments={"customer": customer, "campaign": campaign, "as_of": at, "person": person.person_id},
    )
    if not json and person.person_id != customer.strip():
        console.print(f"{customer} is the same person as {person.person_id}", markup=False)


def _enrolment(row: sa.Row[Any], campaign: Campaign) -> list[dict[str, Any]]:
    told = ", ".join(f"{name} {value}" for name, value in row.evidence.items())
    segment = f"in {campaign.segment} (version {row.segment_sha256[:8]}), counting from {_moment(row.anchor_at)}"
    enrolled = f"enrolled {_moment(row.enrolled_at)} by run {row.run_id} (configuration {row.config_sha256[:8]})"
    experiment = f"u = {row.assigned_u:.6f}, experiment version {row.experiment_version}; variant {row.variant}"
    rows = [
        _row(row, None, "segment", "yes", f"{segment}; {told}" if told else segment),
        _row(row, None, "enrolment", "yes", enrolled),
        _row(row, None, "experiment", row.arm, experiment),
    ]
    if row.closed_at:
        rows.append(
            _row(
                row,
                None,
                "episode",
                "over",
                f"{_moment(row.closed_at)}: {in_a_sentence(row.close_reason)}",
            )
        )
    else:
        rows.append(_row(row, None, "episode", "open", "no goal or stop event seen"))
    return rows


def _decision(enrolment: sa.Row[Any], row: sa.Row[Any]) -> list[dict[str, Any]]:
    rows = []
    for asked in row.gates:
        channel = asked["channel"]
        for gate, code, words in CHANNEL_GATES:
            if code == NOT_DELIVERED and channel != "whatsapp":
                continue
            if asked["answer"] == code:
                rows.append(_row(enrolment, row.step, f"{channel}: {gate}", "no", words))
                break
            detail = f"basis {asked['consent']}" if gate == "consent" else ""
            rows.append(_row(enrolment, row.step, f"{channel}: {gate}", "yes", detail))
    if row.channel:
        rows.append(_row(enrolment, row.step, "channel", row.channel, _chosen(row)))
    if row.due_at:
        leaves = f"leaves from {_moment(row.not_before)} on, expires {_moment(row.expires_at)}"
        rows.append(_row(enrolment, row.step, "timing", "due", f"due {_moment(row.due_at)}; {leaves}"))
    because = STATES[row.state]
    if row.reason:
        because += f": {in_a_sentence(row.reason)}"
    if row.accepted_at:
        because += f" at {_moment(row.accepted_at)}"
    if row.voucher_code and row.state in ("planned", "in_flight", "accepted"):
        because += f"; voucher {row.voucher_code}"
    because += f" (decided {_moment(row.decided_at)}" + (f" by run {row.run_id})" if row.run_id else ")")
    rows.append(_row(enrolment, row.step, "decision", row.state, because))
    return rows


def _chosen(row: sa.Row[Any]) -> str:
    """How the channel came to be the one: what providers refused before, else its place in the campaign's order."""
    told = [f"{refused['channel']} refused: {refused['reason'] or 'refused'}" for refused in row.refused]
    if any(refused["channel"] != row.channel for refused in row.refused):
        return "; ".join([*told, f"next viable: {row.channel}"])
    if told:
        return "; ".join([*told, "no other is viable"])
    if "." in row.step:
        return "each viable channel has a step of its own"
    viable = [asked["channel"] for asked in row.gates if asked["answer"] == "viable"]
    if viable and viable[0] != row.channel:
        return f"{viable[0]} was viable when this was planned and not any more; next viable: {row.channel}"
    return "the first viable one in the campaign's order"


def _not_enrolled(person: sa.Row[Any], campaign: Campaign) -> dict[str, Any]:
    if not person.is_known:
        because = "there is no such customer"
    elif person.last_chosen_at is None:
        because = f"{campaign.name} has not chosen anyone yet; reengage run {campaign.name}"
    else:
        because = f"{campaign.segment} did not return this person up to {_moment(person.last_chosen_at)}"
    return {"episode": None, "step": None, "gate": "segment", "answer": "no", "because": because}


def _audience(row: sa.Row[Any]) -> dict[str, Any]:
    answer = {(True, True): "in", (True, False): "joins", (False, True): "leaves", (False, False): "out"}
    if row.desired and row.reason:
        answer = {(True, True): "leaves", (True, False): "refused"}
    reason = f": {in_a_sentence(row.reason)}" if row.reason else ""
    return {
        "episode": None,
        "step": None,
        "gate": f"{row.platform} audience {row.audience}",
        "answer": answer[row.desired, row.applied],
        "because": f"since {_moment(row.desired_at)}{reason}",
    }


def _row(enrolment: sa.Row[Any], step: str | None, gate: str, answer: str, because: str) -> dict[str, Any]:
    return {"episode": enrolment.episode, "step": step, "gate": gate, "answer": answer, "because": because}


def in_a_sentence(code: str) -> str:
    """A reason in words, to stand after a colon."""
    told = reason(code)
    return told[0].lower() + told[1:]


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
