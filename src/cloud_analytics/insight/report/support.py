"""The section on support: tickets, backlog, SLA breaches, and ratings by customers."""

from __future__ import annotations

import pandas as pd

from cloud_analytics.insight import plots
from cloud_analytics.insight.numbers import known, number, percent, plural, ratio, total
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.view import Section, Table, rows


def support(facts: Facts) -> Section:
    """Tickets, backlog, SLA breaches and ratings by customers."""
    title, found = "Support", facts.tickets
    if found.empty:
        return Section("support", title, facts.lacking("support_tickets", "There are no tickets."))
    counts = ["total_tickets", "open_tickets", "sla_breach_count"]
    tickets, opened, breaches = (total(found[name]) for name in counts)
    csat = ratio(total(facts.csat["score"]), total(facts.csat["responses"]))
    surveys = total(facts.nps["surveys"])
    nps = ratio(total(facts.nps["score"]), surveys)
    lead = f"{percent(ratio(breaches, tickets))} of {plural(tickets, 'ticket')} broke their SLA and {opened:,} are open"
    lead += f"; customers rate their tickets {number(csat, decimals=2)} of 5" if csat is not None else ""
    lead += f", and {plural(surveys, 'survey')} give a mean NPS score of {number(nps, decimals=1)}" if surveys else ""
    severities = Table.of(
        "By severity",
        rows(by_severity(found.groupby("severity", as_index=False)[counts].sum())),
        {
            "severity": lambda row: row.severity,
            "tickets": lambda row: number(row.total_tickets),
            "open": lambda row: number(row.open_tickets),
            "SLA breaches": lambda row: number(row.sla_breach_count),
            "breach rate": lambda row: percent(ratio(row.sla_breach_count, row.total_tickets)),
        },
    )
    notes = [
        "Tickets count on the day they were created; the rated share is of a month's tickets; CSAT is 1–5, and the"
        " share of 4 and 5 is of the rated ones."
    ]
    verdicts = _contradictions(facts.sla)
    if verdicts.rows:
        notes.append(
            "The data hold no SLA limits, so a verdict is held against the days from creation to resolution: it"
            " contradicts them where a ticket resolved on the day of its creation counts as breached, or where one that"
            " took longer than the median breached ticket of its severity does not. Limits in hours, or on the first"
            " answer, could explain both."
        )
    tables = [severities, _backlog(facts.backlog), _satisfaction(facts), verdicts]
    return Section("support", title, lead + ".", [plots.tickets(found)], tables, notes)


def _backlog(found: pd.DataFrame) -> Table:
    """The open tickets at the end of the last day, by severity and in total."""
    if found.empty:
        return Table("Backlog", (), ())
    oldest = max((days for days in found["oldest_open_days"] if known(days)), default=None)
    counts = {name: total(found[name]) for name in ("open_tickets", "open_over_7_days")}
    whole = {"severity": "all", **counts, "oldest_open_days": oldest}
    return Table.of(
        f"Backlog at the end of {pd.Timestamp(found['backlog_date'].iloc[0]):%Y-%m-%d}",
        [*by_severity(found).to_dict("records"), whole],
        {
            "severity": lambda row: row["severity"],
            "open": lambda row: number(row["open_tickets"]),
            "over 7 days": lambda row: number(row["open_over_7_days"]),
            "oldest (days)": lambda row: number(row["oldest_open_days"]),
        },
    )


def _satisfaction(facts: Facts) -> Table:
    """Ratings by customers per month: scores of tickets, and surveys."""
    # As objects, because pandas would turn counts into floats if a month is missing in one of the two frames.
    scores, surveys = facts.csat.astype(object), facts.nps.astype(object)
    months = scores.merge(surveys, on="month", how="outer", suffixes=("", "_nps")).sort_values("month")
    return Table.of(
        "Satisfaction by month",
        rows(months),
        {
            "month": lambda row: row.month,
            "tickets": lambda row: number(row.tickets),
            "rated": lambda row: percent(ratio(row.responses, row.tickets)),
            "mean CSAT": lambda row: number(ratio(row.score, row.responses), decimals=2),
            "4 or 5": lambda row: percent(ratio(row.good, row.responses)),
            "surveys": lambda row: number(row.surveys),
            "mean NPS": lambda row: number(ratio(row.score_nps, row.surveys), decimals=1),
        },
    )


def _contradictions(found: pd.DataFrame) -> Table:
    """By severity, the number of SLA verdicts that contradict the days from creation to resolution."""
    return Table.of(
        "SLA verdicts that contradict the days they took",
        rows(by_severity(found)),
        {
            "severity": lambda row: row.severity,
            "resolved": lambda row: number(row.resolved),
            "breached on day 0": lambda row: number(row.breached_at_once),
            "long, not breached": lambda row: number(row.kept_but_long),
            "median breached (days)": lambda row: number(row.breached_days, decimals=1),
        },
    )


def by_severity(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort the rows by severity, the highest first; unknown words come last."""
    order = {word: place for place, word in enumerate(reversed(plots.SEVERITIES))}
    return frame.sort_values("severity", key=lambda words: words.map(lambda word: (order.get(word, 9), word)))
