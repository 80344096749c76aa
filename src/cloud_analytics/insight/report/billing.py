"""What was invoiced against what was used, by organisation and month."""

from __future__ import annotations

from cloud_analytics.insight.report.facts import Facts, distrust
from cloud_analytics.insight.report.measures import lacking, org
from cloud_analytics.insight.report.view import Cell, Section, Table, number, percent, plural, rows, total, usd

_TOP = 10
_STATUSES = ("underbilled", "overbilled", "not_invoiced", "no_usage", "matched")
_AMOUNTS = ("usage_cost_usd", "invoiced_usd", "difference_usd")


def billing(facts: Facts) -> Section:
    """Which months of an organisation were billed too little, too much or not at all, and what may explain it."""
    title, found = "Invoices against usage", facts.billing
    if found.empty or "billing_monthly" in facts.missing:
        return Section("billing", title, lacking(facts, "billing_monthly", "There is neither usage nor an invoice."))
    used, invoiced, difference = (total(found[name]) for name in _AMOUNTS)
    counts = found["status"].value_counts()
    lead = (
        f"Invoices of {usd(invoiced, 0)} stand against usage of {usd(used, 0)}, {usd(difference, 0, signed=True)};"
        f" {counts.get('matched', 0):,} of {plural(len(found), 'month')} of an organisation match."
    )
    parts = [(status.replace("_", " "), found[found["status"] == status]) for status in _STATUSES]
    by_status: list[list[Cell]] = [
        [name, number(len(part)), *[usd(total(part[amount]) or 0) for amount in _AMOUNTS]]
        for name, part in [*parts, ("all", found)]
    ]
    largest: list[list[Cell]] = [
        [
            f"{org(facts, row.org_id)} · {row.month}",
            row.status.replace("_", " "),
            *[usd(getattr(row, amount)) for amount in _AMOUNTS],
            percent(None if row.difference_pct is None else row.difference_pct / 100, signed=True),
        ]
        for row in rows(found.head(_TOP))
    ]
    amounts = ("usage (USD)", "invoiced (USD)", "difference (USD)")
    tables = [
        Table("Months of organisations, by status", ("status", "months", *amounts), by_status),
        _bridge(facts),
        Table(
            f"The {len(largest)} largest differences", ("organisation · month", "status", *amounts, "share"), largest
        ),
    ]
    notes = [
        "The difference is invoiced (before credits and taxes, in USD) − usage. A month matches within 1 USD, or more"
        " where many charges were rounded. The reasons overlap and prove nothing: they say where to look first.",
    ]
    partial = sorted(set(found["month"][~found["covers_month"].astype(bool)]))
    if partial:
        notes.append(
            f"The usage here does not cover the whole of {', '.join(partial)}: whether those invoices are right cannot"
            " be told from these data."
        )
    return Section("billing", title, lead, tables=tables, notes=[*notes, *distrust(facts, "F3")])


def _bridge(facts: Facts) -> Table:
    """From usage to invoices: the usage, each reason with its months and USD, the invoices."""
    found = facts.billing
    reasons = [
        ("usage", found["usage_cost_usd"] != 0, "usage_cost_usd"),
        ("rejected as negative", found["rejected_negative_usd"] != 0, "rejected_negative_usd"),
        ("cost without a quantity", found["cost_without_quantity_usd"] != 0, "cost_without_quantity_usd"),
        ("month not covered (difference)", ~found["covers_month"].astype(bool), "difference_usd"),
        ("currency suspect (difference)", found["currency_suspect"].astype(bool), "difference_usd"),
        ("invoices", found["invoice_count"] > 0, "invoiced_usd"),
    ]
    body: list[list[Cell]] = [
        [name, number(int(held.sum())), usd(total(found[amount][held]) or 0)] for name, held, amount in reasons
    ]
    return Table("From usage to invoices, and what may explain the difference", ("what", "months", "USD"), body)
