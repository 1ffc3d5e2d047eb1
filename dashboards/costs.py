"""What a campaign's WhatsApp messages cost, and what a newly qualified lead cost (R9): one section of a page."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import pandas as pd
import streamlit as st

from dashboards import words
from dashboards.components import table

STANDINGS: Final = {
    "free": "Free",
    "charged": "Billable",
    "no_price": "Billable, no price",
    "not_delivered": "Not delivered",
}
_HELP: Final = {
    "free": "Within the 72 hours that a click-to-WhatsApp ad opens, or otherwise at no charge.",
    "charged": "At the price of the number's country, the message's category and the day it left.",
    "no_price": "Your price table says nothing about them, so their cost is in none of the amounts here.",
    "not_delivered": "Accepted, and later reported as not delivered: WhatsApp charges for delivered messages only.",
}


def costs(rows: pd.DataFrame, per_lead: pd.DataFrame) -> None:
    """The section from the rows of queries/costs.sql and queries/costs_per_lead.sql; one currency is never another."""
    st.header("What it cost on WhatsApp")
    if rows.empty:
        st.info("No data: no WhatsApp message of this campaign was accepted yet.")
        return
    sends = rows.groupby("standing")["sends"].sum()
    for column, standing in zip(st.columns(len(STANDINGS)), STANDINGS, strict=True):
        column.metric(
            STANDINGS[standing],
            words.count(sends.get(standing, 0)),
            border=True,
            height="stretch",
            help=_HELP[standing],
        )
    if rows["is_example"].any():
        st.warning("Some of these prices are examples, made up for simulated databases: the amounts mean nothing.")
    _amounts(rows[rows["standing"] == "charged"], per_lead)
    _without_price(rows[rows["standing"] == "no_price"])


def _amounts(charged: pd.DataFrame, per_lead: pd.DataFrame) -> None:
    """Per message and over all: cost, of one billable message, leads that qualified after it, cost of one."""
    if per_lead["currency"].isna().all():
        leads = int(per_lead[per_lead["step"].isna()]["leads"].sum())
        st.markdown(f"No message of a known price was charged. Newly qualified leads: {words.count(leads)}.")
        return
    rows = [
        [
            "All messages" if pd.isna(row.step) else words.step(row.step),
            words.money(row.cost, row.currency),
            _per_message(charged, None if pd.isna(row.step) else row.step, row.currency),
            words.count(row.leads),
            _per_lead(row.cost_per_lead, row.currency, is_partial=bool(row.no_price)),
        ]
        for row in per_lead.itertuples()
    ]
    table(
        ["Message", "Cost", "Cost per billable message", "Newly qualified leads", "Cost per newly qualified lead"], rows
    )
    currencies = per_lead["currency"].nunique()
    several = " With several currencies a lead cost the sum of its lines." if currencies > 1 else ""
    st.caption(
        "A lead counts for the last message before it qualified, whoever else got that message is in the cost. "
        f"Other channels are not priced.{several}"
    )


def _per_message(charged: pd.DataFrame, step: str | None, currency: str) -> str:
    """The mean of what was charged at a known price; WhatsApp's prices have fractions of a cent."""
    one = charged[(charged["currency"] == currency) & ((charged["step"] == step) | (step is None))]
    messages = int(one["sends"].sum())
    return words.money(one["cost"].sum() / messages, currency, digits=4) if messages else "no data"


def _per_lead(cost: Decimal | None, currency: str, *, is_partial: bool) -> str:
    if pd.isna(cost):
        return "no data"
    return f"at least {words.money(cost, currency)}" if is_partial else words.money(cost, currency)


def _without_price(rows: pd.DataFrame) -> None:
    if rows.empty:
        return
    grouped = rows.groupby(["country", "category"], as_index=False)["sends"].sum()
    grouped = grouped.sort_values(["sends", "country", "category"], ascending=[False, True, True])
    table(
        ["Country without a price", "Category", "Messages"],
        [
            [
                row.country or "Not known",
                words.title(row.category) if row.category else "Not known",
                words.count(row.sends),
            ]
            for row in grouped.itertuples()
        ],
    )
    st.caption("Add them to your table of WhatsApp's prices; the next evaluation counts them then.")
