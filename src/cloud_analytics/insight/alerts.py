"""Alerts: the days on which a service cost an organisation far more than usual, ranked, with the reason in words.

An alert is a row of gold/cost_anomaly_mart whose day as a whole is anomalous. `reason` needs nothing but the row, so
that `query anomalies` shows the same words for a row that Cassandra served. What is anomalous, contract 7 decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from cloud_analytics.reading.lake import LakeReader

MART = "cost_anomaly_mart"
# Column of the mart → the detector in words.
_DETECTORS = {
    "unit_price_events": "unit price",
    "zscore_events": "z-score",
    "mad_events": "MAD",
    "percentile_events": "95th percentile",
}


def anomalies(lake: LakeReader) -> pd.DataFrame:
    """The rows of the anomaly mart with a `reason`, largest impact first; rows without an expectation come last."""
    order = "impact_usd DESC NULLS LAST, usage_date, org_id, service"
    found = lake.frame(f"SELECT * FROM gold.{MART} ORDER BY {order}")
    reasons = [reason({str(name): value for name, value in row.items()}) for row in found.to_dict("records")]
    return found.assign(reason=reasons)


def alerts(lake: LakeReader) -> pd.DataFrame:
    """The rows of `anomalies` whose day as a whole is anomalous."""
    found = anomalies(lake)
    return found[found["is_daily_anomaly"].eq(True)]


def reason(row: Mapping[str, Any]) -> str:
    """Why a row of the anomaly mart is there, in words for people."""
    parts = [_day(row), _events(row)]
    cost, actual = row["top_resource_cost_usd"], row["actual_cost_usd"]
    if actual and actual > 0:
        parts.append(f"{row['top_resource_id']} made {min(cost / actual, 1):.0%} of the day's cost")
    return "; ".join(parts)


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
