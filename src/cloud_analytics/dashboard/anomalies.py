"""The page on anomalies and shifts: anomalous days and lasting rises of cost, the largest first, with their causes."""

from __future__ import annotations

import streamlit as st

from cloud_analytics.dashboard import charts
from cloud_analytics.dashboard.show import frame, legible, organisation, question, say, table
from cloud_analytics.dashboard.source import Source
from cloud_analytics.insight.alerts import reason, shifts
from cloud_analytics.serving.queries import Answer
from cloud_analytics.tables import MONEY, Column
from cloud_analytics.tables.columns import COUNT, SERVICE, USD

_TOP = 15
_WHAT = Column("what", "string", "day and service")
_CAUSE = Column("cause", "string", "why the row is here, from its own figures")
_SHOWN = (
    "usage_date", "service", "impact_usd", "cause", "actual_cost_usd", "expected_cost_usd", "impact_pct",
    "anomaly_score", "top_resource_id",
)  # fmt: skip
_SHIFT = (
    SERVICE,
    Column("signal", "string", "level shift: the level rose and stays; drift: costs rise day by day"),
    Column("first_day", "date", "first day on which the signal stands"),
    Column("last_day", "date", "last day on which it stands"),
    Column("days", "bigint", "days on which it stands", COUNT),
    Column("from_usd", MONEY, "what a day cost before", USD),
    Column("to_usd", MONEY, "what a day costs on the last of these days", USD),
)


def page(source: Source) -> None:
    """Show the anomalous days of the provider's newest month, then the anomalies and shifts of one organisation."""
    st.title("What stands out, and why?", anchor=False)
    month = source.months()[0]
    st.subheader(f"On how many days of {month} did a service of an organisation stand out?", anchor=False)
    days, columns = frame(source.ask("provider", since=f"{month}-01"))
    charts.over_time(days, columns["usage_date"], columns["anomalous_days"], columns["service"])
    org = organisation(source)
    _anomalies(source.ask("anomalies", org, top=_TOP))
    _shifts(source.ask("shifts", org))


def _anomalies(answer: Answer) -> None:
    question(answer)
    rows, columns = frame(answer)
    if rows.empty:
        say("No day and no event of this organisation stands out.")
        return
    rows["cause"] = [reason(row) for row in legible(answer.rows)]
    rows["what"] = [f"{day} {service}" for day, service in zip(rows["usage_date"], rows["service"])]
    expected = rows.dropna(subset=["expected_cost_usd"])
    charts.span(expected, _WHAT, columns["expected_cost_usd"], columns["actual_cost_usd"])
    table(rows, [{**columns, "cause": _CAUSE}[name] for name in _SHOWN], lines=2)


def _shifts(answer: Answer) -> None:
    question(answer)
    rows = shifts(frame(answer)[0])
    if rows.empty:
        say("No level of cost of this organisation has shifted or drifts.")
        return
    rows["what"] = [f"{service}: {signal}" for service, signal in zip(rows["service"], rows["signal"])]
    charts.span(rows, _WHAT, _SHIFT[-2], _SHIFT[-1])
    table(rows, _SHIFT)
