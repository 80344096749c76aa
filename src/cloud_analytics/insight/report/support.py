"""Tickets, what waits, broken SLAs, and what customers say."""

from __future__ import annotations

import pandas as pd

from cloud_analytics.insight import plots
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.measures import lacking
from cloud_analytics.insight.report.numbers import known, number, percent, plural, ratio, total
from cloud_analytics.insight.report.view import Cell, Section, Table, rows

_SEVERITIES = ("critical", "high", "medium", "low")


def support(facts: Facts) -> Section:
    """Tickets, SLA breaches and what customers say."""
    title, found = "Support", facts.tickets
    if found.empty:
        return Section("support", title, lacking(facts, "support_tickets", "There are no tickets."))
    tickets, opened, breaches = (total(found[n]) for n in ("total_tickets", "open_tickets", "sla_breach_count"))
    csat = ratio(total(facts.csat["score"]), total(facts.csat["responses"]))
    surveys = total(facts.nps["surveys"])
    nps = ratio(total(facts.nps["score"]), surveys)
    lead = f"{percent(ratio(breaches, tickets))} of {plural(tickets, 'ticket')} broke their SLA and {opened:,} are open"
    lead += f"; customers rate their tickets {number(csat, decimals=2)} of 5" if csat is not None else ""
    lead += f", and {plural(surveys, 'survey')} give a mean NPS score of {number(nps, decimals=1)}" if surveys else ""
    counts = ["total_tickets", "open_tickets", "sla_breach_count"]
    sums = found.groupby("severity", as_index=False)[counts].sum()
    severities = Table(
        "By severity",
        ("severity", "tickets", "open", "SLA breaches", "breach rate"),
        [
            [
                row.severity,
                *[number(getattr(row, name)) for name in counts],
                percent(ratio(row.sla_breach_count, row.total_tickets)),
            ]
            for row in rows(by_severity(sums))
        ],
    )
    # As objects: a month that only one of them has would turn the other's counts into floats.
    csats, surveyed = facts.csat.astype(object), facts.nps.astype(object)
    months = csats.merge(surveyed, on="month", how="outer", suffixes=("", "_nps")).sort_values("month")
    opinions = Table(
        "Satisfaction by month",
        ("month", "tickets", "rated", "mean CSAT", "4 or 5", "surveys", "mean NPS"),
        [
            [
                row.month,
                number(row.tickets),
                percent(ratio(row.responses, row.tickets)),
                number(ratio(row.score, row.responses), decimals=2),
                percent(ratio(row.good, row.responses)),
                number(row.surveys),
                number(ratio(row.score_nps, row.surveys), decimals=1),
            ]
            for row in rows(months)
        ],
    )
    notes = [
        "Tickets count on the day they were created; the rated share is of a month's tickets; CSAT is 1–5, and the"
        " share of 4 and 5 is of the rated ones."
    ]
    tables = [severities, *_backlog(facts), opinions]
    if len(facts.sla):
        tables.append(_contradictions(facts))
        notes.append(
            "The data hold no SLA limits, so a verdict is held against the days from creation to resolution: it"
            " contradicts them where a ticket resolved on the day of its creation counts as breached, or where one that"
            " took longer than the median breached ticket of its severity does not. Limits in hours, or on the first"
            " answer, could explain both."
        )
    return Section("support", title, lead + ".", [plots.tickets(found)], tables, notes)


def _backlog(facts: Facts) -> list[Table]:
    """What waited at the end of the last day; no table where there is none."""
    found = facts.backlog
    if found.empty:
        return []
    body: list[list[Cell]] = [
        [row.severity, number(row.open_tickets), number(row.open_over_7_days), number(row.oldest_open_days)]
        for row in rows(by_severity(found))
    ]
    oldest = max((days for days in found["oldest_open_days"] if known(days)), default=None)
    sums = [number(total(found[name])) for name in ("open_tickets", "open_over_7_days")]
    body.append(["all", *sums, number(oldest)])
    day = f"{pd.Timestamp(found['backlog_date'].iloc[0]):%Y-%m-%d}"
    columns = ("severity", "open", "over 7 days", "oldest (days)")
    return [Table(f"Backlog at the end of {day}", columns, body)]


def _contradictions(facts: Facts) -> Table:
    names = ("resolved", "breached_at_once", "kept_but_long")
    body: list[list[Cell]] = [
        [row.severity, *[number(getattr(row, name)) for name in names], number(row.breached_days, decimals=1)]
        for row in rows(by_severity(facts.sla))
    ]
    columns = ("severity", "resolved", "breached on day 0", "long, not breached", "median breached (days)")
    return Table("SLA verdicts that contradict the days they took", columns, body)


def by_severity(frame: pd.DataFrame) -> pd.DataFrame:
    """The severest first, words that are none of the four last."""
    order = {word: place for place, word in enumerate(_SEVERITIES)}
    return frame.sort_values("severity", key=lambda words: words.map(lambda word: (order.get(word, 9), word)))
