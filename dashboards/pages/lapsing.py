"""One campaign that wins customers back: who was reached and why not, what followed, whether it made a difference."""

from __future__ import annotations

import streamlit as st

from dashboards import words
from dashboards.components import (
    begun,
    chosen,
    definition,
    every_campaign,
    link,
    not_measured,
    notices,
    retargeting,
    window,
)
from dashboards.followed import followed, followed_part
from dashboards.lift import lift
from dashboards.narrowing import Narrowed, Place, narrowed, placed
from dashboards.reach import reach
from dashboards.reading import Read, explained, snapshot


def page() -> None:
    """The page from top to bottom, from one consistent snapshot."""
    with begun("lapsing"), explained(), snapshot() as read:
        names = sorted(every_campaign(read) - retargeting(read))
        if not names:
            st.title("Lapsing customers")
            st.info("There is no campaign of this kind yet. `reengage campaign new` writes one.")
            return
        name = chosen(names)
        campaign = definition(name)
        heading, moment = st.container(), read("data_as_of")
        with heading:
            st.title(words.title(name))
            if campaign and campaign.description:
                st.markdown(campaign.description)
        notices(read, name)
        if moment.empty:
            window(None)
            not_measured()
            return
        measured = moment.iloc[0]
        hours = window(measured)
        place = placed(read, name)
        hours, bought = place.hours(hours, measured), place.reading(read)
        people = read("people", campaign=name, **place.asked())
        if people.empty and place.is_part:
            st.info(f"No data: nobody of this campaign is in this part ({place.said}).")
        elif people.empty:
            st.info("Nobody has been enrolled in this campaign yet, so there is no data to show.")
        else:
            reach(people)
            part = _narrowed(read, name, hours, place)
            if part.is_part:
                followed_part(bought, name, campaign, hours, part)
            else:
                followed(bought, name, campaign, hours, people)
            is_anyone_reached = "reached" in set(people["standing"])
            lift(
                bought, name, campaign, hours, measured, is_anyone_reached=is_anyone_reached, narrowed_by=part.by,
                place=place,
            )  # fmt: skip
        st.markdown(
            "More of this campaign: "
            + link("what providers reported and what is open", "deliverability", campaign=name)
            + ", "
            + link("its ad audiences", "audiences", campaign=name)
        )


def _narrowed(read: Read, name: str, hours: int, place: Place) -> Narrowed:
    """What the sidebar leaves of the campaign's messages."""
    by_grain = read("attributed_people", campaign=name, hours=hours)
    values = {grain: list(by_grain[by_grain["grain"] == grain]["value"]) for grain in ("channel", "variant")}
    sent_on = read("attributed_days", campaign=name, hours=hours)["sent_on"]
    days = (min(sent_on), max(sent_on)) if len(sent_on) else None
    return narrowed(values["channel"], values["variant"], days, place)


page()
