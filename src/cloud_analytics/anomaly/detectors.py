"""Defines detectors, the statistics that they share, and the detectors of single events.

A detector compares a row with the statistics of its group. These are columns of the row: `events` joins them, `daily`
takes them from the previous days. Order statistics are exact: they never depend on the order of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from cloud_analytics.spark import Column, DataFrame, F

MAD_SCALE = 0.6745
"""MAD_SCALE × distance / MAD is the distance in standard deviations, if the values have a normal distribution."""
UNIT_PRICE = "CASE WHEN value > 0 THEN double(cost_usd) / double(value) END"
"""USD for one unit of the metric (DOUBLE); null if there is no usage to divide by."""


@dataclass(frozen=True)
class Detector:
    """One way to find anomalies: the columns that it adds, and the Spark SQL that computes them.

    `score`: how unusual a row is (DOUBLE; for a consensus, the number of votes); null if the row has no statistics
    (cold start, no spread). `flag`: whether the row is an anomaly; it may use the column of the score, and null counts
    as false. `reason`: the explanation of a flagged row in words; only detectors of events have it.
    """

    score_column: str
    flag_column: str
    score: str
    flag: str
    reason: str | None = None

    def flagged(self) -> Column:
        """The flag, with false instead of null: a row without a verdict is not an anomaly."""
        return F.expr(f"coalesce({self.flag}, false)")


def with_verdicts(rows: DataFrame, *detectors: Detector) -> DataFrame:
    """Rows with their statistics → the same rows with each detector's score and flag."""
    scored = rows.withColumns({detector.score_column: F.expr(detector.score) for detector in detectors})
    return scored.withColumns({detector.flag_column: detector.flagged() for detector in detectors})


def reasons(*detectors: Detector) -> Column:
    """The reasons of the detectors that flag an event, one after the other."""
    seen = [F.expr(f"CASE WHEN {detector.flag_column} THEN {detector.reason} END") for detector in detectors]
    return F.concat_ws("; ", *seen)


def literal(number: float | Decimal) -> str:
    """A number as a literal of Spark SQL: DOUBLE, or an exact DECIMAL."""
    return f"{number:f}BD" if isinstance(number, Decimal) else f"double('{number}')"


def at(values: Column, index: Column) -> Column:
    """The element at an index from 0."""
    return F.element_at(values, index.cast("int") + 1)


def median(values: Column) -> Column:
    """Median of a sorted array (double)."""
    size = F.size(values)
    return (at(values, F.floor((size - 1) / 2)) + at(values, F.floor(size / 2))) / F.lit(2.0)


def decimal_median(values: Column) -> Column:
    """Exact median of a sorted array of decimals. Pass a column: Spark would evaluate an expression twice."""
    size = F.size(values)
    low, high = at(values, F.floor((size - 1) / 2)), at(values, F.floor(size / 2))
    return ((low + high) * F.lit(0.5).cast("decimal(2,1)")).cast("decimal(28,8)")


def deviations(values: Column, center: Column) -> Column:
    """Distances of the values from a center, sorted: their median is the MAD."""
    return F.sort_array(F.transform(values, lambda x: F.abs(x - center)))


def _above(threshold: float, score_column: str, flag_column: str, score: str, words: str) -> Detector:
    """A detector that flags scores above a threshold; `words` is the format of its reason, with the score in it."""
    flag, reason = f"{score_column} > {literal(threshold)}", f"format_string('{words}', {score_column})"
    return Detector(score_column, flag_column, score, flag, reason)


def zscore(threshold: float) -> Detector:
    """Cost in standard deviations above its group's mean: (cost − mean) / sample standard deviation."""
    score = "(double(cost_usd) - mean_usd) / stddev_usd"
    return _above(threshold, "cost_zscore", "flag_zscore", score, "cost %.1f standard deviations above the mean")


def mad(threshold: float) -> Detector:
    """0.6745 × (cost − median) / MAD (median absolute deviation), robust to large values; null if the MAD is 0."""
    score = f"{literal(MAD_SCALE)} * (double(cost_usd) - median_usd) / mad_usd"
    return _above(threshold, "cost_mad_score", "flag_mad", score, "cost %.1f MADs above the median")


def price_ratio(threshold: float) -> Detector:
    """Price of one unit / the usual price of its service and metric over all customers; null without usage."""
    score = f"{UNIT_PRICE} / median_price"
    return _above(threshold, "unit_price_ratio", "flag_unit_price", score, "unit price %.1f × normal")


def highest_usual_cost(factor: Decimal) -> str:
    """A multiple of the group's high percentile, exact, in USD. A cost above it is flagged and capped to it."""
    return f"{literal(factor)} * p95_usd"


def percentile(share: Decimal, factor: Decimal) -> Detector:
    """Cost / a high percentile of its group; null if the percentile is not positive.

    The flag compares the cost with `highest_usual_cost` in decimals, since that cap is exact.
    """
    name = f"{100 * float(share):g}th percentile"
    return Detector(
        "percentile_ratio",
        "flag_percentile",
        score="CASE WHEN p95_usd > 0 THEN double(cost_usd) / double(p95_usd) END",
        flag=f"cost_usd > {highest_usual_cost(factor)}",
        reason=f"CASE WHEN percentile_ratio IS NOT NULL THEN format_string('cost %.1f × the {name}', percentile_ratio)"
        f" ELSE 'cost where the {name} has none' END",
    )


def consensus(voters: Sequence[Detector], needed: int) -> Detector:
    """Flags an event that at least `needed` of the voters flag; their flags must be computed before."""
    votes = " + ".join(f"int({voter.flag_column})" for voter in voters)
    return Detector("votes", "flag_consensus", score=votes, flag=f"votes >= {needed}")
