"""What a detector is, and the detectors of single events.

A detector compares a row with the statistics of its group, which the row carries: `events` joins them, `daily` and
`signals` take them from the previous days.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cloud_analytics.anomaly.statistics import MAD_SCALE
from cloud_analytics.spark import Column, DataFrame, F


@dataclass(frozen=True)
class Detector:
    """One way to find anomalies: the columns that it adds, and how they are computed.

    `score`: how unusual a row is (DOUBLE; votes of a consensus); null where the row has no statistics (cold start, no
    spread). `flag`: whether the row is an anomaly, read from the column of the score; null counts as false. `reason`:
    what a detector of events saw, in words, for a row that it flags.
    """

    score_column: str
    flag_column: str
    score: Callable[[], Column]
    flag: Callable[[], Column]
    reason: Callable[[], Column] | None = None


def with_verdicts(rows: DataFrame, *detectors: Detector) -> DataFrame:
    """Rows with their statistics → the same rows with each detector's score and flag. No verdict is no anomaly."""
    scored = rows.withColumns({detector.score_column: detector.score() for detector in detectors})
    flags = {detector.flag_column: F.coalesce(detector.flag(), F.lit(False)) for detector in detectors}
    return scored.withColumns(flags)


def reasons(*detectors: Detector) -> Column:
    """The reasons of the detectors that flag an event, one after the other."""
    seen = [F.when(F.col(detector.flag_column), detector.reason()) for detector in detectors if detector.reason]
    return F.concat_ws("; ", *seen)


def unit_price() -> Column:
    """USD for one unit of the metric (DOUBLE); null where there is no usage to divide by."""
    return F.when(F.col("value") > 0, F.col("cost_usd").cast("double") / F.col("value").cast("double"))


def _above(threshold: float, score_column: str, flag_column: str, score: Callable[[], Column], words: str) -> Detector:
    """A detector that flags scores above a threshold; `words` is the format of its reason, with the score in it."""
    return Detector(
        score_column,
        flag_column,
        score,
        flag=lambda: F.col(score_column) > threshold,
        reason=lambda: F.format_string(words, score_column),
    )


def zscore(threshold: float) -> Detector:
    """Cost in standard deviations above its group's mean: (cost − mean) / sample standard deviation."""

    def score() -> Column:
        return (_cost() - F.col("mean_usd")) / F.col("stddev_usd")

    return _above(threshold, "cost_zscore", "flag_zscore", score, "cost %.1f standard deviations above the mean")


def mad(threshold: float) -> Detector:
    """0.6745 × (cost − median) / median absolute deviation, which large values do not move; null where the MAD is 0."""

    def score() -> Column:
        return F.lit(MAD_SCALE) * (_cost() - F.col("median_usd")) / F.col("mad_usd")

    return _above(threshold, "cost_mad_score", "flag_mad", score, "cost %.1f MADs above the median")


def price_ratio(threshold: float) -> Detector:
    """Price of one unit / the usual price of its service and metric, whoever the customer is; null without usage."""

    def score() -> Column:
        return unit_price() / F.col("median_price")

    return _above(threshold, "unit_price_ratio", "flag_unit_price", score, "unit price %.1f × normal")


def highest_usual_cost(factor: Decimal) -> Column:
    """A multiple of the group's high percentile, in USD, exact: costs above it are flagged, and capped there."""
    return F.lit(factor) * F.col("p95_usd")


def percentile(share: Decimal, factor: Decimal) -> Detector:
    """Cost / a high percentile of its group; null where that is not positive.

    The flag compares the cost with `highest_usual_cost` in decimals, since that cap is exact.
    """
    name = f"{100 * float(share):g}th percentile"

    def reason() -> Column:
        ratio = F.format_string(f"cost %.1f × the {name}", "percentile_ratio")
        return F.when(F.col("percentile_ratio").isNotNull(), ratio).otherwise(f"cost where the {name} has none")

    return Detector(
        "percentile_ratio",
        "flag_percentile",
        score=lambda: F.when(F.col("p95_usd") > 0, _cost() / F.col("p95_usd").cast("double")),
        flag=lambda: F.col("cost_usd") > highest_usual_cost(factor),
        reason=reason,
    )


def consensus(voters: Sequence[Detector], needed: int) -> Detector:
    """Flags an event that at least `needed` of the voters flag; their flags must be computed before."""
    return Detector(
        "votes",
        "flag_consensus",
        score=lambda: sum((F.col(voter.flag_column).cast("int") for voter in voters), F.lit(0)),
        flag=lambda: F.col("votes") >= needed,
    )


def _cost() -> Column:
    return F.col("cost_usd").cast("double")
