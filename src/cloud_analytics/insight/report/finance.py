"""The sections on money: forecasts, revenue, and invoices compared with usage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cloud_analytics.insight import plots
from cloud_analytics.insight.alerts import uncovered_months
from cloud_analytics.insight.numbers import change, number, percent, plural, ratio, total, usd
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.view import Cell, Section, Table, rows

_TOP = 10
_BILLED = {
    "gross": "gross_revenue_usd",
    "credits": "credits_applied_usd",
    "net": "net_revenue_usd",
    "taxes": "taxes_usd",
    "due": "total_due_usd",
}
_STATUSES = ("underbilled", "overbilled", "not_invoiced", "no_usage", "matched")
_AMOUNTS = {"usage (USD)": "usage_cost_usd", "invoiced (USD)": "invoiced_usd", "difference (USD)": "difference_usd"}


def _usd_columns(columns: Mapping[str, str], decimals: int = 2) -> dict[str, Callable[[Mapping[str, Any]], Cell]]:
    """Heading → a function that formats the amount in this column of a record, in USD."""

    def amount(column: str) -> Callable[[Mapping[str, Any]], Cell]:
        return lambda record: usd(record[column], decimals)

    return {heading: amount(column) for heading, column in columns.items()}


def outlook(facts: Facts) -> Section:
    """The newest forecasts, and the accuracy of the forecasts of past months."""
    title, found = "What comes next", facts.forecasts
    if found.empty:
        return Section("outlook", title, "No forecast has been made: `run` and `reconcile` end with one.")
    first = found.iloc[0]
    lead = (
        f"{first.forecast_month} is expected to cost {usd(total(found['expected_usd']), 0)}, of which"
        f" {usd(total(found['actual_to_date_usd']), 0)} are spent; forecast on {first.as_of_date}."
    )
    if facts.budget_alerts:
        lead += f" {plural(len(facts.budget_alerts), 'budget')} will not do."
    top = found.head(_TOP)
    budgets = Table.of(
        "Budgets that are used up or will be",
        facts.budget_alerts,
        {
            "organisation": lambda alert: facts.org(alert.org_id),
            "budget (USD)": lambda alert: usd(alert.budget_usd),
            "used": lambda alert: percent(alert.budget_used_pct / 100, alert=alert.used_up),
            "expected (USD)": lambda alert: usd(alert.expected_usd, alert=True),
        },
    )
    costliest = Table.of(
        f"The {len(top)} costliest of {plural(len(found), 'organisation')}",
        rows(top),
        {
            "organisation": lambda row: facts.org(row.org_id),
            "spent (USD)": lambda row: usd(row.actual_to_date_usd),
            "expected (USD)": lambda row: usd(row.expected_usd),
            "low (USD)": lambda row: usd(row.low_usd),
            "high (USD)": lambda row: usd(row.high_usd),
            "method": lambda row: row.method.replace("_", " "),
            "daily error": lambda row: percent(row.backtest_wape),
        },
    )
    kept = Table.of(
        "The last forecasts of months that are over, and what came",
        facts.kept_forecasts[-_TOP:],
        {
            "forecast on": lambda kept: str(kept.as_of_date),
            "month": lambda kept: kept.forecast_month,
            "organisations": lambda kept: number(kept.organisations),
            "expected (USD)": lambda kept: usd(kept.expected_usd, 0),
            "came (USD)": lambda kept: usd(kept.actual_usd, 0),
            "error": lambda kept: percent(kept.wape),
            "intervals that held": lambda kept: percent(kept.held),
        },
    )
    notes = [
        "Low and high hold the month's cost four times in five, judged by the errors of the method so far; the daily"
        " error is that of the method in the past. A steady growth is not foreseen: no method has a trend."
    ]
    return Section("outlook", title, lead, tables=[budgets, costliest, kept], notes=notes)


def revenue(facts: Facts) -> Section:
    """What was billed, in USD: gross, credits, net, taxes."""
    title, found = "Revenue", facts.revenue
    if found.empty:
        return Section("revenue", title, facts.lacking("billing_monthly", "There are no invoices."))
    sums = {name: total(found[name]) for name in _BILLED.values()}
    share = percent(ratio(sums["credits_applied_usd"], sums["gross_revenue_usd"]))
    months = [str(month) for month in found["billing_month"]]
    lead = f"Net revenue is {usd(sums['net_revenue_usd'], 0)} in {plural(len(months), 'month')}"
    lead += f"; credits took {share} of the gross"
    if len(months) > 1:
        moved = change(found["net_revenue_usd"].iloc[-1], found["net_revenue_usd"].iloc[-2])
        lead += f", and {months[-1]} is {percent(moved, signed=True)} against {months[-2]}"
    by_month = Table.of(
        "By month (USD)",
        [*found.to_dict("records"), {"billing_month": "all", **sums}],
        {"month": lambda row: str(row["billing_month"]), **_usd_columns(_BILLED, 0)},
    )
    notes = [
        "Net is gross − credits, due is net + taxes. Invoices in other currencies are converted at their own rate.",
        *facts.distrust("F3", "F4"),
    ]
    return Section("revenue", title, lead + ".", [plots.revenue_bridge(found)], [by_month], notes)


def billing(facts: Facts) -> Section:
    """Which months of an organisation were underbilled, overbilled or not invoiced, and what may explain it."""
    title, found = "Invoices against usage", facts.billing
    if found.empty or "billing_monthly" in facts.missing:
        return Section("billing", title, facts.lacking("billing_monthly", "There is neither usage nor an invoice."))
    used, invoiced, difference = (total(found[name]) for name in _AMOUNTS.values())
    counts = found["status"].value_counts()
    lead = (
        f"Invoices of {usd(invoiced, 0)} stand against usage of {usd(used, 0)}, {usd(difference, 0, signed=True)};"
        f" {counts.get('matched', 0):,} of {plural(len(found), 'month')} of an organisation match."
    )
    parts = {status.replace("_", " "): found[found["status"] == status] for status in _STATUSES} | {"all": found}
    by_status = Table.of(
        "Months of organisations, by status",
        [
            {"status": name, "months": len(part), **{column: total(part[column]) or 0 for column in _AMOUNTS.values()}}
            for name, part in parts.items()
        ],
        {"status": lambda row: row["status"], "months": lambda row: number(row["months"]), **_usd_columns(_AMOUNTS)},
    )
    top = found.head(_TOP)
    largest = Table.of(
        f"The {len(top)} largest differences",
        top.to_dict("records"),
        {
            "organisation · month": lambda row: f"{facts.org(row['org_id'])} · {row['month']}",
            "status": lambda row: row["status"].replace("_", " "),
            **_usd_columns(_AMOUNTS),
            "share": lambda row: percent(
                None if row["difference_pct"] is None else row["difference_pct"] / 100, signed=True
            ),
        },
    )
    notes = [
        "The difference is invoiced (before credits and taxes, in USD) − usage. A month matches within 1 USD, or more"
        " where many charges were rounded. The reasons overlap and prove nothing: they say where to look first.",
        *uncovered_months(found),
        *facts.distrust("F3"),
    ]
    return Section("billing", title, lead, tables=[by_status, _reasons(facts), largest], notes=notes)


def _reasons(facts: Facts) -> Table:
    """A table from usage to invoices: the usage, each reason with its months and amount in USD, the invoices."""
    found = facts.billing
    reasons = [
        ("usage", found["usage_cost_usd"] != 0, "usage_cost_usd"),
        ("rejected as negative", found["rejected_negative_usd"] != 0, "rejected_negative_usd"),
        ("cost without a quantity", found["cost_without_quantity_usd"] != 0, "cost_without_quantity_usd"),
        ("month not covered (difference)", ~found["covers_month"].astype(bool), "difference_usd"),
        ("currency suspect (difference)", found["currency_suspect"].astype(bool), "difference_usd"),
        ("invoices", found["invoice_count"] > 0, "invoiced_usd"),
    ]
    return Table(
        "From usage to invoices, and what may explain the difference",
        ("what", "months", "USD"),
        [[name, number(int(held.sum())), usd(total(found[amount][held]) or 0)] for name, held, amount in reasons],
    )
