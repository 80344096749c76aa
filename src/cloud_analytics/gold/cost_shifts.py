"""Days on which the cost of a service has shifted to a higher level, drifts up, or stands out from the days before.

This is a mart of its own: if one query computed the signals and filtered them, Spark would compute each array again for
every use.
"""

from __future__ import annotations

from cloud_analytics.gold import daily_cost_signals
from cloud_analytics.spark import DataFrame
from cloud_analytics.tables import SameDate, Serving, Table

TABLE = Table(
    "cost_shifts",
    key=("org_id", "usage_date", "service"),
    columns=daily_cost_signals.TABLE.columns,
    reads=(SameDate(daily_cost_signals.TABLE.path),),
    partition="usage_date",
    serving=Serving(
        "cost_shifts",
        question="shifts",
        asks="FinOps: since when has the level of an organisation's cost of a service shifted or drifted, and which"
        " anomalous days does the weekday explain?",
        key="((org_id), usage_date DESC, service)",
        shown=("usage_date", "service", "previous_cost_usd", "recent_cost_usd", "is_level_shift", "is_trend"),
    ),
)


def build(signals: DataFrame) -> DataFrame:
    """gold/daily_cost_signals → its rows with a level shift, a trend or an anomalous day."""
    return TABLE.select(signals.where("is_anomaly OR is_level_shift OR is_trend"))
