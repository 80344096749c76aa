"""Daily anomaly scores (SPEC 7): a day's cost of an (org, service) against its previous days with usage."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from cloud_analytics.config import DailyAnomalySettings

_MAD_SCALE = 0.6745


def score(daily: DataFrame, settings: DailyAnomalySettings) -> DataFrame:
    """Daily totals (one row an org, day and service) → the same rows with verdict, score and expected cost in USD.

    Too little history: expected and score are null. No spread (MAD 0): the score is null. No verdict in either case.
    """
    previous = Window.partitionBy("org_id", "service").orderBy("usage_date").rowsBetween(-settings.history_days, -1)
    history = daily.withColumn("_costs", F.sort_array(F.collect_list("total_cost_usd").over(previous)))
    enough = F.size("_costs") >= settings.min_days
    judged = history.withColumn("expected_cost_usd", F.when(enough, _median(F.col("_costs"))))
    deviations = F.sort_array(F.transform("_costs", lambda x: F.abs(x - F.col("expected_cost_usd"))))
    mad = F.when(enough, _median(deviations)).cast("double")
    excess = F.col("total_cost_usd") - F.col("expected_cost_usd")
    judged = judged.withColumn(
        "anomaly_score", F.when(mad > 0, F.lit(_MAD_SCALE) * excess.cast("double") / mad)
    ).withColumn(
        "is_anomaly",
        F.coalesce(
            (F.col("anomaly_score") > settings.score_threshold) & (excess >= F.lit(settings.min_impact_usd)),
            F.lit(False),
        ),
    )
    return judged.drop("_costs")


def _median(values: Column) -> Column:
    """Exact median of a sorted array of decimals."""
    size = F.size(values)
    low = F.element_at(values, (F.floor((size - 1) / 2) + 1).cast("int"))
    high = F.element_at(values, (F.floor(size / 2) + 1).cast("int"))
    return ((low + high) * F.lit(0.5).cast("decimal(2,1)")).cast("decimal(28,8)")
