"""The page on support: backlog, SLA breaches, and satisfaction of customers."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cloud_analytics.dashboard import charts
from cloud_analytics.dashboard.show import figures, frame, organisation, show_answer
from cloud_analytics.dashboard.source import Source
from cloud_analytics.insight.numbers import number
from cloud_analytics.serving.queries import Answer
from cloud_analytics.tables import Column

_NOTHING = "This organisation never had a ticket."


def page(source: Source) -> None:
    """Show backlog, tickets and satisfaction of one organisation."""
    st.title("Are customers helped in time, and content?", anchor=False)
    org = organisation(source)
    signals = source.ask("signals", org)
    if signals.rows:
        _headline(signals)
    show_answer(source.ask("backlog", org), _NOTHING, _backlog)
    show_answer(source.ask("tickets", org), _NOTHING, _tickets)


def _headline(answer: Answer) -> None:
    row = frame(answer)[0].iloc[0]
    figures(
        ("Open tickets", number(row["open_tickets"]), "not resolved by now"),
        ("SLA breaches", number(row["sla_breaches_90d"]), "of the tickets of 90 days"),
        ("Mean satisfaction (1–5)", number(row["avg_csat_90d"], decimals=2), "with the tickets of 90 days"),
        ("Last survey (−100 to 100)", number(row["last_nps_score"]), str(row["last_survey_date"] or "none")),
    )


def _backlog(rows: pd.DataFrame, columns: dict[str, Column]) -> None:
    charts.over_time(rows, columns["backlog_date"], columns["open_tickets"], columns["severity"])


def _tickets(rows: pd.DataFrame, columns: dict[str, Column]) -> None:
    left, right = st.columns(2)
    with left:
        st.markdown("**SLA breaches, on the day their tickets were created**")
        charts.over_time(rows, columns["ticket_date"], columns["sla_breach_count"], columns["severity"])
    with right:
        st.markdown("**Satisfaction with the tickets of a day**")
        rated = rows.dropna(subset=["avg_csat"])
        charts.points(rated, columns["ticket_date"], columns["avg_csat"], columns["severity"])
