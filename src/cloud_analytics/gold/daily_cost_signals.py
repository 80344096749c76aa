"""Daily costs compared with their weekday, their recent level and their trend, beside the daily verdict."""

from __future__ import annotations

from cloud_analytics.anomaly.daily import signals
from cloud_analytics.config.anomalies import DailySignalSettings
from cloud_analytics.spark import DataFrame
from cloud_analytics.tables import Column, History, Table
from cloud_analytics.tables.columns import ORG_ID, SERVICE, TOTAL_COST, USAGE_DATE, USD, Unit

TABLE = Table(
    "daily_cost_signals",
    key=("org_id", "usage_date", "service"),
    columns=(
        ORG_ID,
        USAGE_DATE,
        SERVICE,
        TOTAL_COST,
        Column("weekday_expected_cost_usd", "decimal(28,8)", "median of the same weekday in the days before", USD),
        Column("weekday_ratio", "double", "total_cost_usd / weekday_expected_cost_usd", Unit("ratio", 2)),
        Column("is_anomaly", "boolean", "the daily verdict: the cost stands out from the days before"),
        Column("is_weekday_anomaly", "boolean", "the daily verdict stands, and the weekday does not explain it"),
        Column("recent_cost_usd", "decimal(28,8)", "median of the last days", USD),
        Column("previous_cost_usd", "decimal(28,8)", "median of the days before them", USD),
        Column("level_shift_score", "double", "rise of the median, in standard errors", Unit("z-score", 2)),
        Column("is_level_shift", "boolean", "the level rose by a share and a sum that matter"),
        Column("trend_from_usd", "decimal(28,8)", "level at the beginning of the days looked at", USD),
        Column("trend_to_usd", "decimal(28,8)", "level at their end", USD),
        Column("trend_score", "double", "z of the Mann-Kendall test over these days", Unit("z-score", 2)),
        Column("is_trend", "boolean", "costs rise day by day, by a share and a sum that matter"),
    ),
    reads=(History("gold/org_daily_usage_by_service"),),
    partition="usage_date",
    settings=lambda config: config.anomalies.signals,
)


def build(daily: DataFrame, settings: DailySignalSettings) -> DataFrame:
    """The daily mart with its whole history → one row per (org, day, service) with its signals; levels in USD."""
    return TABLE.select(signals(daily, settings))
