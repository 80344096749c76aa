"""What customers pay and what they say: revenue, support."""

from __future__ import annotations

from cloud_analytics.insight import plots
from cloud_analytics.insight.report.facts import Facts, distrust
from cloud_analytics.insight.report.measures import lacking
from cloud_analytics.insight.report.view import (
    Cell,
    Section,
    Table,
    change,
    number,
    percent,
    plural,
    ratio,
    rows,
    total,
    usd,
)

_AMOUNTS = ("gross_revenue_usd", "credits_applied_usd", "net_revenue_usd", "taxes_usd", "total_due_usd")
_SEVERITIES = ("critical", "high", "medium", "low")


def revenue(facts: Facts) -> Section:
    """What was billed, in USD: gross, credits, net, taxes."""
    title, found = "Revenue", facts.revenue
    if found.empty:
        return Section("revenue", title, lacking(facts, "billing_monthly", "There are no invoices."))
    sums = {name: total(found[name]) for name in _AMOUNTS}
    share = percent(ratio(sums["credits_applied_usd"], sums["gross_revenue_usd"]))
    months = [str(month) for month in found["billing_month"]]
    lead = f"Net revenue is {usd(sums['net_revenue_usd'], 0)} in {plural(len(months), 'month')}"
    lead += f"; credits took {share} of the gross"
    if len(months) > 1:
        moved = change(found["net_revenue_usd"].iloc[-1], found["net_revenue_usd"].iloc[-2])
        lead += f", and {months[-1]} is {percent(moved, signed=True)} against {months[-2]}"
    body: list[list[Cell]] = [
        [str(row.billing_month), *[usd(getattr(row, name), 0) for name in _AMOUNTS]] for row in rows(found)
    ]
    body.append(["all", *[usd(sums[name], 0) for name in _AMOUNTS]])
    table = Table("By month (USD)", ("month", "gross", "credits", "net", "taxes", "due"), body)
    notes = [
        "Net is gross − credits, due is net + taxes. Invoices in other currencies are converted at their own rate.",
        *distrust(facts, "F3", "F4"),
    ]
    return Section("revenue", title, lead + ".", [plots.revenue_bridge(found)], [table], notes)


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
    order = {word: place for place, word in enumerate(_SEVERITIES)}
    sums = sums.sort_values("severity", key=lambda words: words.map(lambda word: (order.get(word, 9), word)))
    severities = Table(
        "By severity",
        ("severity", "tickets", "open", "SLA breaches", "breach rate"),
        [
            [
                row.severity,
                *[number(getattr(row, name)) for name in counts],
                percent(ratio(row.sla_breach_count, row.total_tickets)),
            ]
            for row in rows(sums)
        ],
    )
    # As objects: a month that only one of them has would turn the other's counts into floats.
    csats, surveyed = facts.csat.astype(object), facts.nps.astype(object)
    months = csats.merge(surveyed, on="month", how="outer", suffixes=("", "_nps")).sort_values("month")
    opinions = Table(
        "Satisfaction by month",
        ("month", "tickets", "rated", "mean CSAT", "surveys", "mean NPS"),
        [
            [
                row.month,
                number(row.tickets),
                percent(ratio(row.responses, row.tickets)),
                number(ratio(row.score, row.responses), decimals=2),
                number(row.surveys),
                number(ratio(row.score_nps, row.surveys), decimals=1),
            ]
            for row in rows(months)
        ],
    )
    notes = ["Tickets count on the day they were created; the rated share is of a month's tickets; CSAT is 1–5."]
    return Section("support", title, lead + ".", [plots.tickets(found)], [severities, opinions], notes)
