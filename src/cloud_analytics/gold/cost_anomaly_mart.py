"""Days on which an organisation's cost of a service was anomalous, or held an anomalous event, with the culprit."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.gold.measures import ratio, total_or_zero
from cloud_analytics.lake.schemas import columns, conform

SCHEMA = columns(
    "org_id string, service string, actual_cost_usd decimal(28,6), expected_cost_usd decimal(28,8),"
    " impact_usd decimal(28,8), impact_pct decimal(38,10), anomaly_score double, is_daily_anomaly boolean,"
    " zscore_events bigint, mad_events bigint, percentile_events bigint, unit_price_events bigint,"
    " anomalous_events bigint, anomalous_cost_usd decimal(28,6), top_resource_id string,"
    " top_resource_cost_usd decimal(28,6), usage_date date"
)
_KEY = ["org_id", "usage_date", "service"]
_COUNTS = ["zscore_events", "mad_events", "percentile_events", "unit_price_events", "anomalous_events"]


def build(daily: DataFrame, resource_days: DataFrame) -> DataFrame:
    """The daily mart with the resource days of the same dates → its anomalous rows. USD; impact_pct in percent.

    top_resource_id is the resource with the highest cost that day (ties: the smallest id).
    """
    culprit = F.max_by(F.col("resource_id"), F.struct(F.col("cost_usd"), F.col("_tie")))
    # The smallest id wins a tie: rank ids downwards within the day first, so that max_by can take them.
    causes = (
        _with_tie(resource_days)
        .groupBy(*_KEY)
        .agg(
            *[F.sum(name).alias(name) for name in _COUNTS],
            total_or_zero("anomalous_cost_usd").alias("anomalous_cost_usd"),
            culprit.alias("top_resource_id"),
            F.max("cost_usd").alias("top_resource_cost_usd"),
        )
    )
    actual, expected = F.col("total_cost_usd"), F.col("expected_cost_usd")
    impact = (actual - expected).cast("decimal(28,8)")
    # Both have 8 decimals; a hundred times as much fits the 6 that a ratio is taken of.
    percent = ratio(impact * 100, expected * 100, factor=100)
    joined = daily.join(causes, _KEY).where(F.col("is_anomaly") | (F.col("anomalous_events") > 0))
    return conform(
        joined.withColumn("actual_cost_usd", actual)
        .withColumn("impact_usd", impact)
        .withColumn("impact_pct", percent)
        .withColumn("is_daily_anomaly", F.col("is_anomaly")),
        SCHEMA,
    )


def _with_tie(resource_days: DataFrame) -> DataFrame:
    from pyspark.sql import Window

    downwards = Window.partitionBy(*_KEY).orderBy(F.desc("resource_id"))
    return resource_days.withColumn("_tie", F.row_number().over(downwards))
