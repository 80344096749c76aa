"""Alerts for readers: days with anomalous cost, costs that stay higher, and months that the figures do not cover.

An alert is a row of gold/cost_anomaly_mart whose day as a whole is anomalous. Contract 7 defines what is anomalous.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from cloud_analytics.reading.lake import LakeReader

MART = "cost_anomaly_mart"
# Column of the mart → the name of the detector.
DETECTORS = {
    "unit_price_events": "unit price",
    "zscore_events": "z-score",
    "mad_events": "MAD",
    "percentile_events": "95th percentile",
}
# Signal → (its flag in gold/cost_shifts, the column with the daily cost before, the column with the daily cost after).
_SIGNALS = {
    "level shift": ("is_level_shift", "previous_cost_usd", "recent_cost_usd"),
    "drift": ("is_trend", "trend_from_usd", "trend_to_usd"),
}


def anomalies(lake: LakeReader) -> pd.DataFrame:
    """The rows of the anomaly mart with a `reason`, largest impact first; rows without an expected cost come last."""
    order = "impact_usd DESC NULLS LAST, usage_date, org_id, service"
    found = lake.frame(f"SELECT * FROM gold.{MART} ORDER BY {order}")
    reasons = [reason({str(name): value for name, value in row.items()}) for row in found.to_dict("records")]
    return found.assign(reason=reasons)


def alerts(lake: LakeReader) -> pd.DataFrame:
    """The rows of `anomalies` whose day as a whole is anomalous."""
    found = anomalies(lake)
    return found[found["is_daily_anomaly"].eq(True)]


def reason(row: Mapping[str, Any]) -> str:
    """A sentence that explains a row of the anomaly mart; the row may come from Gold or from Cassandra."""
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
    found = ", ".join(name for column, name in DETECTORS.items() if row[column])
    return f"{count:,} anomalous event{'s' * (count > 1)} of {row['anomalous_cost_usd']:,.2f} USD (by {found})"


def shifts(days: pd.DataFrame) -> pd.DataFrame:
    """Aggregate rows of gold/cost_shifts to one row per (org_id, service, signal), the largest rise first.

    `first_day`, `last_day` and `days` are the first, the last and the number of days with the signal. `from_usd` and
    `to_usd` are the daily cost before and after the shift, as of `last_day`; `rise` is their difference.
    """
    import pandas as pd

    found = [
        days[days[flag].eq(True)]
        .sort_values("usage_date")
        .groupby(["org_id", "service"], as_index=False)
        .agg(
            first_day=("usage_date", "min"),
            last_day=("usage_date", "max"),
            days=("usage_date", "count"),
            from_usd=(before, "last"),
            to_usd=(after, "last"),
        )
        .assign(signal=signal)
        for signal, (flag, before, after) in _SIGNALS.items()
    ]
    rows = pd.concat(found, ignore_index=True)
    rows = rows.assign(rise=rows["to_usd"] - rows["from_usd"])
    order = ["rise", "org_id", "service", "signal"]
    return rows.sort_values(order, ascending=[False, True, True, True], ignore_index=True)


def uncovered_months(billing: pd.DataFrame) -> list[str]:
    """A list with one sentence on the months that usage does not cover; empty if usage covers all of `billing`."""
    months = sorted(set(billing["month"][~billing["covers_month"].eq(True)]))
    if not months:
        return []
    return [
        f"The usage here does not cover the whole of {', '.join(months)}: whether those invoices are right cannot"
        " be told from these data."
    ]
