"""The first screen: what changed, and what needs a decision."""

from __future__ import annotations

import calendar
from datetime import timedelta

import pandas as pd

from cloud_analytics.insight.numbers import change, known, number, percent, plural, ratio, total, usd
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.spending import last_days
from cloud_analytics.insight.report.support import by_severity
from cloud_analytics.insight.report.view import Cell, Section, Table, Tile, rows

_OF_A_KIND = 2
_LEAKS = ("underbilled", "not_invoiced")
# A headline figure, and rows (who, what, USD, why) on which somebody has to decide.
_Topic = tuple[Tile, list[list[Cell]]]


def attention(facts: Facts) -> Section:
    """The headline figures, and the largest items of each topic that need a decision."""
    topics = [topic(facts) for topic in (_month, _budgets, _anomalies, _shifts, _leaks, _backlog, _breaches, _lines)]
    decisions = [row for _, found in topics for row in found]
    caption = f"To decide: the {_OF_A_KIND} largest of each kind"
    return Section(
        "attention",
        "What changed, what needs a decision",
        _lead(facts),
        tables=[Table(caption, ("who", "what", "USD", "why"), decisions)],
        notes=facts.distrust("F3") if len(_leaking(facts)) else (),
        tiles=[tile for tile, _ in topics],
    )


def _lead(facts: Facts) -> str:
    if total(facts.windows["cost_7d"]) is None:
        return "There is no usage yet."
    lead, most = f"The {last_days(facts)}", facts.windows.iloc[0]
    if not total(facts.windows["cost_before"]):
        return f"{lead}."
    moved = usd(most.change_usd, 0, signed=True)
    return f"{lead}; {most.service} of {facts.org(most.org_id)} moved most: {moved}."


def _month(facts: Facts) -> _Topic:
    """The cost of the last month to date, compared with the same days of the month before if usage covers them."""
    if facts.last_date is None or facts.usage.empty:
        return Tile("cost of the month", number(None), "no usage yet"), []
    last, costs, days = facts.last_date, facts.usage["total_cost_usd"], facts.usage["usage_date"]
    first = last.replace(day=1)
    earlier = (first - timedelta(days=1)).replace(day=1)
    spent = total(costs[days >= first])
    note = f"{last.day} of {calendar.monthrange(last.year, last.month)[1]} days"
    if min(days) <= earlier:
        same = total(costs[(days >= earlier) & (days < min(first, earlier + timedelta(days=last.day)))])
        note += f"; {percent(change(spent, same), signed=True)} against the same days of {earlier:%Y-%m}"
    return Tile(f"cost of {last:%Y-%m} to date", usd(spent, 0), note), []


def _budgets(facts: Facts) -> _Topic:
    found, alerts = facts.forecasts, facts.budget_alerts
    if found.empty:
        return Tile("forecast", number(None), "none was made"), []
    budgeted = found[found["budget_usd"].map(known)]
    note = "no budget to hold it against (conf/budgets.yaml)"
    if len(budgeted):
        note = (
            f"{usd(total(budgeted['expected_usd']), 0)} against budgets of {usd(total(budgeted['budget_usd']), 0)};"
            f" {len(alerts):,} of {len(budgeted):,} will not do"
        )
    expected = usd(total(found["expected_usd"]), 0, alert=bool(alerts))
    return Tile(f"forecast of {found['forecast_month'].iloc[0]}", expected, note), [
        [
            facts.org(alert.org_id),
            f"budget of {alert.forecast_month}",
            usd(alert.expected_usd - alert.budget_usd, signed=True, alert=True),
            f"{usd(alert.expected_usd, 0)} expected, {usd(alert.actual_to_date_usd, 0)} spent, of a budget of"
            f" {usd(alert.budget_usd, 0)}",
        ]
        for alert in alerts[:_OF_A_KIND]
    ]


def _anomalies(facts: Facts) -> _Topic:
    daily = facts.anomalies[facts.anomalies["is_daily_anomaly"].eq(True)]
    if daily.empty:
        return Tile("largest anomaly", number(None), "no day stands out"), []
    note = (
        f"of {plural(len(daily), 'anomalous day')} of a service, {usd(total(daily['impact_usd']), 0)} beyond the usual"
    )
    return Tile("largest anomaly", usd(daily["impact_usd"].iloc[0], 0, signed=True, alert=True), note), [
        [
            facts.org(row.org_id),
            f"anomaly of {row.service} on {row.usage_date}",
            usd(row.impact_usd, signed=True, alert=True),
            row.reason,
        ]
        for row in rows(daily.head(_OF_A_KIND))
    ]


def _shifts(facts: Facts) -> _Topic:
    found, kinds = facts.shifts, facts.shifts["signal"].value_counts()
    rise = f", the largest by {usd(found['rise'].iloc[0], 0)} a day" if len(found) else ""
    note = f"{plural(kinds.get('level shift', 0), 'level shift')}, {plural(kinds.get('drift', 0), 'drift')}{rise}"
    return Tile("costs that shifted", number(len(found), alert=len(found) > 0), note), [
        [
            facts.org(row.org_id),
            f"{row.signal} of {row.service}",
            usd(row.rise, signed=True, alert=True),
            f"from {usd(row.from_usd)} to {usd(row.to_usd)} a day, as of {row.last_day:%Y-%m-%d}",
        ]
        for row in rows(found.head(_OF_A_KIND))
    ]


def _leaks(facts: Facts) -> _Topic:
    found, covered = _leaking(facts), facts.billing["covers_month"].astype(bool)
    if not covered.any():
        return Tile("used and not invoiced", number(None), "no month with invoices is covered whole"), []
    note = f"{plural(len(found), 'month')} of organisations, of {int(covered.sum()):,} that are covered whole"
    note += "; invoices do not follow usage here (F3)" if facts.distrust("F3") else ""
    leaked = usd(-(total(found["difference_usd"]) or 0), 0, alert=len(found) > 0)
    return Tile("used and not invoiced", leaked, note), [
        [
            facts.org(row.org_id),
            f"{row.status.replace('_', ' ')} in {row.month}",
            usd(row.difference_usd, signed=True, alert=True),
            f"{usd(row.invoiced_usd)} invoiced for usage of {usd(row.usage_cost_usd)}",
        ]
        for row in rows(found.head(_OF_A_KIND))
    ]


def _leaking(facts: Facts) -> pd.DataFrame:
    """Months of organisations that usage covers and that were underbilled or not invoiced, largest difference first."""
    found = facts.billing
    return found[found["covers_month"].astype(bool) & found["status"].isin(_LEAKS)]


def _backlog(facts: Facts) -> _Topic:
    found = facts.backlog
    waiting, long = total(found["open_tickets"]), total(found["open_over_7_days"])
    oldest = total(found["oldest_open_days"].dropna().nlargest(1))
    note = f"{long:,} for more than 7 days, the oldest for {plural(int(oldest), 'day')}" if waiting else "none waits"
    return Tile("tickets that wait", number(waiting), note), [
        [
            "Support",
            f"{plural(row.open_over_7_days, f'{row.severity} ticket')} over 7 days",
            number(None),
            f"{row.open_tickets:,} wait, the oldest for {plural(int(row.oldest_open_days), 'day')}",
        ]
        for row in rows(by_severity(found[found["open_over_7_days"] > 0]).head(_OF_A_KIND))
    ]


def _breaches(facts: Facts) -> _Topic:
    tickets, breaches = total(facts.tickets["total_tickets"]), total(facts.tickets["sla_breach_count"])
    return Tile("SLA breaches", percent(ratio(breaches, tickets)), f"of {plural(tickets or 0, 'ticket')}"), []


def _lines(facts: Facts) -> _Topic:
    if facts.audit is None:
        return Tile("lines accounted for", number(None), "the landing folder is not here"), []
    whole = facts.audit.together
    kept = ratio(whole.silver + whole.rejected, whole.landing)
    note = f"{whole.landing:,} lines, {whole.rejected:,} of them quarantined"
    return Tile("lines accounted for", percent(kept, alert=not facts.audit.balanced), note), []
