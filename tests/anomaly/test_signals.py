"""The signals of the daily level on series that are short enough to work out by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from math import sqrt

import pytest
from pyspark.sql import Row, SparkSession

from cloud_analytics.anomaly import daily
from cloud_analytics.config.anomalies import DailyAnomalySettings, DailySignalSettings

pytestmark = pytest.mark.spark

FIRST = date(2025, 1, 6)  # a Monday
WEEK = [100, 104, 96, 102, 98, 103, 97]
WITH_PEAK = [*WEEK[:6], 500]
# Costs of one day after the other, each series an organisation of its own.
SERIES: dict[str, list[int]] = {
    "weekly peak": WITH_PEAK * 6,
    "peak beyond its habit": [*WITH_PEAK * 4, *WEEK[:6], 1001],
    "shift": [*WEEK * 2, *(3 * cost for cost in WEEK)],
    "one dear day": [*WEEK * 4, 2000, *WEEK],
    "drift": [100 + 10 * n for n in range(25)],
    "fall": [500 - 10 * n for n in range(25)],
    "short": [*WEEK, 100, 101, *[900] * 7],  # nine days before the last seven: one too few
    "no spread before": [100] * 12 + [900] * 7,
    "even": [100] * 25,
    "every second day": WEEK * 3,  # so a weekday comes every 14 days
}


@pytest.fixture(scope="module")
def found(spark: SparkSession) -> Callable[[str], list[Row]]:
    """The rows of a series in order of dates, with all verdicts."""
    days = {name: 2 if name == "every second day" else 1 for name in SERIES}
    rows = [
        (name, FIRST + timedelta(days=days[name] * n), "compute", Decimal(cost))
        for name, costs in SERIES.items()
        for n, cost in enumerate(costs)
    ]
    frame = spark.createDataFrame(rows, "org_id string, usage_date date, service string, total_cost_usd decimal(28,6)")
    judged = daily.score(frame, DailyAnomalySettings())
    signalled = daily.signals(judged, DailySignalSettings()).orderBy("usage_date").collect()
    return lambda name: [row for row in signalled if row.org_id == name]


Found = Callable[[str], list[Row]]


def test_a_weekly_peak_is_an_anomaly_until_it_is_a_habit(found: Found) -> None:
    sundays = found("weekly peak")[6::7]
    assert [row.is_anomaly for row in sundays] == [False, True, True, True, True, True]  # the first lacks history
    assert [row.is_weekday_anomaly for row in sundays] == [False, True, True, False, False, False]
    assert [row.weekday_expected_cost_usd for row in sundays] == [None, None, None, 500, 500, 500]
    assert sundays[4].weekday_ratio == 1.0


def test_a_cost_beyond_its_weekday_stays_an_anomaly(found: Found) -> None:
    last = found("peak beyond its habit")[-1]
    assert last.weekday_ratio == pytest.approx(1001 / 500)
    assert last.is_weekday_anomaly


def test_a_level_shift_is_scored_by_its_formula(found: Found) -> None:
    rows = found("shift")
    assert (rows[-1].previous_cost_usd, rows[-1].recent_cost_usd) == (100, 300)
    # distances from 100 of the two weeks before, each 0, 4, 4, 2, 2, 3, 3: their median is 3
    assert rows[-1].level_shift_score == pytest.approx(0.6745 * 200 / 3 * sqrt(7) / 1.2533)
    assert [n for n, row in enumerate(rows) if row.is_level_shift][0] == 14 + 3  # the fourth of seven moves the median


def test_one_dear_day_is_neither_shift_nor_trend(found: Found) -> None:
    rows = found("one dear day")
    assert rows[28].is_weekday_anomaly
    assert not any(row.is_level_shift or row.is_trend for row in rows)


def test_a_drift_is_scored_by_mann_kendall(found: Found) -> None:
    rows = found("drift")
    assert [row.trend_score is None for row in rows] == [True] * 19 + [False] * 6
    n = 25
    assert rows[-1].trend_score == pytest.approx((n * (n - 1) / 2 - 1) / sqrt(n * (n - 1) * (2 * n + 5) / 18))
    assert (rows[-1].trend_from_usd, rows[-1].trend_to_usd) == (Decimal(135), Decimal(305))
    assert rows[-1].is_trend


def test_a_fall_is_not_flagged(found: Found) -> None:
    rows = found("fall")
    assert rows[-1].trend_score < -2.5
    assert not any(row.is_trend or row.is_level_shift for row in rows)


def test_too_little_history_gives_no_verdict(found: Found) -> None:
    last = found("short")[-1]
    assert (last.recent_cost_usd, last.previous_cost_usd, last.level_shift_score) == (None, None, None)
    assert (last.trend_score, last.trend_from_usd, last.trend_to_usd) == (None, None, None)
    assert (last.weekday_expected_cost_usd, last.weekday_ratio) == (None, None)
    assert (last.is_level_shift, last.is_trend) == (False, False)


def test_no_spread_gives_levels_but_no_verdict(found: Found) -> None:
    shifted, even = found("no spread before")[-1], found("even")[-1]
    assert (shifted.previous_cost_usd, shifted.recent_cost_usd) == (100, 900)
    assert (shifted.level_shift_score, shifted.is_level_shift) == (None, False)
    assert (even.trend_score, even.is_trend) == (0.0, False)


def test_weekdays_go_by_the_calendar_and_levels_by_days_with_usage(found: Found) -> None:
    last = found("every second day")[-1]
    assert last.usage_date == FIRST + timedelta(days=40)
    assert last.weekday_expected_cost_usd is None  # two such days before; three are needed
    assert last.previous_cost_usd == 100
