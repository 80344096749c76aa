"""The marts of usage events (contract 6); those of the masters are in gold_masters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from .params import Params
from .scores import score_days
from .values import MONEY, quantize, ratio, round_to_int, total

Row = dict[str, Any]


def group_by(rows: Iterable[Row], *keys: str | Callable[[Row], Any]) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by the values of columns (or functions of the row), in order of the key."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] if isinstance(key, str) else key(row) for key in keys)].append(row)
    return dict(sorted(groups.items()))


def known(rows: list[Row], column: str) -> list[Any]:
    """A column's values that are not null."""
    return [row[column] for row in rows if row[column] is not None]


def total_or_none(rows: list[Row], column: str) -> Decimal | None:
    """A sum that is null where there is nothing but nulls."""
    numbers = known(rows, column)
    return total(numbers) if numbers else None


def metric_total(rows: list[Row], metric: str) -> Decimal:
    """Sum of value over one metric, 0 where there is none."""
    return total(known([row for row in rows if row["metric"] == metric], "value"))


def resource_daily_usage(events: list[Row], params: Params) -> list[Row]:
    keys = ("org_id", "usage_date", "resource_id", "service", "region_code", "metric")
    charges = group_by(events, "org_id", "date", "resource_id", "service", lambda row: row["region_code"] or "unknown",
                       "metric")  # fmt: skip
    return [
        dict(zip(keys, key))
        | {
            "events": len(rows),
            "cost_usd": total(known(rows, "cost_usd")),
            "quantity": total_or_none(rows, "value"),
            "unit": params.metrics[rows[0]["metric"]] or "count",
            "cost_without_quantity_usd": total([row["cost_usd"] for row in rows if row["value"] is None]),
            "total_carbon_kg": total_or_none(rows, "carbon_kg"),
            "total_genai_tokens": total_or_none(rows, "genai_tokens"),
            "events_with_carbon": len(known(rows, "carbon_kg")),
            "cost_usd_capped": total(known(rows, "cost_usd_capped")),
            "zscore_events": sum(row["flag_zscore"] for row in rows),
            "mad_events": sum(row["flag_mad"] for row in rows),
            "percentile_events": sum(row["flag_percentile"] for row in rows),
            "unit_price_events": sum(row["flag_unit_price"] for row in rows),
            "anomalous_events": sum(row["is_anomaly"] for row in rows),
            "anomalous_cost_usd": total([row["cost_usd"] for row in rows if row["is_anomaly"]]),
        }
        for key, rows in charges.items()
    ]


def org_daily_usage_by_service(events: list[Row], params: Params) -> list[Row]:
    days = []
    for (org_id, usage_date, service), rows in group_by(events, "org_id", "date", "service").items():
        cost = total(known(rows, "cost_usd"))
        requests = round_to_int(metric_total(rows, "requests"))
        days.append(
            {
                "org_id": org_id,
                "usage_date": usage_date,
                "service": service,
                "total_events": len(rows),
                "total_cost_usd": cost,
                "total_requests": requests,
                "total_cpu_hours": metric_total(rows, "cpu_hours"),
                "total_storage_gb_hours": metric_total(rows, "storage_gb_hours"),
                "total_carbon_kg": total_or_none(rows, "carbon_kg"),
                "total_genai_tokens": total_or_none(rows, "genai_tokens"),
                "avg_cost_per_request": ratio(cost, requests),
                "total_cost_usd_capped": total(known(rows, "cost_usd_capped")),
            }
        )
    score_days(days, params)
    return days


def org_service_cost_summary(days: list[Row]) -> list[Row]:
    if not days:
        return []
    last = max(row["usage_date"] for row in days)
    summary = []
    for (org_id,), rows in group_by(days, "org_id").items():
        costs: dict[str, dict[date, Decimal]] = defaultdict(dict)
        for row in rows:
            costs[row["service"]][row["usage_date"]] = row["total_cost_usd"]
        day = min(row["usage_date"] for row in rows)
        while day <= last:
            ranked = []
            for service, by_date in costs.items():
                windows = {size: costs_of_window(by_date, day, size) for size in (1, 7, 14)}
                if windows[14]:
                    ranked.append((-total(windows[14]), service, windows))
            for rank, (_, service, windows) in enumerate(sorted(ranked, key=lambda item: item[:2]), start=1):
                row = {"org_id": org_id, "summary_date": day, "service": service}
                row |= {f"cost_{size}d": total(costs_in) for size, costs_in in windows.items()}
                summary.append(row | {"rank_14d": rank})
            day += timedelta(days=1)
    return summary


def costs_of_window(by_date: dict[date, Decimal], last: date, size: int) -> list[Decimal]:
    """The costs of the days with usage among the `size` calendar days that end on and include `last`."""
    days = [date.fromordinal(last.toordinal() - back) for back in range(size) if last.toordinal() > back]
    return [by_date[day] for day in days if day in by_date]


def provider_daily_usage(days: list[Row]) -> list[Row]:
    mart = []
    for (usage_date, service), rows in group_by(days, "usage_date", "service").items():
        sums = {
            name: total(known(rows, name))
            for name in ("total_cost_usd", "total_requests", "total_cpu_hours", "total_storage_gb_hours")
        }
        mart.append(
            {
                "month": f"{usage_date:%Y-%m}",
                "usage_date": usage_date,
                "service": service,
                "organisations": len({row["org_id"] for row in rows}),
                "events": sum(row["total_events"] for row in rows),
                **sums,
                "total_carbon_kg": total_or_none(rows, "total_carbon_kg"),
                "total_genai_tokens": total_or_none(rows, "total_genai_tokens"),
                "anomalous_days": sum(row["is_anomaly"] is True for row in rows),
            }
        )
    return mart


def top_organisations(days: list[Row]) -> list[Row]:
    """For each calendar date the organisations with usage in its 14 days, from the daily costs themselves."""
    costs: dict[str, dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for row in days:
        costs[row["org_id"]][row["usage_date"]] += row["total_cost_usd"]
    dates = [row["usage_date"] for row in days]
    mart = []
    for number in range((max(dates) - min(dates)).days + 1 if dates else 0):
        day = min(dates) + timedelta(days=number)
        windows = {
            org_id: {size: costs_of_window(by_date, day, size) for size in (1, 7, 14)}
            for org_id, by_date in costs.items()
        }
        used = [(-total(found[14]), org_id) for org_id, found in windows.items() if found[14]]
        for rank, (_, org_id) in enumerate(sorted(used), start=1):
            row = {"summary_date": day, "org_id": org_id, "rank_14d": rank}
            mart.append(row | {f"cost_{size}d": total(found) for size, found in windows[org_id].items()})
    return mart


def genai_tokens_by_org_date(events: list[Row]) -> list[Row]:
    mart = []
    genai = [row for row in events if row["service"] == "genai"]
    for (org_id, usage_date), rows in group_by(genai, "org_id", "date").items():
        tokens = total_or_none(rows, "genai_tokens")
        requests = round_to_int(metric_total(rows, "requests"))
        cost = total(known(rows, "cost_usd"))
        mart.append(
            {
                "org_id": org_id,
                "usage_date": usage_date,
                "total_tokens": tokens,
                "total_requests": requests,
                "total_cost_usd": cost,
                "avg_tokens_per_request": ratio(tokens, requests),
                "cost_per_million_tokens": ratio(cost * 1_000_000, tokens),
            }
        )
    return mart


def carbon_impact(events: list[Row]) -> list[Row]:
    mart = []
    for (org_id, usage_date), rows in group_by(events, "org_id", "date").items():
        carbon = total_or_none(rows, "carbon_kg")
        with_carbon = len(known(rows, "carbon_kg"))
        mart.append(
            {
                "org_id": org_id,
                "usage_date": usage_date,
                "total_carbon_kg": carbon,
                "events": len(rows),
                "events_with_carbon": with_carbon,
                "coverage": ratio(with_carbon, len(rows)),
                "carbon_kg_per_usd": ratio(carbon, total(known(rows, "cost_usd"))),
            }
        )
    return mart


def cost_anomaly_mart(events: list[Row], days: list[Row]) -> list[Row]:
    mart = []
    by_day = group_by(events, "org_id", "date", "service")
    for day in days:
        rows = by_day[day["org_id"], day["usage_date"], day["service"]]
        anomalous = [row for row in rows if row["is_anomaly"]]
        if not day["is_anomaly"] and not anomalous:
            continue
        actual, expected = day["total_cost_usd"], day["expected_cost_usd"]
        impact = None if expected is None else actual - expected
        resources = {key[0]: total(known(of, "cost_usd")) for key, of in group_by(rows, "resource_id").items()}
        top = min(resources, key=lambda resource: (-resources[resource], resource))
        mart.append(
            {
                "org_id": day["org_id"],
                "usage_date": day["usage_date"],
                "service": day["service"],
                "actual_cost_usd": actual,
                "expected_cost_usd": expected,
                "impact_usd": impact,
                "impact_pct": None if impact is None else ratio(100 * impact, expected),
                "anomaly_score": day["anomaly_score"],
                "is_daily_anomaly": day["is_anomaly"],
                "zscore_events": sum(row["flag_zscore"] for row in rows),
                "mad_events": sum(row["flag_mad"] for row in rows),
                "percentile_events": sum(row["flag_percentile"] for row in rows),
                "unit_price_events": sum(row["flag_unit_price"] for row in rows),
                "anomalous_events": len(anomalous),
                "anomalous_cost_usd": total(known(anomalous, "cost_usd")),
                "top_resource_id": top,
                "top_resource_cost_usd": quantize(resources[top], MONEY),
            }
        )
    return mart


def usage_marts(events: list[Row], params: Params) -> dict[str, list[Row]]:
    """Every mart of the usage events."""
    days = org_daily_usage_by_service(events, params)
    return {
        "resource_daily_usage": resource_daily_usage(events, params),
        "org_daily_usage_by_service": days,
        "org_service_cost_summary": org_service_cost_summary(days),
        "provider_daily_usage": provider_daily_usage(days),
        "top_organisations": top_organisations(days),
        "genai_tokens_by_org_date": genai_tokens_by_org_date(events),
        "carbon_impact": carbon_impact(events),
        "cost_anomaly_mart": cost_anomaly_mart(events, days),
    }
