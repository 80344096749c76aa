"""Daily cost and usage of each service over all organisations."""

from __future__ import annotations

from cloud_analytics.gold.measures import month, total, total_or_zero
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, SameDate, Serving, Table
from cloud_analytics.tables.columns import (
    COUNT,
    EVENTS,
    SERVICE,
    TOTAL_CARBON,
    TOTAL_COST,
    TOTAL_CPU_HOURS,
    TOTAL_STORAGE,
    TOTAL_TOKENS,
    USAGE_DATE,
)

TABLE = Table(
    "provider_daily_usage",
    key=("usage_date", "service"),
    columns=(
        Column("month", "string", "month of the date"),
        USAGE_DATE,
        SERVICE,
        Column("organisations", "bigint", "organisations with usage", COUNT),
        EVENTS,
        TOTAL_COST,
        Column("total_requests", "bigint", "requests, rounded for each organisation", COUNT),
        TOTAL_CPU_HOURS,
        TOTAL_STORAGE,
        TOTAL_CARBON,
        TOTAL_TOKENS,
        Column("anomalous_days", "bigint", "organisations whose cost of the day stands out", COUNT),
    ),
    reads=(SameDate("gold/org_daily_usage_by_service"),),
    partition="usage_date",
    serving=Serving(
        "provider_daily_usage",
        question="provider",
        asks="Provider: what did each service cost all organisations together, day by day, and what was used of it?",
        key="((month), usage_date DESC, service)",
        shown=("usage_date", "service", "organisations", "events", "total_cost_usd", "anomalous_days"),
    ),
)


def build(daily: DataFrame) -> DataFrame:
    """gold/org_daily_usage_by_service → one row per (day, service): the sums over all organisations."""
    sums = daily.groupBy("usage_date", "service").agg(
        F.count("*").alias("organisations"),
        F.sum("total_events").alias("events"),
        F.sum("total_requests").alias("total_requests"),
        *[total_or_zero(name).alias(name) for name in ("total_cost_usd", "total_cpu_hours", "total_storage_gb_hours")],
        *[total(name).alias(name) for name in ("total_carbon_kg", "total_genai_tokens")],
        F.count_if("is_anomaly").alias("anomalous_days"),
    )
    return TABLE.select(sums.withColumn("month", month("usage_date")))
