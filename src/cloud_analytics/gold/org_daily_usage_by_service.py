"""Daily cost and usage of each organisation and service: the mart most others read."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.anomaly import daily as detector
from cloud_analytics.config import DailyAnomalySettings
from cloud_analytics.gold.measures import ratio, total, total_or_zero
from cloud_analytics.lake.schemas import columns, conform

SCHEMA = columns(
    "org_id string, service string, total_events bigint, total_cost_usd decimal(28,6), total_requests bigint,"
    " total_cpu_hours decimal(28,6), total_storage_gb_hours decimal(28,6), total_carbon_kg decimal(28,6),"
    " total_genai_tokens decimal(28,6), avg_cost_per_request decimal(38,10), is_anomaly boolean, anomaly_score double,"
    " expected_cost_usd decimal(28,8), total_cost_usd_capped decimal(28,6), usage_date date"
)
KEY = ["org_id", "usage_date", "service"]
_SCORES = ["is_anomaly", "anomaly_score", "expected_cost_usd"]


def totals(resource_days: DataFrame) -> DataFrame:
    """Resource days → one row an (org, day, service), without scores. USD, hours, GB hours, kg and tokens."""
    sums = resource_days.groupBy(*KEY).agg(
        F.sum("events").alias("total_events"),
        total_or_zero("cost_usd").alias("total_cost_usd"),
        F.round(total_or_zero("requests"), 0).cast("bigint").alias("total_requests"),
        total_or_zero("cpu_hours").alias("total_cpu_hours"),
        total_or_zero("storage_gb_hours").alias("total_storage_gb_hours"),
        total("carbon_kg").alias("total_carbon_kg"),
        total("genai_tokens").alias("total_genai_tokens"),
        total_or_zero("cost_usd_capped").alias("total_cost_usd_capped"),
    )
    return sums.withColumn("avg_cost_per_request", ratio(F.col("total_cost_usd"), F.col("total_requests")))


def without_scores(mart: DataFrame) -> DataFrame:
    """The mart's rows as `totals` made them."""
    return mart.drop(*_SCORES)


def build(all_totals: DataFrame, settings: DailyAnomalySettings) -> DataFrame:
    """Totals of the whole history → the mart: each day judged against its previous days."""
    return conform(detector.score(all_totals, settings), SCHEMA)
