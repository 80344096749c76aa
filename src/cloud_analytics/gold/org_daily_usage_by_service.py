"""Daily cost and usage of each organisation and service: the mart most others read."""

from __future__ import annotations

from cloud_analytics.anomaly import daily as detector
from cloud_analytics.config.anomalies import DailyAnomalySettings
from cloud_analytics.gold.measures import ratio, total, total_or_zero
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import MONEY, RATIO, Column, Earlier, SameDate, Serving, Table, Unit
from cloud_analytics.tables.columns import (
    COUNT,
    DAY_SCORE,
    EXPECTED_COST,
    ORG_ID,
    SERVICE,
    USAGE_DATE,
    USAGE_TOTALS,
    USD,
)

TABLE = Table(
    "org_daily_usage_by_service",
    key=("org_id", "usage_date", "service"),
    columns=(
        ORG_ID,
        USAGE_DATE,
        SERVICE,
        Column("total_events", "bigint", "events", COUNT),
        *USAGE_TOTALS,
        Column("avg_cost_per_request", RATIO, "total_cost_usd / total_requests", Unit("USD per request", 6)),
        Column("is_anomaly", "boolean", "the day's cost stands out from the days before"),
        DAY_SCORE,
        EXPECTED_COST,
        Column("total_cost_usd_capped", MONEY, "cost (without outliers)", USD),
    ),
    reads=(SameDate("gold/resource_daily_usage"), Earlier("gold/org_daily_usage_by_service")),
    partition="usage_date",
    settings=lambda config: config.anomalies.daily,
    serving=Serving(
        "finops_daily_usage",
        question="daily-costs",
        asks="FinOps: what did each service cost an organisation, day by day, and what was used for it?",
        key="((org_id), usage_date DESC, service)",
        shown=("usage_date", "service", "total_cost_usd", "expected_cost_usd", "is_anomaly"),
    ),
)

_METRICS = ("requests", "cpu_hours", "storage_gb_hours")
_SCORES = ["is_anomaly", "anomaly_score", "expected_cost_usd"]


def totals(usage: DataFrame) -> DataFrame:
    """gold/resource_daily_usage → one row per (org, day, service), without scores. USD, hours, GB hours, kg, tokens."""
    of_metric = {name: F.when(F.col("metric") == name, F.col("quantity")) for name in _METRICS}
    sums = usage.groupBy(*TABLE.key).agg(
        F.sum("events").alias("total_events"),
        total_or_zero("cost_usd").alias("total_cost_usd"),
        F.round(total_or_zero(of_metric["requests"]), 0).cast("bigint").alias("total_requests"),
        total_or_zero(of_metric["cpu_hours"]).alias("total_cpu_hours"),
        total_or_zero(of_metric["storage_gb_hours"]).alias("total_storage_gb_hours"),
        total("total_carbon_kg").alias("total_carbon_kg"),
        total("total_genai_tokens").alias("total_genai_tokens"),
        total_or_zero("cost_usd_capped").alias("total_cost_usd_capped"),
    )
    return sums.withColumn("avg_cost_per_request", ratio("total_cost_usd", "total_requests"))


def build(usage: DataFrame, earlier: DataFrame, settings: DailyAnomalySettings) -> DataFrame:
    """gold/resource_daily_usage of some days, and this mart's rows of all earlier days → this mart's rows of all days.

    Each day gets an anomaly score and an expected cost (USD) from the days before it.
    """
    history = totals(usage).unionByName(earlier.drop(*_SCORES))
    return TABLE.select(detector.score(history, settings))
