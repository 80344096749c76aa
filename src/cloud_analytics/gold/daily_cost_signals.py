"""Daily costs against their weekday, their recent level and their trend: what the daily verdict alone cannot tell."""

from __future__ import annotations

from pyspark.sql import DataFrame

from cloud_analytics.anomaly import signals
from cloud_analytics.config import DailySignalSettings
from cloud_analytics.lake.schemas import columns, conform

SCHEMA = columns(
    "org_id string, service string, total_cost_usd decimal(28,6), weekday_expected_cost_usd decimal(28,8),"
    " weekday_ratio double, is_weekday_anomaly boolean, recent_cost_usd decimal(28,8),"
    " previous_cost_usd decimal(28,8), level_shift_score double, is_level_shift boolean,"
    " trend_from_usd decimal(28,8), trend_to_usd decimal(28,8), trend_score double, is_trend boolean, usage_date date"
)


def build(daily: DataFrame, settings: DailySignalSettings) -> DataFrame:
    """The daily mart over the whole history → one row an (org, day, service) with its signals; levels are USD a day."""
    return conform(signals.score(daily, settings), SCHEMA)
