"""The daily detectors (contract 7) compare a day's cost of an (org, service) with its previous days with usage.

The baseline gives the daily verdict. The signals show what the baseline does not see: the usual cost of a weekday, a
shifted level, a cost that rises slowly. Each signal uses the last days with usage. docs/anomalies.md has the evidence.
"""

from __future__ import annotations

from decimal import Decimal
from math import sqrt

from cloud_analytics.anomaly.detectors import MAD_SCALE, Detector, decimal_median, deviations, literal, with_verdicts
from cloud_analytics.config.anomalies import (
    DailyAnomalySettings,
    DailySignalSettings,
    LevelShiftSettings,
    TrendSettings,
    WeekdaySettings,
)
from cloud_analytics.spark import Column, DataFrame, F, Window

_MEDIAN_ERROR = 1.2533
"""The standard error of the median of n normal values is this × their standard deviation / √n."""


def daily_baseline(threshold: float, min_impact_usd: Decimal) -> Detector:
    """The score 0.6745 × (a day's cost − expected cost) / MAD; null with too little history or if the MAD is 0.

    A day is flagged if its score is above the threshold and its excess at least `min_impact_usd`. The detector reads
    the columns of `with_baseline`.
    """
    excess = "total_cost_usd - expected_cost_usd"
    return Detector(
        "anomaly_score",
        "is_anomaly",
        score=f"CASE WHEN mad_usd > 0 THEN {literal(MAD_SCALE)} * double({excess}) / mad_usd END",
        flag=f"anomaly_score > {literal(threshold)} AND {excess} >= {literal(min_impact_usd)}",
    )


def with_baseline(daily: DataFrame, settings: DailyAnomalySettings) -> DataFrame:
    """Daily totals (one row per org, day and service) → the same rows with `expected_cost_usd` and `mad_usd` (DOUBLE).

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
    """Daily totals (one row per org, day and service) → the same rows with verdict, score and expected cost in USD.

    With too little history, expected cost and score are null. Without spread (MAD 0), the score is null. In both cases
    the day is not flagged.
    """
    detector = daily_baseline(settings.score_threshold, settings.min_impact_usd)
    return with_verdicts(with_baseline(daily, settings), detector)


def weekday_anomaly(settings: WeekdaySettings) -> Detector:
    """The daily verdict, unless the day costs as much as this weekday usually does: a weekly batch job is no anomaly.

    The score is the cost / the expected cost of the weekday; null if no cost is expected.
    """
    ratio = "double(total_cost_usd) / double(weekday_expected_cost_usd)"
    return Detector(
        "weekday_ratio",
        "is_weekday_anomaly",
        score=f"CASE WHEN weekday_expected_cost_usd > 0 THEN {ratio} END",
        flag=f"is_anomaly AND NOT coalesce(weekday_ratio <= {literal(settings.max_ratio)}, false)",
    )


def _is_rise(score: str, before: str, after: str, settings: LevelShiftSettings | TrendSettings) -> str:
    """SQL: the score is above its threshold, and the rise between the two levels (USD) is large enough to matter."""
    return (
        f"{score} > {literal(settings.score_threshold)} AND {after} >= {before} * {literal(settings.min_ratio)}"
        f" AND {after} - {before} >= {literal(settings.min_impact_usd)}"
    )


def level_shift(settings: LevelShiftSettings) -> Detector:
    """Compare the median of the last days with the days before them: is it higher, and not just for a day or two?

    The score is the rise in standard errors of this median; null if the days before have no spread.
    """
    scale = literal(MAD_SCALE * sqrt(settings.recent_days) / _MEDIAN_ERROR)
    rise = "double(recent_cost_usd - previous_cost_usd)"
    return Detector(
        "level_shift_score",
        "is_level_shift",
        score=f"CASE WHEN _previous_mad > 0 THEN {scale} * {rise} / _previous_mad END",
        flag=_is_rise("level_shift_score", "previous_cost_usd", "recent_cost_usd", settings),
    )


def trend(settings: TrendSettings) -> Detector:
    """The Mann-Kendall test: in all pairs of days, does the later day cost more? One very large day has little weight.

    The score is the test's z, without the correction for ties; null with fewer than `min_days` days. Costs are compared
    as doubles, in which any two different costs below a billion USD differ.
    """
    costs, n = "_trend_doubles", "double(size(_trend_doubles))"
    # For each day: the earlier days that cost less, minus those that cost more.
    rises = f"aggregate(slice({costs}, 1, i), 0D, (found, y) -> found + signum(x - y))"
    pairs = f"aggregate(transform({costs}, (x, i) -> {rises}), 0D, (found, x) -> found + x)"
    z = f"({pairs} - signum({pairs})) / sqrt({n} * ({n} - 1) * (2 * {n} + 5) / 18)"
    return Detector(
        "trend_score",
        "is_trend",
        score=f"CASE WHEN {n} >= {settings.min_days} THEN {z} END",
        flag=_is_rise("trend_score", "trend_from_usd", "trend_to_usd", settings),
    )


def with_levels(judged: DataFrame, settings: DailySignalSettings) -> DataFrame:
    """Daily totals (one row per org, day and service) → the same rows with the levels (USD) that the signals compare.

    weekday_expected_cost_usd: median of the same weekday in the weeks before. recent_cost_usd: median of the last days
    with usage, including this day. previous_cost_usd: median of the days before these. trend_from_usd, trend_to_usd:
    medians of the first and the last third of the days of the trend. All are null with too little history.
    """
    weekday, shift, drift = settings.weekday, settings.level_shift, settings.trend
    # A row is a day with usage, at most one per date. So this many rows hold every earlier day that a signal needs.
    rows = max(7 * weekday.weeks, shift.recent_days + shift.history_days, drift.days)
    until_today = Window.partitionBy("org_id", "service").orderBy("usage_date").rowsBetween(-rows, 0)
    with_days = judged.withColumn("_days", F.collect_list(F.struct("usage_date", "total_cost_usd")).over(until_today))

    def same_weekday(day: Column) -> Column:
        apart = F.datediff(F.col("usage_date"), day["usage_date"])
        return (apart > 0) & (apart % 7 == 0) & (apart <= 7 * weekday.weeks)

    with_costs = with_days.withColumns(
        {
            "_weekday_costs": F.sort_array(_costs(F.filter("_days", same_weekday))),
            "_recent_costs": F.sort_array(_costs(_last(shift.recent_days))),
            "_previous_costs": F.sort_array(_costs(_last(shift.history_days, before=shift.recent_days))),
            "_trend_costs": _costs(_last(drift.days)),
        }
    )
    third = F.floor(F.size("_trend_costs") / 3).cast("int")
    with_thirds = with_costs.withColumns(
        {
            "_first_third": F.sort_array(F.slice("_trend_costs", F.lit(1), third)),
            "_last_third": F.sort_array(F.slice("_trend_costs", F.size("_trend_costs") - third + 1, third)),
            "_trend_doubles": F.col("_trend_costs").cast("array<double>"),
        }
    )

    def level(costs: Column, size: Column, least: int) -> Column:
        return F.when(size >= least, decimal_median(costs))

    with_levels = with_thirds.withColumns(
        {
            "weekday_expected_cost_usd": level(F.col("_weekday_costs"), F.size("_weekday_costs"), weekday.min_days),
            "recent_cost_usd": level(F.col("_recent_costs"), F.size("_previous_costs"), shift.min_days),
            "previous_cost_usd": level(F.col("_previous_costs"), F.size("_previous_costs"), shift.min_days),
            "trend_from_usd": level(F.col("_first_third"), F.size("_trend_costs"), drift.min_days),
            "trend_to_usd": level(F.col("_last_third"), F.size("_trend_costs"), drift.min_days),
        }
    )
    spread = deviations(F.col("_previous_costs"), F.col("previous_cost_usd"))
    # Without a previous level, the array of costs may be empty, and Spark fails on the median of an empty array.
    mad = F.when(F.col("previous_cost_usd").isNotNull(), decimal_median(F.col("_previous_deviations"))).cast("double")
    return with_levels.withColumn("_previous_deviations", spread).withColumn("_previous_mad", mad)


def signals(judged: DataFrame, settings: DailySignalSettings) -> DataFrame:
    """Daily totals with the daily verdict (one row per org, day and service) → the same rows with all signals."""
    detectors = weekday_anomaly(settings.weekday), level_shift(settings.level_shift), trend(settings.trend)
    return with_verdicts(with_levels(judged, settings), *detectors)


def _last(days: int, before: int = 0) -> Column:
    """Skip the newest `before` days with usage, then take the newest `days` of the rest (this day is the newest)."""
    left = F.greatest(F.size("_days") - before, F.lit(0))
    kept = F.least(left, F.lit(days))
    return F.slice("_days", left - kept + 1, kept)


def _costs(days: Column) -> Column:
    return F.transform(days, lambda day: day["total_cost_usd"])
