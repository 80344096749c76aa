"""The daily baseline (contract 7): a day's cost of an (org, service) against its previous days with usage."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from cloud_analytics.anomaly.detectors import judge
from cloud_analytics.anomaly.statistics import MAD_SCALE, decimal_median, deviations
from cloud_analytics.config import DailyAnomalySettings
from cloud_analytics.spark import Column, DataFrame, F, Window


@dataclass(frozen=True)
class DailyBaseline:
    """A day's total against the previous days with usage (`with_baseline`)."""

    threshold: float
    min_impact_usd: Decimal
    score_column: ClassVar[str] = "anomaly_score"
    flag_column: ClassVar[str] = "is_anomaly"

    def excess(self) -> Column:
        """USD above the expected cost."""
        return F.col("total_cost_usd") - F.col("expected_cost_usd")

    def score(self) -> Column:
        """0.6745 × excess / MAD; null with too little history or where the MAD is 0."""
        return F.when(F.col("mad_usd") > 0, F.lit(MAD_SCALE) * self.excess().cast("double") / F.col("mad_usd"))

    def flag(self) -> Column:
        """Above the threshold, and enough money to matter."""
        return (F.col(self.score_column) > self.threshold) & (self.excess() >= F.lit(self.min_impact_usd))


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
    return judge(with_baseline(daily, settings), DailyBaseline(settings.score_threshold, settings.min_impact_usd))
