"""The page on billing: invoices compared with usage, the forecast of the month, and cost by tag."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cloud_analytics.dashboard import charts
from cloud_analytics.dashboard.show import distrust, figures, frame, organisation, question, say, show_answer, table
from cloud_analytics.dashboard.source import Source
from cloud_analytics.insight.alerts import uncovered_months
from cloud_analytics.insight.numbers import number
from cloud_analytics.tables import MONEY, Column
from cloud_analytics.tables.columns import SHARE, USD
from cloud_analytics.untrusted import printable

_STEP = Column("step", "string", "usage, the difference of each month, invoices")
_AMOUNT = Column("amount_usd", MONEY, "how much", USD)
_WHAT = Column("what", "string", "what of the month's cost")
_SHARE = Column("share", "double", "its share of the cost", SHARE)


def page(source: Source) -> None:
    """Show reconciliation, forecast and tags of one organisation."""
    st.title("Does the bill fit the usage, and what comes next?", anchor=False)
    org = organisation(source)
    bill = source.ask("reconciliation", org)
    show_answer(bill, "There is neither usage nor an invoice of this organisation.", _bridge)
    for sentence in uncovered_months(frame(bill)[0]):
        say(sentence)
    notes = st.container()  # filled last, because the warnings may read Silver
    nothing = "No forecast has been made of this organisation: `run` and `reconcile` end with one."
    show_answer(source.ask("forecast", org), nothing, _forecast)
    _tags(source, org)
    with notes:
        distrust(source, bill)


def _bridge(rows: pd.DataFrame, _columns: dict[str, Column]) -> None:
    """Show one bar per step: the usage of all months, the difference of each month, and the sum of invoices."""
    rows = rows.sort_values("month")
    foot = rows["usage_cost_usd"].sum()
    steps = [("used", 0.0, foot, "used")]
    for month, difference in zip(rows["month"], rows["difference_usd"]):
        steps.append((month, foot, foot + difference, "billed more" if difference > 0 else "billed less"))
        foot += difference
    steps.append(("invoiced", 0.0, foot, "invoiced"))
    found = pd.DataFrame(steps, columns=["step", "foot", "top", "kind"])
    charts.bridge(found.assign(amount_usd=found["top"] - found["foot"]), _STEP, _AMOUNT)


def _forecast(rows: pd.DataFrame, columns: dict[str, Column]) -> None:
    newest = rows.iloc[0]
    low, high, used = newest["low_usd"], newest["high_usd"], newest["budget_used_pct"]
    verdict = "it will not do" if newest["expected_over_budget"] else "it will do"
    budget = "none is set" if pd.isna(used) else f"{number(used)} % used, and {verdict}"
    month, day = newest["forecast_month"], newest["as_of_date"]
    figures(
        (f"Expected of {month} (USD)", number(newest["expected_usd"]), f"forecast on {day}"),
        ("80 % interval (USD)", f"{number(low)} – {number(high)}", "by the errors of the method so far"),
        ("Budget (USD)", number(newest["budget_usd"]), budget),
    )
    bars = pd.DataFrame(
        {
            "what": ["spent so far", "expected", "budget"],
            "expected_usd": newest[["actual_to_date_usd", "expected_usd", "budget_usd"]].to_list(),
            "low_usd": [None, low, None],
            "high_usd": [None, high, None],
        }
    )
    interval = (columns[name] for name in ("expected_usd", "low_usd", "high_usd"))
    charts.interval(bars.dropna(subset=["expected_usd"]), _WHAT, *interval)


def _tags(source: Source, org: str) -> None:
    keys = source.tag_keys(org)
    if not keys:
        st.subheader("What did the organisation spend by the value of a tag?", anchor=False)
        say("No resource of this organisation has a tag.")
        return
    place = st.container()
    key = st.selectbox("Tag", keys, format_func=printable, accept_new_options=True, width=450)
    answer = source.ask("tags", org, tag_key=key)
    with place:
        question(answer)
    rows, columns = frame(answer)
    if rows.empty:
        say("The organisation has no cost by this tag.")
        return
    charts.over_time(rows, columns["usage_date"], columns["cost_usd"], columns["tag_value"])
    sums = rows.groupby("tag_value", as_index=False)[["cost_usd"]].sum().sort_values("cost_usd", ascending=False)
    shares = sums.assign(share=sums["cost_usd"] / sums["cost_usd"].sum())
    table(shares, [columns["tag_value"], columns["cost_usd"], _SHARE])
