"""Billing: what was invoiced against what was used, what the month will cost, and which tag it goes to."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cloud_analytics.dashboard import charts
from cloud_analytics.dashboard.show import (
    answered,
    beside,
    distrust,
    figures,
    frame,
    number,
    organisation,
    question,
    say,
    table,
)
from cloud_analytics.dashboard.source import Source
from cloud_analytics.serving.queries import Answer
from cloud_analytics.tables import MONEY, Column
from cloud_analytics.tables.columns import SHARE, USD

_STEP = Column("step", "string", "usage, the difference of each month, invoices")
_AMOUNT = Column("amount_usd", MONEY, "how much", USD)
_WHAT = Column("what", "string", "what of the month's cost")
_SHARE = Column("share", "double", "its share of the cost", SHARE)


def page(source: Source) -> None:
    """Reconciliation, forecast and tags of one organisation."""
    st.title("Does the bill fit the usage, and what comes next?", anchor=False)
    org = organisation(source)
    bill = source.ask("reconciliation", org)
    _reconciliation(bill)
    notes = st.container()  # filled last: they may read Silver
    _forecast(source.ask("forecast", org))
    _tags(source, org)
    with notes:
        distrust(source, bill)


def _reconciliation(answer: Answer) -> None:
    rows = answered(answer, "There is neither usage nor an invoice of this organisation.")
    if rows.empty:
        return
    charts.bridge(_bridge(rows.sort_values("month")), _STEP, _AMOUNT)
    table(rows, beside(answer))
    partial = sorted(rows["month"][~rows["covers_month"].eq(True)])
    if partial:
        say(
            f"The usage here does not cover the whole of {', '.join(partial)}: whether those invoices are right cannot"
            " be told from these data."
        )


def _bridge(rows: pd.DataFrame) -> pd.DataFrame:
    """From the usage of all months, over the difference of each, to what was invoiced."""
    foot = rows["usage_cost_usd"].sum()
    steps = [("used", 0.0, foot, "used")]
    for month, difference in zip(rows["month"], rows["difference_usd"]):
        steps.append((month, foot, foot + difference, "billed more" if difference > 0 else "billed less"))
        foot += difference
    steps.append(("invoiced", 0.0, foot, "invoiced"))
    found = pd.DataFrame(steps, columns=["step", "foot", "top", "kind"])
    return found.assign(amount_usd=found["top"] - found["foot"])


def _forecast(answer: Answer) -> None:
    rows = answered(answer, "No forecast has been made of this organisation: `run` and `reconcile` end with one.")
    if rows.empty:
        return
    declared = answer.request.table.declared
    newest = rows.iloc[0]
    bars = [("spent so far", "actual_to_date_usd"), ("expected", "expected_usd"), ("budget", "budget_usd")]
    drawn = pd.DataFrame({"what": [name for name, _ in bars], "expected_usd": [newest[column] for _, column in bars]})
    drawn[["low_usd", "high_usd"]] = None
    drawn.loc[1, ["low_usd", "high_usd"]] = [newest["low_usd"], newest["high_usd"]]
    used, will = newest["budget_used_pct"], "it will not do" if newest["expected_over_budget"] else "it will do"
    figures(
        (
            f"Expected of {newest['forecast_month']} (USD)",
            number(newest["expected_usd"]),
            f"forecast on {newest['as_of_date']}",
        ),
        (
            "80 % interval (USD)",
            f"{number(newest['low_usd'])} – {number(newest['high_usd'])}",
            "by the errors of the method so far",
        ),
        (
            "Budget (USD)",
            number(newest["budget_usd"]),
            "none is set" if pd.isna(used) else f"{number(used)} % used, and {will}",
        ),
    )
    charts.interval(
        drawn.dropna(subset=["expected_usd"]),
        _WHAT,
        declared["expected_usd"],
        declared["low_usd"],
        declared["high_usd"],
    )
    table(rows, beside(answer))


def _tags(source: Source, org: str) -> None:
    keys = source.tag_keys(org)
    if not keys:
        st.subheader("What did the organisation spend by the value of a tag?", anchor=False)
        say("No resource of this organisation has a tag.")
        return
    place = st.container()
    key = st.selectbox("Tag", keys, accept_new_options=True, width=450)
    answer = source.ask("tags", org, tag_key=key)
    with place:
        question(answer)
    rows, declared = frame(answer), answer.request.table.declared
    if rows.empty:
        say("The organisation has no cost by this tag.")
        return
    charts.over_time(rows, declared["usage_date"], declared["cost_usd"], declared["tag_value"])
    sums = rows.groupby("tag_value", as_index=False)[["cost_usd"]].sum().sort_values("cost_usd", ascending=False)
    table(
        sums.assign(share=sums["cost_usd"] / sums["cost_usd"].sum()),
        [declared["tag_value"], declared["cost_usd"], _SHARE],
    )
