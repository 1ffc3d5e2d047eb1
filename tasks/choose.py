"""Choose who a campaign is for now."""

from __future__ import annotations

from tasks.step import say, show_table, step
from tasks.store import choosing
from tasks.store.choosing import Chosen
from tasks.store.runs import Run


@step(name="choose members", tags=["choose"], retries=2)
def members(run: Run) -> Chosen:
    """Enrol who is new in the segment and close the episodes that are over; one transaction, safe to repeat."""
    # Repeated: an erasure takes a person's messages before their episodes, this the other way round.
    chosen = run.work.database.repeated(lambda connection: choosing.choose(run, connection))
    run.counts["choose"] = chosen.counts()
    name = run.campaign.name if run.campaign else ""
    closed = sum(chosen.closed.values())
    if chosen.standing.is_on:
        passed = "looked at everybody" if chosen.full_pass else "looked at who changed"
        say(f"{name}: {passed}, {chosen.found:,} found, {chosen.new:,} new, {closed:,} episodes over")
        if chosen.standing.is_held:
            say(f"{name} is held by the data gate: what is planned waits")
        if chosen.outside_free_window:
            say(
                f"{name}: {chosen.outside_free_window:,} of the new ones are outside the free window when a step is "
                "due and will not be written to; `after_free_window: true` writes to them at WhatsApp's price"
            )
        if chosen.forgotten:
            say(
                f"{name}: {chosen.forgotten:,} were not enrolled: what they are found for began before what the ledger "
                "remembers (`retention: {ledger: ...}`), so nobody could tell whether they were written to about it"
            )
    else:
        say(f"{name} is {chosen.standing.why}: nobody new, {closed:,} episodes over")
    rows = [
        {"what": "found in the segment", "people": chosen.found},
        *(
            [{"what": "of them outside the free window when due", "people": chosen.outside_free_window}]
            if chosen.outside_free_window
            else []
        ),
        *([{"what": "not enrolled: older than the ledger", "people": chosen.forgotten}] if chosen.forgotten else []),
        *({"what": f"newly enrolled, {arm}", "people": people} for arm, people in sorted(chosen.enrolled.items())),
        *({"what": f"episode over: {reason}", "people": people} for reason, people in sorted(chosen.closed.items())),
    ]
    show_table(f"chosen-{name.replace('_', '-')}", rows, "Who was chosen, and which episodes are over")
    return chosen
