"""Support: what waits, what broke its SLA, and how content customers are."""

from __future__ import annotations

import streamlit as st

from cloud_analytics.dashboard import charts
from cloud_analytics.dashboard.show import answered, beside, figures, frame, number, organisation, table
from cloud_analytics.dashboard.source import Source
from cloud_analytics.serving.queries import Answer


def page(source: Source) -> None:
    """Backlog, tickets and satisfaction of one organisation."""
    st.title("Are customers helped in time, and content?", anchor=False)
    org = organisation(source)
    signals = source.ask("signals", org)
    if signals.rows:
        _headline(signals)
    _backlog(source.ask("backlog", org))
    _tickets(source.ask("tickets", org))


def _headline(answer: Answer) -> None:
    row = frame(answer).iloc[0]
    figures(
        ("Open tickets", number(row["open_tickets"]), "not resolved by now"),
        ("SLA breaches", number(row["sla_breaches_90d"]), "of the tickets of 90 days"),
        ("Mean satisfaction (1–5)", number(row["avg_csat_90d"], 2), "with the tickets of 90 days"),
        ("Last survey (−100 to 100)", number(row["last_nps_score"]), str(row["last_survey_date"] or "none")),
    )


def _backlog(answer: Answer) -> None:
    rows, declared = answered(answer, "This organisation never had a ticket."), answer.request.table.declared
    if rows.empty:
        return
    charts.over_time(rows, declared["backlog_date"], declared["open_tickets"], declared["severity"])
    table(rows, beside(answer))


def _tickets(answer: Answer) -> None:
    rows, declared = answered(answer, "This organisation never had a ticket."), answer.request.table.declared
    if rows.empty:
        return
    left, right = st.columns(2)
    with left:
        st.markdown("**SLA breaches, on the day their tickets were created**")
        charts.over_time(rows, declared["ticket_date"], declared["sla_breach_count"], declared["severity"])
    with right:
        st.markdown("**Satisfaction with the tickets of a day**")
        charts.points(
            rows.dropna(subset=["avg_csat"]), declared["ticket_date"], declared["avg_csat"], declared["severity"]
        )
    table(rows, beside(answer))
