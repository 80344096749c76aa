"""What usage costs: cost by service and organisation, top movers, anomalies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd

from cloud_analytics.insight import plots
from cloud_analytics.insight.report import measures
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.measures import org, recent_cost, with_names
from cloud_analytics.insight.report.numbers import change, number, percent, plural, ratio, total, usd
from cloud_analytics.insight.report.view import Cell, Section, Table, rows
from cloud_analytics.reading.periods import Month

_TOP = 10
_TOP_ANOMALIES = 12
_DETECTORS = {
    "unit price far above normal": "unit_price_events",
    "cost level: z-score": "zscore_events",
    "cost level: MAD": "mad_events",
    "cost level: percentile": "percentile_events",
}


def cost(facts: Facts) -> Section:
    """What usage cost, by service and by organisation."""
    title = "Cost by service and organisation"
    if facts.usage.empty:
        return Section("cost", title, "No usage events have reached Gold yet: there is no cost to show.")
    by_name = facts.usage.groupby("service")["total_cost_usd"].agg(total)
    services = by_name.reset_index().sort_values(["total_cost_usd", "service"], ascending=[False, True])
    orgs = with_names(facts, facts.orgs.sort_values(["total_cost_usd", "org_id"], ascending=[False, True]))
    whole, first = total(facts.usage["total_cost_usd"]), services.iloc[0]
    now, before = recent_cost(facts.windows)
    moved = change(now, before)
    lead = (
        f"{first.service.capitalize()} is the largest service with {percent(ratio(first.total_cost_usd, whole))} of"
        f" {usd(whole, 0)}; the last 7 days cost {usd(now, 0)}"
    )
    lead += "." if moved is None else f", {percent(moved, signed=True)} against the 7 before."
    columns = ("cost (USD)", "share", "last 7 days (USD)", "change")
    by_service = [[row.service, *_amounts(facts, "service", row, whole)] for row in rows(services)]
    by_org = [[org(facts, row.org_id), *_amounts(facts, "org_id", row, whole)] for row in rows(orgs.head(_TOP))]
    return Section(
        "cost",
        title,
        lead,
        [plots.daily_cost(facts.usage.assign(is_anomaly=False)), plots.cost_by_org(orgs, _TOP)],
        [
            Table("By service", ("service", *columns), by_service),
            Table(
                f"The {len(by_org)} costliest of {plural(len(orgs), 'organisation')}",
                ("organisation", *columns),
                by_org,
            ),
            *_tags(facts),
        ],
        [
            "Anomalous amounts are in the cost. The change compares the last 7 days with the 7 before.",
            *map(_closed, facts.closed),
        ],
    )


def _closed(month: Month) -> str:
    """What the figures of a closed month are, and what they leave out."""
    note = f"{month.month} is closed: its figures here are those of {str(month.closed_at)[:10]}"
    if not month.restated_rows:
        return f"{note}, and nothing was restated since."
    restated = f"{usd(month.restated_usd, signed=True)} in {plural(month.restated_rows, 'row')}"
    return f"{note}; {restated} of `gold/restatements` was restated since."


def _tags(facts: Facts) -> list[Table]:
    """Which of the cost has an owner, by each tag; no table where resources have no tags."""
    body: list[list[Cell]] = []
    for row in rows(facts.tags):
        parts = (row.cost_usd - row.untagged_usd - row.conflicting_usd, row.untagged_usd, row.conflicting_usd)
        body.append([row.tag_key, *[percent(ratio(part, row.cost_usd)) for part in parts]])
    names = ("tag", "one value", "no value", "several that conflict")
    return [Table("Cost by what the tags of its resources say", names, body)] if body else []


def movers(facts: Facts) -> Section:
    """Services of organisations whose cost changed most: the last 7 days against the 7 before."""
    title = "Top movers"
    if facts.windows.empty or facts.last_date is None:
        return Section("movers", title, "No usage yet, so nothing has moved.")
    found = with_names(facts, measures.movers(facts.windows))
    top = found.head(_TOP)
    ups, downs, most = found["change"] > 0, found["change"] < 0, top.iloc[0]
    rose, fell = total(found["change"][ups]) or 0, -(total(found["change"][downs]) or 0)
    lead = (
        f"{most.service.capitalize()} of {org(facts, most.org_id)} moved most: {usd(most.change, 0, signed=True)};"
        f" {int(ups.sum()):,} services of organisations cost {usd(rose, 0)} more than in the 7 days before,"
        f" {int(downs.sum()):,} cost {usd(fell, 0)} less."
    )
    since = facts.last_date - timedelta(days=6)
    notes = [f"From {since} to {facts.last_date}, against {since - timedelta(days=7)} to {since - timedelta(days=1)}."]
    start = pd.to_datetime(facts.usage["usage_date"]).min().date()
    if start > since - timedelta(days=7):
        notes.append(f"The data begins on {start}: the days before are fewer than 7, so rises are overstated.")
    table = Table(
        f"The {len(top)} largest changes",
        ("organisation · service", "before (USD)", "last 7 days (USD)", "change (USD)", "change"),
        [
            [
                f"{org(facts, row.org_id)} · {row.service}",
                usd(row.before),
                usd(row.cost_7d),
                usd(row.change, signed=True, alert=row.change > 0),
                percent(change(row.cost_7d, row.before), signed=True),
            ]
            for row in rows(top)
        ],
    )
    return Section("movers", title, lead, [plots.top_movers(found, _TOP)], [table], notes)


def anomalies(facts: Facts) -> Section:
    """Days that cost far more than expected, with what caused them."""
    title = "Anomalies and their causes"
    found = facts.anomalies
    if found.empty:
        return Section("anomalies", title, "No day and no event stands out.", tables=_shifts(facts))
    daily = found["is_daily_anomaly"].eq(True)
    impact = total(found["impact_usd"][daily])
    lead = f"{plural(int(daily.sum()), 'day')} of a service cost far more than the days before"
    lead += f", {usd(impact, 0)} more in all" if impact else ""
    lead += f"; {plural(int((~daily).sum()), 'further day')} held anomalous events within a usual total."
    top = with_names(facts, found.head(_TOP_ANOMALIES))
    counts = [(name, total(found[column])) for name, column in _DETECTORS.items()]
    body: list[list[Cell]] = [["a day's total against the days before (days)", number(int(daily.sum()))]]
    body += [[f"{name} (events)", number(count)] for name, count in counts]
    body.append(["anomalous events, by unit price or two cost levels", number(total(found["anomalous_events"]))])
    detectors = Table("What found them", ("detector", "found"), body)
    largest = Table(
        f"The {len(top)} with the largest impact",
        ("day · organisation · service", "actual (USD)", "expected (USD)", "impact (USD)", "cause"),
        [
            [
                f"{row.usage_date} · {org(facts, row.org_id)} · {row.service}",
                usd(row.actual_cost_usd),
                usd(row.expected_cost_usd),
                usd(row.impact_usd, signed=True, alert=bool(row.is_daily_anomaly)),
                row.reason,
            ]
            for row in rows(top)
        ],
    )
    notes = ["Expected is the median of the organisation's previous days with usage of that service."]
    return Section(
        "anomalies", title, lead, [plots.anomalies(top, _TOP_ANOMALIES)], [detectors, largest, *_shifts(facts)], notes
    )


def _shifts(facts: Facts) -> list[Table]:
    """Levels of cost that rose at once or day by day; no table where there are none."""
    top = facts.shifts.head(_TOP)
    body: list[list[Cell]] = [
        [
            f"{org(facts, row.org_id)} · {row.service}",
            row.signal,
            f"{pd.Timestamp(row.first_day):%Y-%m-%d} to {pd.Timestamp(row.last_day):%Y-%m-%d}",
            number(row.days),
            usd(row.from_usd),
            usd(row.to_usd),
        ]
        for row in rows(top)
    ]
    caption = f"Level shifts and drifts: the {len(body)} largest rises of {len(facts.shifts):,}, as of their last day"
    columns = ("organisation · service", "signal", "signalled", "days", "from (USD a day)", "to (USD a day)")
    return [Table(caption, columns, body)] if body else []


def _amounts(facts: Facts, key: str, row: Any, whole: Any) -> list[Cell]:
    """Cost, share, last 7 days and change of a service or an organisation."""
    now, before = recent_cost(facts.windows[facts.windows[key] == getattr(row, key)])
    return [
        usd(row.total_cost_usd),
        percent(ratio(row.total_cost_usd, whole)),
        usd(now or 0),
        percent(change(now, before), signed=True),
    ]
