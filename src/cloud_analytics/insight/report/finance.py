"""Money: what comes next, what was billed, and what was invoiced against what was used."""

from __future__ import annotations

from cloud_analytics.insight import plots
from cloud_analytics.insight.report.facts import Facts, distrust
from cloud_analytics.insight.report.measures import lacking, org
from cloud_analytics.insight.report.numbers import change, number, percent, plural, ratio, total, usd
from cloud_analytics.insight.report.view import Cell, Section, Table, rows

_TOP = 10
_BILLED = ("gross_revenue_usd", "credits_applied_usd", "net_revenue_usd", "taxes_usd", "total_due_usd")
_STATUSES = ("underbilled", "overbilled", "not_invoiced", "no_usage", "matched")
_AMOUNTS = ("usage_cost_usd", "invoiced_usd", "difference_usd")


def outlook(facts: Facts) -> Section:
    """The newest forecast, and those of months that are over."""
    title = "What comes next"
    found = facts.forecasts
    if found.empty:
        return Section("outlook", title, "No forecast has been made: `run` and `reconcile` end with one.")
    first = found.iloc[0]
    lead = (
        f"{first.forecast_month} is expected to cost {usd(total(found['expected_usd']), 0)}, of which"
        f" {usd(total(found['actual_to_date_usd']), 0)} are spent; forecast on {first.as_of_date}."
    )
    if facts.budget_alerts:
        lead += f" {plural(len(facts.budget_alerts), 'budget')} will not do."
    shown = [
        [
            org(facts, row.org_id),
            usd(row.actual_to_date_usd),
            usd(row.expected_usd),
            usd(row.low_usd),
            usd(row.high_usd),
            row.method.replace("_", " "),
            percent(row.backtest_wape),
        ]
        for row in rows(found.head(_TOP))
    ]
    columns = ("organisation", "spent (USD)", "expected (USD)", "low (USD)", "high (USD)", "method", "daily error")
    tables = [Table(f"The {len(shown)} costliest of {plural(len(found), 'organisation')}", columns, shown)]
    if facts.budget_alerts:
        tables.insert(0, _budgets(facts))
    if facts.kept_forecasts:
        tables.append(_kept(facts))
    notes = [
        "Low and high hold the month's cost four times in five, judged by the errors of the method so far; the daily"
        " error is that of the method in the past. A steady growth is not foreseen: no method has a trend."
    ]
    return Section("outlook", title, lead, tables=tables, notes=notes)


def _budgets(facts: Facts) -> Table:
    found: list[list[Cell]] = [
        [
            org(facts, alert.org_id),
            usd(alert.budget_usd),
            percent(alert.budget_used_pct / 100, alert=alert.used_up),
            usd(alert.expected_usd, alert=True),
        ]
        for alert in facts.budget_alerts
    ]
    return Table(
        "Budgets that are used up or will be", ("organisation", "budget (USD)", "used", "expected (USD)"), found
    )


def _kept(facts: Facts) -> Table:
    found: list[list[Cell]] = [
        [
            str(kept.as_of_date),
            kept.forecast_month,
            number(kept.organisations),
            usd(kept.expected_usd, 0),
            usd(kept.actual_usd, 0),
            percent(kept.wape),
            percent(kept.held),
        ]
        for kept in facts.kept_forecasts[-_TOP:]
    ]
    columns = ("forecast on", "month", "organisations", "expected (USD)", "came (USD)", "error", "intervals that held")
    return Table("The last forecasts of months that are over, and what came", columns, found)


def revenue(facts: Facts) -> Section:
    """What was billed, in USD: gross, credits, net, taxes."""
    title, found = "Revenue", facts.revenue
    if found.empty:
        return Section("revenue", title, lacking(facts, "billing_monthly", "There are no invoices."))
    sums = {name: total(found[name]) for name in _BILLED}
    share = percent(ratio(sums["credits_applied_usd"], sums["gross_revenue_usd"]))
    months = [str(month) for month in found["billing_month"]]
    lead = f"Net revenue is {usd(sums['net_revenue_usd'], 0)} in {plural(len(months), 'month')}"
    lead += f"; credits took {share} of the gross"
    if len(months) > 1:
        moved = change(found["net_revenue_usd"].iloc[-1], found["net_revenue_usd"].iloc[-2])
        lead += f", and {months[-1]} is {percent(moved, signed=True)} against {months[-2]}"
    body: list[list[Cell]] = [
        [str(row.billing_month), *[usd(getattr(row, name), 0) for name in _BILLED]] for row in rows(found)
    ]
    body.append(["all", *[usd(sums[name], 0) for name in _BILLED]])
    table = Table("By month (USD)", ("month", "gross", "credits", "net", "taxes", "due"), body)
    notes = [
        "Net is gross − credits, due is net + taxes. Invoices in other currencies are converted at their own rate.",
        *distrust(facts, "F3", "F4"),
    ]
    return Section("revenue", title, lead + ".", [plots.revenue_bridge(found)], [table], notes)


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
