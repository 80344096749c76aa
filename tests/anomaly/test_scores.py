"""The formulas of contract 7 on groups that are small enough to work out by hand."""

from __future__ import annotations

import statistics
from datetime import date, timedelta
from decimal import Decimal

import pytest
from pyspark.sql import DataFrame, SparkSession

from cloud_analytics.anomaly import daily, events
from cloud_analytics.config.anomalies import DailyAnomalySettings, EventAnomalySettings

_EVENT = "org_id string, service string, metric string, cost_usd decimal(18,6), value decimal(18,6)"
COSTS = [Decimal(n) for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 100)]


def _events(spark: SparkSession, costs: list[Decimal]) -> DataFrame:
    return spark.createDataFrame([("o", "compute", "requests", cost, Decimal(1)) for cost in costs], _EVENT)


def _scored(frame: DataFrame) -> DataFrame:
    settings = EventAnomalySettings()
    return events.score(frame, events.baselines(frame, settings), settings)


def test_scores_follow_the_formulas(spark: SparkSession) -> None:
    row = _scored(_events(spark, COSTS)).where("cost_usd = 100").first()
    assert row is not None
    plain = [float(cost) for cost in COSTS]
    assert row.cost_zscore == pytest.approx((100 - statistics.mean(plain)) / statistics.stdev(plain), rel=1e-12)
    assert row.cost_mad_score == pytest.approx(0.6745 * (100 - 5.5) / 2.5, rel=1e-12)
    assert row.unit_price_ratio == pytest.approx(100 / 5.5, rel=1e-12)
    # p95 = 9 + 0.55 x 91 = 59.05; the cap is twice that
    assert row.cost_usd_capped == Decimal("100.000000")
    assert (row.flag_zscore, row.flag_mad, row.flag_percentile, row.flag_unit_price) == (False, True, False, True)
    assert row.is_anomaly
    assert row.anomaly_reason.startswith("unit price 18.2 × normal")


@pytest.mark.parametrize("costs", [COSTS[:9], [Decimal("0.1")] * 12])
def test_small_or_even_groups_give_no_verdict(spark: SparkSession, costs: list[Decimal]) -> None:
    row = _scored(_events(spark, costs)).first()
    assert row is not None
    assert row.cost_zscore is None
    assert row.cost_mad_score is None
    assert not any([row.flag_zscore, row.flag_mad, row.flag_percentile, row.is_anomaly])
    assert row.cost_usd_capped == row.cost_usd


def test_the_cap_is_exact_and_rounded_half_up(spark: SparkSession) -> None:
    costs = [Decimal("0.000001")] * 19 + [Decimal("1")]
    row = _scored(_events(spark, costs)).where("cost_usd = 1").first()
    assert row is not None
    # p95 at 18.05: 0.000001 + 0.05 x 0.999999 = 0.05000095; twice is 0.1000019
    assert row.cost_usd_capped == Decimal("0.100002")


def test_rounding_noise_is_capped_like_other_costs(spark: SparkSession) -> None:
    """Only a 95th percentile of exactly 0 leaves costs as they are."""
    costs = [Decimal("-0.005")] * 19 + [Decimal("-0.004")]
    rows = _scored(_events(spark, costs)).collect()
    # p95 at 18.05: −0.005 + 0.05 x 0.001 = −0.00495; twice is −0.0099
    assert {row.cost_usd_capped for row in rows} == {Decimal("-0.0099")}


def _days(spark: SparkSession, costs: list[str]) -> DataFrame:
    rows = [("o", date(2025, 1, 1) + timedelta(days=n), "compute", Decimal(cost)) for n, cost in enumerate(costs)]
    return spark.createDataFrame(rows, "org_id string, usage_date date, service string, total_cost_usd decimal(28,6)")


def test_a_day_is_judged_against_its_previous_days(spark: SparkSession) -> None:
    costs = ["10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "100"]
    rows = daily.score(_days(spark, costs), DailyAnomalySettings()).orderBy("usage_date").collect()
    assert rows[9].expected_cost_usd is None
    assert not rows[9].is_anomaly
    assert rows[10].expected_cost_usd == Decimal("14.5")
    assert rows[10].anomaly_score == pytest.approx(0.6745 * 85.5 / 2.5)
    assert rows[10].is_anomaly


def test_no_spread_gives_an_expectation_but_no_verdict(spark: SparkSession) -> None:
    rows = daily.score(_days(spark, ["5"] * 10 + ["500"]), DailyAnomalySettings()).orderBy("usage_date").collect()
    assert rows[10].expected_cost_usd == Decimal(5)
    assert rows[10].anomaly_score is None
    assert not rows[10].is_anomaly


def test_a_small_excess_is_no_anomaly(spark: SparkSession) -> None:
    costs = ["1.0", "1.1", "1.2", "1.0", "1.1", "1.2", "1.0", "1.1", "1.2", "1.1", "9"]
    row = daily.score(_days(spark, costs), DailyAnomalySettings()).orderBy("usage_date").collect()[10]
    assert row.anomaly_score > 5
    assert not row.is_anomaly
