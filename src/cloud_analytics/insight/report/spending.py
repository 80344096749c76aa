"""The sections on usage: cost by service and organisation, top movers, anomalies, unit cost of tokens, carbon."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pandas as pd

from cloud_analytics.insight import plots
from cloud_analytics.insight.alerts import DETECTORS
from cloud_analytics.insight.numbers import change, number, percent, plural, ratio, total, usd
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.view import Cell, Section, Table, rows
from cloud_analytics.reading.periods import Month

_TOP = 10
_TOP_ANOMALIES = 12


def cost(facts: Facts) -> Section:
    """The cost of usage by service and by organisation."""
    title = "Cost by service and organisation"
    if facts.usage.empty:
        return Section("cost", title, "No usage events have reached Gold yet: there is no cost to show.")
    by_name = facts.usage.groupby("service")["total_cost_usd"].agg(total)
    services = by_name.reset_index().sort_values(["total_cost_usd", "service"], ascending=[False, True])
    orgs = facts.with_names(facts.orgs.sort_values(["total_cost_usd", "org_id"], ascending=[False, True]))
    whole, first = total(facts.usage["total_cost_usd"]), services.iloc[0]
    lead = (
        f"{first.service.capitalize()} is the largest service with {percent(ratio(first.total_cost_usd, whole))} of"
        f" {usd(whole, 0)}; the {last_days(facts)}."
    )
    top = orgs.head(_TOP)
    costliest = f"The {len(top)} costliest of {plural(len(orgs), 'organisation')}"
    tables = [
        Table.of("By service", rows(services), {"service": lambda row: row.service, **_costs(facts, "service")}),
        Table.of(costliest, rows(top), {"organisation": lambda row: facts.org(row.org_id), **_costs(facts, "org_id")}),
        Table.of(
            "Cost by what the tags of its resources say",
            rows(facts.tags),
            {
                "tag": lambda row: row.tag_key,
                "one value": lambda row: percent(
                    ratio(row.cost_usd - row.untagged_usd - row.conflicting_usd, row.cost_usd)
                ),
                "no value": lambda row: percent(ratio(row.untagged_usd, row.cost_usd)),
                "several that conflict": lambda row: percent(ratio(row.conflicting_usd, row.cost_usd)),
            },
        ),
    ]
    notes = [
        "Anomalous amounts are in the cost. The change compares the last 7 days with the 7 before.",
        *map(_closed_month, facts.closed),
    ]
    drawn = [plots.daily_cost(facts.usage.assign(is_anomaly=False)), plots.cost_by_org(orgs, _TOP)]
    return Section("cost", title, lead, drawn, tables, notes)


def last_days(facts: Facts) -> str:
    """What the last 7 days cost, in words, with the change if the 7 days before have a cost."""
    now = total(facts.windows["cost_7d"])
    moved = change(now, total(facts.windows["cost_before"]))
    cost = f"last 7 days cost {usd(now, 0)}"
    return cost if moved is None else f"{cost}, {percent(moved, signed=True)} against the 7 before"


def _costs(facts: Facts, key: str) -> dict[str, Callable[[Any], Cell]]:
    """Table columns per `key` (service or org_id): cost, share of the cost, cost of the last 7 days, its change."""
    whole = total(facts.usage["total_cost_usd"])

    def days(row: Any, column: str) -> Any:
        return total(facts.windows[column][facts.windows[key] == getattr(row, key)])

    return {
        "cost (USD)": lambda row: usd(row.total_cost_usd),
        "share": lambda row: percent(ratio(row.total_cost_usd, whole)),
        "last 7 days (USD)": lambda row: usd(days(row, "cost_7d") or 0),
        "change": lambda row: percent(change(days(row, "cost_7d"), days(row, "cost_before")), signed=True),
    }


def _closed_month(month: Month) -> str:
    """A note on a closed month: the date of its figures, and the restatements that they do not include."""
    note = f"{month.month} is closed: its figures here are those of {str(month.closed_at)[:10]}"
    if not month.restated_rows:
        return f"{note}, and nothing was restated since."
    restated = f"{usd(month.restated_usd, signed=True)} in {plural(month.restated_rows, 'row')}"
    return f"{note}; {restated} of `gold/restatements` was restated since."


def movers(facts: Facts) -> Section:
    """Services of organisations whose cost changed most between the last 7 days and the 7 days before."""
    title, found = "Top movers", facts.windows
    if found.empty or facts.last_date is None:
        return Section("movers", title, "No usage yet, so nothing has moved.")
    top = found.head(_TOP)
    ups, downs, most = found["change_usd"] > 0, found["change_usd"] < 0, top.iloc[0]
    rose, fell = total(found["change_usd"][ups]) or 0, -(total(found["change_usd"][downs]) or 0)
    lead = (
        f"{most.service.capitalize()} of {facts.org(most.org_id)} moved most: {usd(most.change_usd, 0, signed=True)};"
        f" {int(ups.sum()):,} services of organisations cost {usd(rose, 0)} more than in the 7 days before,"
        f" {int(downs.sum()):,} cost {usd(fell, 0)} less."
    )
    since = facts.last_date - timedelta(days=6)
    notes = [f"From {since} to {facts.last_date}, against {since - timedelta(days=7)} to {since - timedelta(days=1)}."]
    start = pd.to_datetime(facts.usage["usage_date"]).min().date()
    if start > since - timedelta(days=7):
        notes.append(f"The data begins on {start}: the days before are fewer than 7, so rises are overstated.")
    table = Table.of(
        f"The {len(top)} largest changes",
        rows(top),
        {
            "organisation · service": lambda row: f"{facts.org(row.org_id)} · {row.service}",
            "before (USD)": lambda row: usd(row.cost_before),
            "last 7 days (USD)": lambda row: usd(row.cost_7d),
            "change (USD)": lambda row: usd(row.change_usd, signed=True, alert=row.change_usd > 0),
            "change": lambda row: percent(change(row.cost_7d, row.cost_before), signed=True),
        },
    )
    return Section("movers", title, lead, [plots.top_movers(facts.with_names(found), _TOP)], [table], notes)


def anomalies(facts: Facts) -> Section:
    """Days that cost far more than expected, with their causes."""
    title, found = "Anomalies and their causes", facts.anomalies
    top_shifts = facts.shifts.head(_TOP)
    shifts = Table.of(
        f"Level shifts and drifts: the {len(top_shifts)} largest rises of {len(facts.shifts):,}, as of their last day",
        rows(top_shifts),
        {
            "organisation · service": lambda row: f"{facts.org(row.org_id)} · {row.service}",
            "signal": lambda row: row.signal,
            "signalled": lambda row: f"{pd.Timestamp(row.first_day):%Y-%m-%d} to {pd.Timestamp(row.last_day):%Y-%m-%d}",
            "days": lambda row: number(row.days),
            "from (USD a day)": lambda row: usd(row.from_usd),
            "to (USD a day)": lambda row: usd(row.to_usd),
        },
    )
    if found.empty:
        return Section("anomalies", title, "No day and no event stands out.", tables=[shifts])
    daily = found["is_daily_anomaly"].eq(True)
    impact = total(found["impact_usd"][daily])
    lead = f"{plural(int(daily.sum()), 'day')} of a service cost far more than the days before"
    lead += f", {usd(impact, 0)} more in all" if impact else ""
    lead += f"; {plural(int((~daily).sum()), 'further day')} held anomalous events within a usual total."
    counts = [("a day's total against the days before (days)", int(daily.sum()))]
    counts += [(f"a single event, by {name} (events)", total(found[column])) for column, name in DETECTORS.items()]
    counts.append(("anomalous events, by unit price or two of the others", total(found["anomalous_events"])))
    detectors = Table("What found them", ("detector", "found"), [[name, number(count)] for name, count in counts])
    top = facts.with_names(found.head(_TOP_ANOMALIES))
    largest = Table.of(
        f"The {len(top)} with the largest impact",
        rows(top),
        {
            "day · organisation · service": lambda row: f"{row.usage_date} · {facts.org(row.org_id)} · {row.service}",
            "actual (USD)": lambda row: usd(row.actual_cost_usd),
            "expected (USD)": lambda row: usd(row.expected_cost_usd),
            "impact (USD)": lambda row: usd(row.impact_usd, signed=True, alert=bool(row.is_daily_anomaly)),
            "cause": lambda row: row.reason,
        },
    )
    notes = ["Expected is the median of the organisation's previous days with usage of that service."]
    drawn = [plots.anomalies(top, _TOP_ANOMALIES)]
    return Section("anomalies", title, lead, drawn, [detectors, largest, shifts], notes)


def efficiency(facts: Facts) -> Section:
    """GenAI tokens and the cost of a million tokens; carbon and its coverage."""
    notes = [
        "The unit cost takes only the days of organisations that tell their tokens: events of version 1 have none."
        " Coverage is the share of events that report carbon.",
        *facts.distrust("F1", "F2"),
    ]
    drawn = [plots.tokens_and_cost(facts.genai), plots.carbon(facts.carbon)]
    lead = f"{_tokens(facts)} {_carbon(facts)}"
    return Section("efficiency", "GenAI unit cost and carbon", lead, drawn, notes=notes)


def _tokens(facts: Facts) -> str:
    tokens, counted, spent = (
        total(facts.genai[name]) for name in ("total_tokens", "counted_cost_usd", "total_cost_usd")
    )
    if tokens is None:
        return "There is no GenAI usage that tells its tokens, so there is no unit cost."
    price = usd(ratio((counted or 0) * 1_000_000, tokens), 0)
    return (
        f"A million tokens cost {price}: {number(tokens)} tokens for {usd(counted, 0)} of the {usd(spent, 0)} that"
        " GenAI cost."
    )


def _carbon(facts: Facts) -> str:
    weight = total(facts.carbon["total_carbon_kg"])
    if weight is None:
        return "No event reports carbon, so there is no figure of it."
    share = percent(ratio(total(facts.carbon["events_with_carbon"]), total(facts.carbon["events"])))
    return f"Usage caused at least {number(weight, 'kg CO₂e', 1)}: {share} of the events report theirs."
