"""Alerts: the days on which a service cost an organisation far more than usual, with the reason in words, ranked.

An alert is a row of gold/cost_anomaly_mart whose day as a whole is anomalous. `reason` and `top_resource_share` are
derived from a row alone, so that `query anomalies` shows the same words for a row that Cassandra served. No row is
judged here: contract 7 does that, and what is shown can be filtered without changing a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloud_analytics.reading.lake import LakeReader

MART = "cost_anomaly_mart"
# column of the mart → the detector in words
_DETECTORS = {
    "unit_price_events": "unit price",
    "zscore_events": "z-score",
    "mad_events": "MAD",
    "percentile_events": "95th percentile",
}


@dataclass(frozen=True)
class Alert:
    """One anomalous day of an (org, service). Money in USD; `impact_pct` in percent of the expected cost.

    `score` counts robust standard deviations (MADs) above the median of the days before; `top_resource_share` lies in
    0-1. `impact_pct` is None where the expected cost is 0. `plain` (insight/plain.py) makes JSON of it.
    """

    org_id: str
    service: str
    usage_date: date
    actual_cost_usd: Decimal
    expected_cost_usd: Decimal
    impact_usd: Decimal
    impact_pct: Decimal | None
    score: float
    reason: str
    top_resource_id: str
    top_resource_cost_usd: Decimal
    top_resource_share: float | None
    anomalous_events: int


def alerts(lake: LakeReader) -> list[Alert]:
    """The alerts of a lake from Gold, largest impact first."""
    return ranked(lake.rows(f"SELECT * FROM gold.{MART} WHERE is_daily_anomaly"))


def ranked(rows: Iterable[Mapping[str, Any]]) -> list[Alert]:
    """Rows of the mart → alerts of those whose day is anomalous, largest impact first (ties: newest first)."""
    found = [_alert(row) for row in rows if row["is_daily_anomaly"]]
    return sorted(found, key=lambda a: (-a.impact_usd, -a.usage_date.toordinal(), a.org_id, a.service))


def _alert(row: Mapping[str, Any]) -> Alert:
    same = ("org_id", "service", "usage_date", "actual_cost_usd", "expected_cost_usd", "impact_usd", "impact_pct",
            "top_resource_id", "top_resource_cost_usd", "anomalous_events")  # fmt: skip
    return Alert(
        **{name: row[name] for name in same},
        score=row["anomaly_score"],
        reason=reason(row),
        top_resource_share=top_resource_share(row),
    )


def top_resource_share(row: Mapping[str, Any]) -> float | None:
    """Which share (0-1) of the day's cost the most expensive resource has; None where the day cost nothing."""
    actual = row["actual_cost_usd"]
    return float(row["top_resource_cost_usd"] / actual) if actual and actual > 0 else None


def reason(row: Mapping[str, Any]) -> str:
    """Why a row of the anomaly mart is there, in words for people; from the row's own fields."""
    parts = [_day(row), _events(row), _resource(row)]
    return "; ".join(part for part in parts if part)


def _day(row: Mapping[str, Any]) -> str:
    actual, expected = row["actual_cost_usd"], row["expected_cost_usd"]
    if expected is None:
        return "too few days before to judge the day"
    if not row["is_daily_anomaly"]:
        return "the day as a whole is within its usual range"
    return f"the day cost {actual / expected:.1f} × the usual" if expected > 0 else "a cost where there usually is none"


def _events(row: Mapping[str, Any]) -> str:
    count = row["anomalous_events"]
    if not count:
        return "no single event stands out: more usage, or many small increases"
    found = ", ".join(name for column, name in _DETECTORS.items() if row[column])
    return f"{count:,} anomalous event{'s' * (count > 1)} of {row['anomalous_cost_usd']:,.2f} USD (by {found})"


def _resource(row: Mapping[str, Any]) -> str:
    share = top_resource_share(row)
    return "" if share is None else f"{row['top_resource_id']} made {min(share, 1):.0%} of the day's cost"
