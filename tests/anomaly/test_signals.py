"""The signals of the daily level on series that are short enough to work out by hand."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from math import sqrt

import pytest
from pyspark.sql import Row, SparkSession

from cloud_analytics.anomaly import daily, signals
from cloud_analytics.config import DailyAnomalySettings, DailySignalSettings

FIRST = date(2025, 1, 6)  # a Monday
NOISE = [100, 104, 96, 102, 98, 103, 97]


def _signals(spark: SparkSession, costs: list[float], every: int = 1) -> list[Row]:
    """A row a day, `every` so many days, with all verdicts."""
    rows = [("o", FIRST + timedelta(days=every * n), "compute", Decimal(str(c))) for n, c in enumerate(costs)]
    frame = spark.createDataFrame(rows, "org_id string, usage_date date, service string, total_cost_usd decimal(28,6)")
    judged = daily.score(frame, DailyAnomalySettings())
    return signals.score(judged, DailySignalSettings()).orderBy("usage_date").collect()


def test_a_weekly_peak_is_an_anomaly_until_it_is_a_habit(spark: SparkSession) -> None:
    weeks: list[float] = [*NOISE[:6], 500] * 6
    found = _signals(spark, [float(cost) for cost in weeks])
    sundays = found[6::7]
    assert [row.is_anomaly for row in sundays] == [False, True, True, True, True, True]  # the first lacks history
    assert [row.is_weekday_anomaly for row in sundays] == [False, True, True, False, False, False]
    assert [row.weekday_expected_cost_usd for row in sundays] == [None, None, None, 500, 500, 500]
    assert sundays[4].weekday_ratio == pytest.approx(1.0)


def test_a_cost_beyond_its_weekday_stays_an_anomaly(spark: SparkSession) -> None:
    found = _signals(spark, [*[float(c) for c in [*NOISE[:6], 500] * 4], *NOISE[:6], 1001])
    assert found[-1].weekday_ratio == pytest.approx(1001 / 500)
    assert found[-1].is_weekday_anomaly


def test_a_level_shift_is_scored_by_its_formula(spark: SparkSession) -> None:
    found = _signals(spark, [*NOISE, *NOISE, *(3 * c for c in NOISE)])
    last = found[-1]
    assert (last.previous_cost_usd, last.recent_cost_usd) == (100, 300)
    # deviations of the fourteen days before: twice 0, 4, 4, 2, 2, 3, 3; their median is 3
    assert last.level_shift_score == pytest.approx(0.6745 * 200 / 3 * sqrt(7) / 1.2533)
    assert [n for n, row in enumerate(found) if row.is_level_shift][0] == 14 + 3  # the fourth of seven days decides


def test_one_dear_day_is_no_level_shift_and_no_trend(spark: SparkSession) -> None:
    found = _signals(spark, [*NOISE * 4, 2000, *NOISE])
    assert found[28].is_anomaly
    assert not any(row.is_level_shift or row.is_trend for row in found)


def test_a_drift_is_scored_by_mann_kendall(spark: SparkSession) -> None:
    found = _signals(spark, [float(100 + 10 * n) for n in range(25)])
    assert [row.trend_score is None for row in found] == [True] * 19 + [False] * 6
    n = 25
    assert found[-1].trend_score == pytest.approx((n * (n - 1) / 2 - 1) / sqrt(n * (n - 1) * (2 * n + 5) / 18))
    assert (found[-1].trend_from_usd, found[-1].trend_to_usd) == (Decimal(135), Decimal(305))
    assert found[-1].is_trend


def test_a_fall_is_no_trend(spark: SparkSession) -> None:
    found = _signals(spark, [float(500 - 10 * n) for n in range(25)])
    assert found[-1].trend_score < -2.5
    assert not any(row.is_trend or row.is_level_shift for row in found)


def test_too_little_history_gives_no_verdict(spark: SparkSession) -> None:
    found = _signals(spark, [100.0] * 9 + [900.0] * 7)  # nine days before the last seven: one too few
    last = found[-1]
    assert (last.recent_cost_usd, last.previous_cost_usd, last.level_shift_score, last.is_level_shift) == (
        *(None, None, None),
        False,
    )
    assert (last.trend_score, last.trend_from_usd, last.is_trend) == (None, None, False)
    assert (last.weekday_expected_cost_usd, last.weekday_ratio) == (None, None)


def test_no_spread_gives_levels_but_no_verdict(spark: SparkSession) -> None:
    last = _signals(spark, [100.0] * 12 + [900.0] * 7)[-1]
    assert (last.previous_cost_usd, last.recent_cost_usd) == (100, 900)
    assert (last.level_shift_score, last.is_level_shift) == (None, False)
    even = _signals(spark, [100.0] * 25)[-1]
    assert (even.trend_score, even.is_trend) == (0.0, False)


def test_weekdays_go_by_the_calendar_and_levels_by_days_with_usage(spark: SparkSession) -> None:
    found = _signals(spark, [float(c) for c in NOISE * 3], every=2)  # every second day: a weekday comes each 14 days
    assert found[-1].usage_date == FIRST + timedelta(days=40)
    assert found[-1].weekday_expected_cost_usd is None  # two such days before, three are needed
    assert found[-1].previous_cost_usd == 100
