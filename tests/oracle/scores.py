"""Anomaly scores (contract 7), in exact arithmetic: a threshold is never met or missed by a rounding error."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from statistics import median
from typing import Any

from .params import Params
from .values import MONEY, to_decimal

Row = dict[str, Any]


def percentile(ordered: Sequence[Fraction], share: Decimal) -> Fraction:
    """The percentile of sorted numbers by linear interpolation."""
    position = Fraction(share) * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def score_events(rows: list[Row], params: Params) -> None:
    """Adds the scores, flags and capped cost to every Silver event."""
    for row in rows:
        row["cost_usd_capped"] = row["cost_usd"]
        row["cost_zscore"] = row["cost_mad_score"] = row["unit_price_ratio"] = None
        row["flag_zscore"] = row["flag_mad"] = row["flag_percentile"] = row["flag_unit_price"] = False

    levels: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    prices: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        levels[row["org_id"], row["service"], row["metric"]].append(row)
        if row["value"] is not None and row["value"] > 0:
            prices[row["service"], row["metric"]].append(row)
    for group in levels.values():
        score_cost_level(group, params)
    for group in prices.values():
        score_unit_price(group, params)

    for row in rows:
        flags = row["flag_zscore"] + row["flag_mad"] + row["flag_percentile"]
        row["is_anomaly"] = row["flag_unit_price"] or flags >= params.flags_needed
        row["anomaly_score"] = row["cost_zscore"]
        row["anomaly_reason"] = reason(row) if row["is_anomaly"] else None


def score_cost_level(group: list[Row], params: Params) -> None:
    """Cost level within one (org_id, service, metric)."""
    costs = [Fraction(row["cost_usd"]) for row in group]
    if len(costs) < params.min_events or len(set(costs)) == 1:
        return
    mean = sum(costs) / len(costs)
    variance = sum((cost - mean) ** 2 for cost in costs) / (len(costs) - 1)
    deviation = math.sqrt(variance)
    middle = median(costs)
    mad = median(abs(cost - middle) for cost in costs)
    p95 = percentile(sorted(costs), params.percentile)
    limit = Fraction(params.percentile_factor) * p95
    for row, cost in zip(group, costs):
        above = cost - mean
        row["cost_zscore"] = float(above) / deviation
        row["flag_zscore"] = above > 0 and above**2 > Fraction(params.zscore_threshold) ** 2 * variance
        if mad > 0:
            score = Fraction(params.mad_constant) * (cost - middle) / mad
            row["cost_mad_score"] = float(score)
            row["flag_mad"] = score > Fraction(params.mad_threshold)
        row["flag_percentile"] = cost > limit
        if p95 != 0 and cost > limit:
            row["cost_usd_capped"] = to_decimal(limit, MONEY)


def score_unit_price(group: list[Row], params: Params) -> None:
    """Unit price within one (service, metric); the group holds events with value > 0."""
    if len(group) < params.unit_price_min_events:
        return
    prices = [Fraction(row["cost_usd"]) / Fraction(row["value"]) for row in group]
    middle = median(prices)
    if middle <= 0:
        return
    for row, price in zip(group, prices):
        row["unit_price_ratio"] = float(price / middle)
        row["flag_unit_price"] = price / middle > Fraction(params.unit_price_threshold)


def reason(row: Row) -> str:
    """In words; the wording is the pipeline's own affair and is not compared."""
    parts = []
    if row["flag_unit_price"]:
        parts.append(f"unit price {row['unit_price_ratio']:.0f} x normal")
    if row["flag_zscore"]:
        parts.append(f"cost {row['cost_zscore']:.1f} standard deviations above the mean")
    if row["flag_mad"]:
        parts.append(f"MAD score {row['cost_mad_score']:.1f}")
    if row["flag_percentile"]:
        parts.append("cost above twice the 95th percentile")
    return "; ".join(parts)


def score_days(days: list[Row], params: Params) -> None:
    """Adds expected_cost_usd, anomaly_score and is_anomaly to the rows of the daily mart."""
    series: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in sorted(days, key=lambda row: row["usage_date"]):
        series[row["org_id"], row["service"]].append(row)
    for rows in series.values():
        for index, row in enumerate(rows):
            history = [earlier["total_cost_usd"] for earlier in rows[:index]][-params.baseline_max_days :]
            score_day(row, history, params)


def score_day(row: Row, history: list[Decimal], params: Params) -> None:
    """One day against the totals of the previous days with usage."""
    row["expected_cost_usd"] = row["anomaly_score"] = None
    row["is_anomaly"] = params.no_verdict
    if len(history) < params.baseline_min_days:
        return
    expected = median(history)
    row["expected_cost_usd"] = expected
    mad = median(abs(cost - expected) for cost in history)
    if mad == 0:
        return
    excess = row["total_cost_usd"] - expected
    score = Fraction(params.mad_constant) * Fraction(excess) / Fraction(mad)
    row["anomaly_score"] = float(score)
    row["is_anomaly"] = score > Fraction(params.daily_threshold) and excess >= params.daily_min_impact_usd
