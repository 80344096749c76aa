"""The daily baseline (contract 7): a day's cost of an (org, service) against its previous days with usage."""

from __future__ import annotations

from decimal import Decimal

from cloud_analytics.anomaly.detectors import Detector, with_verdicts
from cloud_analytics.anomaly.statistics import MAD_SCALE, decimal_median, deviations
from cloud_analytics.config import DailyAnomalySettings
from cloud_analytics.spark import Column, DataFrame, F, Window


def daily_baseline(threshold: float, min_impact_usd: Decimal) -> Detector:
    """0.6745 × (a day's cost − expected cost) / MAD; null with too little history or where the MAD is 0.

    Flags what is above the threshold and by enough money to matter. Reads the columns of `with_baseline`.
    """

    def excess() -> Column:
        return F.col("total_cost_usd") - F.col("expected_cost_usd")

    return Detector(
        "anomaly_score",
        "is_anomaly",
        score=lambda: F.when(F.col("mad_usd") > 0, F.lit(MAD_SCALE) * excess().cast("double") / F.col("mad_usd")),
        flag=lambda: (F.col("anomaly_score") > threshold) & (excess() >= F.lit(min_impact_usd)),
    )


def with_baseline(daily: DataFrame, settings: DailyAnomalySettings) -> DataFrame:
    """Daily totals (one row an org, day and service) → the same rows with `expected_cost_usd` and `mad_usd` (DOUBLE).

    Both are null with too little history.
    """
    previous = Window.partitionBy("org_id", "service").orderBy("usage_date").rowsBetween(-settings.history_days, -1)
    history = daily.withColumn("_costs", F.sort_array(F.collect_list("total_cost_usd").over(previous)))
    enough = F.size("_costs") >= settings.min_days
    expected = history.withColumn("expected_cost_usd", F.when(enough, decimal_median(F.col("_costs"))))
    spread = deviations(F.col("_costs"), F.col("expected_cost_usd"))
    mad = F.when(enough, decimal_median(F.col("_deviations"))).cast("double")
    return expected.withColumn("_deviations", spread).withColumn("mad_usd", mad).drop("_costs", "_deviations")


def score(daily: DataFrame, settings: DailyAnomalySettings) -> DataFrame:
    """Daily totals (one row an org, day and service) → the same rows with verdict, score and expected cost in USD.

    Too little history: expected and score are null. No spread (MAD 0): the score is null. No verdict in either case.
    """
    detector = daily_baseline(settings.score_threshold, settings.min_impact_usd)
    return with_verdicts(with_baseline(daily, settings), detector)
