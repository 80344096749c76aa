"""The first screen: what changed, and what needs a decision."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import timedelta

import pandas as pd

from cloud_analytics.insight.report.facts import Facts, distrust
from cloud_analytics.insight.report.measures import movers, org, recent_cost
from cloud_analytics.insight.report.numbers import change, known, number, percent, plural, ratio, total, usd
from cloud_analytics.insight.report.support import by_severity
from cloud_analytics.insight.report.view import Cell, Section, Table, Tile, rows

_OF_A_KIND = 2
_LEAKS = ("underbilled", "not_invoiced")


def attention(facts: Facts) -> Section:
    """The headline figures, and the largest of each kind of thing that somebody has to look at."""
    now, before = recent_cost(facts.windows)
    moved = change(now, before)
    lead = "There is no usage yet." if now is None else f"The last 7 days cost {usd(now, 0)}"
    if now is not None:
        lead += "." if moved is None else f", {percent(moved, signed=True)} against the 7 before; {_mover(facts)}."
    found = [*_budgets(facts), *_anomalies(facts), *_shifts(facts), *_leaks(facts), *_backlog(facts)]
    caption = f"To decide: the {_OF_A_KIND} largest of each kind"
    table = Table(caption, ("who", "what", "USD", "why"), found)
    tiles = [_month(facts), _forecast(facts), _largest(facts), _shifted(facts)]
    tiles += [_leaked(facts), _waiting(facts), _breaches(facts), _lines(facts)]
    notes = distrust(facts, "F3") if len(_leaking(facts)) else []
    return Section(
        "attention", "What changed, what needs a decision", lead, (), [table] if found else (), notes, tiles=tiles
    )


def _mover(facts: Facts) -> str:
    most = next(rows(movers(facts.windows)))
    return f"{most.service} of {org(facts, most.org_id)} moved most: {usd(most.change, 0, signed=True)}"


def _month(facts: Facts) -> Tile:
    """The cost of the month of the last date, against the same days of the month before where there is usage of all."""
    if facts.last_date is None or facts.usage.empty:
        return Tile("cost of the month", number(None), "no usage yet")
    last, costs, days = facts.last_date, facts.usage["total_cost_usd"], facts.usage["usage_date"]
    first = last.replace(day=1)
    earlier = (first - timedelta(days=1)).replace(day=1)
    spent = total(costs[days >= first])
    note = f"{last.day} of {calendar.monthrange(last.year, last.month)[1]} days"
    if min(days) <= earlier:
        same = total(costs[(days >= earlier) & (days < min(first, earlier + timedelta(days=last.day)))])
        note += f"; {percent(change(spent, same), signed=True)} against the same days of {earlier:%Y-%m}"
    return Tile(f"cost of {last:%Y-%m} to date", usd(spent, 0), note)


def _forecast(facts: Facts) -> Tile:
    found = facts.forecasts
    if found.empty:
        return Tile("forecast", number(None), "none was made")
    budgeted = found[found["budget_usd"].map(known)]
    note = "no budget to hold it against (conf/budgets.yaml)"
    if len(budgeted):
        note = (
            f"{usd(total(budgeted['expected_usd']), 0)} against budgets of {usd(total(budgeted['budget_usd']), 0)};"
            f" {len(facts.budget_alerts):,} of {len(budgeted):,} will not do"
        )
    expected = usd(total(found["expected_usd"]), 0, alert=bool(facts.budget_alerts))
    return Tile(f"forecast of {found['forecast_month'].iloc[0]}", expected, note)


def _largest(facts: Facts) -> Tile:
    daily = facts.anomalies[facts.anomalies["is_daily_anomaly"].eq(True)]
    if daily.empty:
        return Tile("largest anomaly", number(None), "no day stands out")
    note = (
        f"of {plural(len(daily), 'anomalous day')} of a service, {usd(total(daily['impact_usd']), 0)} beyond the usual"
    )
    return Tile("largest anomaly", usd(daily["impact_usd"].iloc[0], 0, signed=True, alert=True), note)


def _shifted(facts: Facts) -> Tile:
    found = facts.shifts
    rise = f", the largest by {usd(found['to_usd'].iloc[0] - found['from_usd'].iloc[0], 0)} a day" if len(found) else ""
    kinds = found["signal"].value_counts()
    note = f"{plural(kinds.get('level shift', 0), 'level shift')}, {plural(kinds.get('drift', 0), 'drift')}{rise}"
    return Tile("costs that shifted", number(len(found), alert=len(found) > 0), note)


def _leaked(facts: Facts) -> Tile:
    found = _leaking(facts)
    covered = facts.billing["covers_month"].astype(bool)
    if not covered.any():
        return Tile("used and not invoiced", number(None), "no month with invoices is covered whole")
    note = f"{plural(len(found), 'month')} of organisations, of {int(covered.sum()):,} that are covered whole"
    note += "; invoices do not follow usage here (F3)" if distrust(facts, "F3") else ""
    return Tile("used and not invoiced", usd(-(total(found["difference_usd"]) or 0), 0, alert=len(found) > 0), note)


def _leaking(facts: Facts) -> pd.DataFrame:
    """Months of organisations that were invoiced too little or not at all, the largest first, where one can tell."""
    found = facts.billing
    return found[found["covers_month"].astype(bool) & found["status"].isin(_LEAKS)]


def _waiting(facts: Facts) -> Tile:
    waiting, long = total(facts.backlog["open_tickets"]), total(facts.backlog["open_over_7_days"])
    oldest = total(facts.backlog["oldest_open_days"].dropna().nlargest(1))
    note = f"{long:,} for more than 7 days, the oldest for {plural(int(oldest), 'day')}" if waiting else "none waits"
    return Tile("tickets that wait", number(waiting), note)


def _breaches(facts: Facts) -> Tile:
    tickets, breaches = total(facts.tickets["total_tickets"]), total(facts.tickets["sla_breach_count"])
    return Tile("SLA breaches", percent(ratio(breaches, tickets)), f"of {plural(tickets or 0, 'ticket')}")


def _lines(facts: Facts) -> Tile:
    if facts.audit is None:
        return Tile("lines accounted for", number(None), "the landing folder is not here")
    sources = facts.audit.sources.values()
    landed, rejected = sum(source.landing for source in sources), sum(sum(s.quarantine.values()) for s in sources)
    kept = sum(source.silver for source in sources) + rejected
    note = f"{landed:,} lines, {rejected:,} of them quarantined"
    return Tile("lines accounted for", percent(ratio(kept, landed), alert=not facts.audit.balanced), note)


def _budgets(facts: Facts) -> Iterator[list[Cell]]:
    for alert in facts.budget_alerts[:_OF_A_KIND]:
        why = (
            f"{usd(alert.expected_usd, 0)} expected, {usd(alert.actual_to_date_usd, 0)} spent, of a budget of"
            f" {usd(alert.budget_usd, 0)}"
        )
        over = usd(alert.expected_usd - alert.budget_usd, signed=True, alert=True)
        yield [org(facts, alert.org_id), f"budget of {alert.forecast_month}", over, why]


def _anomalies(facts: Facts) -> Iterator[list[Cell]]:
    daily = facts.anomalies[facts.anomalies["is_daily_anomaly"].eq(True)]
    for row in rows(daily.head(_OF_A_KIND)):
        what = f"anomaly of {row.service} on {row.usage_date}"
        yield [org(facts, row.org_id), what, usd(row.impact_usd, signed=True, alert=True), row.reason]


def _shifts(facts: Facts) -> Iterator[list[Cell]]:
    for row in rows(facts.shifts.head(_OF_A_KIND)):
        why = f"from {usd(row.from_usd)} to {usd(row.to_usd)} a day, as of {row.last_day:%Y-%m-%d}"
        rise = usd(row.to_usd - row.from_usd, signed=True, alert=True)
        yield [org(facts, row.org_id), f"{row.signal} of {row.service}", rise, why]


def _leaks(facts: Facts) -> Iterator[list[Cell]]:
    for row in rows(_leaking(facts).head(_OF_A_KIND)):
        why = f"{usd(row.invoiced_usd)} invoiced for usage of {usd(row.usage_cost_usd)}"
        what = f"{row.status.replace('_', ' ')} in {row.month}"
        yield [org(facts, row.org_id), what, usd(row.difference_usd, signed=True, alert=True), why]


def _backlog(facts: Facts) -> Iterator[list[Cell]]:
    found = facts.backlog[facts.backlog["open_over_7_days"] > 0]
    for row in rows(by_severity(found).head(_OF_A_KIND)):
        what = f"{plural(row.open_over_7_days, f'{row.severity} ticket')} over 7 days"
        why = f"{row.open_tickets:,} wait, the oldest for {plural(int(row.oldest_open_days), 'day')}"
        yield ["Support", what, number(None), why]
