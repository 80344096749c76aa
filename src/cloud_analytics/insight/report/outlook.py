"""What comes next: the forecast of the month, budgets that will not do, and how earlier forecasts held."""

from __future__ import annotations

from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.measures import org
from cloud_analytics.insight.report.view import Cell, Section, Table, number, percent, plural, rows, total, usd

_TOP = 10


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
