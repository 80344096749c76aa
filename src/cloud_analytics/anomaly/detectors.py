"""What a detector is, and those of single events: a few columns over a row that carries the statistics of its group.

The statistics come from elsewhere (`events` joins them, `daily` and `signals` take them from the previous days); a
detector compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Protocol

from cloud_analytics.anomaly.statistics import MAD_SCALE
from cloud_analytics.spark import Column, DataFrame, F


class Detector(Protocol):
    """One way to tell an anomaly. A row without statistics (cold start, no spread) gets no verdict."""

    score_column: ClassVar[str]
    flag_column: ClassVar[str]

    def score(self) -> Column:
        """How unusual a row is (DOUBLE, a vote count for a consensus); null: no verdict."""

    def flag(self) -> Column:
        """Whether it is an anomaly (BOOLEAN, never null), read from the score's own column."""


class EventDetector(Detector, Protocol):
    """A detector of single events, which can say what it saw."""

    def reason(self) -> Column:
        """The finding in words for people; it speaks of a row that is flagged."""


def judge(rows: DataFrame, *detectors: Detector) -> DataFrame:
    """Rows with their statistics → the same rows with each detector's score and flag."""
    scored = rows.withColumns({detector.score_column: detector.score() for detector in detectors})
    return scored.withColumns({detector.flag_column: _certain(detector.flag()) for detector in detectors})


def reasons(*detectors: EventDetector) -> Column:
    """What those of the detectors that flag an event saw, one after the other."""
    return F.concat_ws("; ", *[F.when(F.col(detector.flag_column), detector.reason()) for detector in detectors])


def unit_price() -> Column:
    """USD for one unit of the metric (DOUBLE); null where there is no usage to divide by."""
    return F.when(F.col("value") > 0, F.col("cost_usd").cast("double") / F.col("value").cast("double"))


@dataclass(frozen=True)
class AboveThreshold:
    """What the detectors share that flag a score above a threshold; `words` say it, with the score in them."""

    threshold: float
    score_column: ClassVar[str]
    words: ClassVar[str]

    def flag(self) -> Column:
        """Above the threshold."""
        return F.col(self.score_column) > self.threshold

    def reason(self) -> Column:
        """In words."""
        return F.format_string(self.words, self.score_column)


@dataclass(frozen=True)
class ZScore(AboveThreshold):
    """Cost in standard deviations above its group's mean."""

    score_column: ClassVar[str] = "cost_zscore"
    flag_column: ClassVar[str] = "flag_zscore"
    words: ClassVar[str] = "cost %.1f standard deviations above the mean"

    def score(self) -> Column:
        """(cost − mean) / sample standard deviation."""
        return (_cost() - F.col("mean_usd")) / F.col("stddev_usd")


@dataclass(frozen=True)
class Mad(AboveThreshold):
    """Cost in median absolute deviations above its group's median: large values do not hide each other."""

    score_column: ClassVar[str] = "cost_mad_score"
    flag_column: ClassVar[str] = "flag_mad"
    words: ClassVar[str] = "cost %.1f MADs above the median"

    def score(self) -> Column:
        """0.6745 × (cost − median) / MAD; null where the MAD is 0."""
        return F.lit(MAD_SCALE) * (_cost() - F.col("median_usd")) / F.col("mad_usd")


@dataclass(frozen=True)
class Percentile:
    """Cost against a multiple of a high percentile of its group; that multiple also caps `cost_usd_capped`."""

    percentile: Decimal
    factor: Decimal
    score_column: ClassVar[str] = "percentile_ratio"
    flag_column: ClassVar[str] = "flag_percentile"

    def score(self) -> Column:
        """Cost / percentile; null where the percentile is not positive."""
        return F.when(F.col("p95_usd") > 0, _cost() / F.col("p95_usd").cast("double"))

    def limit(self) -> Column:
        """The cost above which it flags, USD, exact."""
        return F.lit(self.factor) * F.col("p95_usd")

    def flag(self) -> Column:
        """Above the limit, in decimals: the cap is exact, so is the verdict."""
        return F.col("cost_usd") > self.limit()

    def reason(self) -> Column:
        """In words."""
        name = f"{100 * float(self.percentile):g}th percentile"
        ratio = F.format_string(f"cost %.1f × the {name}", self.score_column)
        return F.when(F.col(self.score_column).isNotNull(), ratio).otherwise(f"cost where the {name} has none")


@dataclass(frozen=True)
class UnitPrice(AboveThreshold):
    """Price of one unit against the usual price of its service and metric, whoever the customer is."""

    score_column: ClassVar[str] = "unit_price_ratio"
    flag_column: ClassVar[str] = "flag_unit_price"
    words: ClassVar[str] = "unit price %.1f × normal"

    def score(self) -> Column:
        """(cost / value) / median of (cost / value); null without usage."""
        return unit_price() / F.col("median_price")


@dataclass(frozen=True)
class Consensus:
    """Several detectors that agree. It reads their flags, so it is judged after them."""

    voters: Sequence[EventDetector]
    needed: int
    score_column: ClassVar[str] = "votes"
    flag_column: ClassVar[str] = "flag_consensus"

    def score(self) -> Column:
        """How many of the voters flag the event."""
        return sum((F.col(voter.flag_column).cast("int") for voter in self.voters), F.lit(0))

    def flag(self) -> Column:
        """At least as many as are needed."""
        return F.col(self.score_column) >= self.needed


def _cost() -> Column:
    return F.col("cost_usd").cast("double")


def _certain(condition: Column) -> Column:
    """No verdict is no anomaly."""
    return F.coalesce(condition, F.lit(False))
