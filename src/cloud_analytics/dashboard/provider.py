"""The page on the provider: the cost of all organisations, the costliest ones, and the largest changes."""

from __future__ import annotations

from calendar import monthrange

import pandas as pd
import streamlit as st

from cloud_analytics.dashboard import charts
from cloud_analytics.dashboard.show import figures, frame, question, table
from cloud_analytics.dashboard.source import Source
from cloud_analytics.insight.numbers import change, number, percent
from cloud_analytics.tables import MONEY, Column
from cloud_analytics.tables.columns import ORG_ID, SHARE, USD

_TOP = 10
_SHARE = Column("share", "double", "its share of the month's cost", SHARE)
_CHANGE = Column("change_usd", MONEY, "cost of the last 7 days - cost of the 7 before", USD)


def page(source: Source) -> None:
    """Show one month of the provider, and the organisations over the newest 14 days."""
    st.title("What does the cloud cost, and whom?", anchor=False)
    month = str(st.selectbox("Month", source.months(), width=200))
    last = monthrange(int(month[:4]), int(month[5:]))[1]
    usage = source.ask("provider", since=f"{month}-01", until=f"{month}-{last}")
    top = source.ask("top-organisations")
    (days, columns), (orgs, costs) = frame(usage), frame(top)
    orgs = orgs.assign(change_usd=2 * orgs["cost_7d"] - orgs["cost_14d"])
    _headline(month, last, days, orgs)
    question(usage)
    charts.over_time(days, columns["usage_date"], columns["total_cost_usd"], columns["service"])
    _services(days, columns)
    question(top)
    left, right = st.columns(2)
    with left:
        st.markdown("**The costliest**")
        charts.ranking(orgs.head(_TOP), ORG_ID, costs["cost_14d"])
    with right:
        st.markdown("**The largest moves: the last 7 days against the 7 before**")
        moves = orgs.loc[orgs["change_usd"].abs().sort_values(ascending=False).index].head(_TOP)
        charts.ranking(moves.sort_values("change_usd", ascending=False), ORG_ID, _CHANGE, signed=True)
    table(orgs, [*[column for name, column in costs.items() if name != "summary_date"], _CHANGE])


def _headline(month: str, last: int, days: pd.DataFrame, orgs: pd.DataFrame) -> None:
    week, before = orgs["cost_7d"].sum(), (orgs["cost_14d"] - orgs["cost_7d"]).sum()
    moved = f"{percent(change(week, before), signed=True)} against the 7 before" if before else "none before"
    used = f"usage on {days['usage_date'].nunique()} of {last} days"
    figures(
        (f"Cost of {month} (USD)", number(days["total_cost_usd"].sum()), used),
        ("Last 7 days (USD)", number(week), moved),
        ("Organisations", number(len(orgs)), "with usage in the last 14 days"),
        (f"Anomalous days of {month}", number(days["anomalous_days"].sum()), "of organisations, by service"),
    )


def _services(days: pd.DataFrame, columns: dict[str, Column]) -> None:
    """Show the cost and usage of each service in the month, the costliest first."""
    used = [name for name, column in columns.items() if column.unit and name not in ("organisations", "total_cost_usd")]
    sums = days.groupby("service", as_index=False)[["total_cost_usd", *used]].sum(min_count=1)
    sums = sums.sort_values("total_cost_usd", ascending=False, ignore_index=True)
    shares = sums.assign(share=sums["total_cost_usd"] / sums["total_cost_usd"].sum())
    table(shares, [columns["service"], columns["total_cost_usd"], _SHARE, *[columns[name] for name in used]])
