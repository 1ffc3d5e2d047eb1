"""The audiences that campaigns keep on ad platforms: who is in, on the way or refused, what needs a person (B7)."""

from __future__ import annotations

import streamlit as st

from dashboards import words
from dashboards.audiences import audiences
from dashboards.components import begun, chosen_or_all, clock, every_campaign, not_measured, notices, refresh
from dashboards.reading import explained, snapshot


def page() -> None:
    """The page from top to bottom, from one consistent snapshot."""
    with begun("audiences"), explained(), snapshot() as read:
        name = chosen_or_all(sorted(every_campaign(read)))
        moment = read("data_as_of")
        st.title("Audiences")
        st.markdown(f"Of **{words.title(name)}**." if name else "All campaigns; choose one in the sidebar.")
        notices(read, name)
        if moment.empty:
            refresh(None)
            not_measured()
            return
        measured = moment.iloc[0]
        refresh(measured)
        rows, refused = read("audiences", campaign=name), read("refused_members", campaign=name)
        if rows.empty:
            st.info(
                "No data: nobody is in an audience, nor to be added to one. A campaign keeps audiences when its "
                "campaign.yaml names `platforms:`."
            )
            return
        for campaign in sorted(set(rows["campaign"])):
            of_one = refused[refused["campaign"] == campaign]
            audiences(rows[rows["campaign"] == campaign], of_one, campaign, clock(measured), measured["business_zone"])


page()
