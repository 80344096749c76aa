"""Each detector alone: what it flags, and that neither a cold start nor a group without spread gives a verdict."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.anomaly import daily, events
from cloud_analytics.anomaly.detectors import Consensus, EventDetector, Mad, Percentile, UnitPrice, ZScore, judge
from cloud_analytics.config import DailyAnomalySettings, EventAnomalySettings

EVENT = "org_id string, service string, metric string, cost_usd decimal(18,6), value decimal(18,6)"
SETTINGS = EventAnomalySettings()
ZSCORE, MAD = ZScore(3.0), Mad(6.0)
PERCENTILE, PRICE = Percentile(Decimal("0.95"), Decimal(2)), UnitPrice(4.0)

ORDINARY = [("1", 1)] * 20 + [("1.2", 1)] * 20  # (cost, value)
SPIKE = ("40", 1)


def _events(spark: SparkSession, *groups: list[tuple[str, int]]) -> DataFrame:
    """One organisation a group."""
    rows = [(f"o{n}", "compute", "requests", Decimal(c), Decimal(v)) for n, g in enumerate(groups) for c, v in g]
    return spark.createDataFrame(rows, EVENT)


def _with_statistics(rows: DataFrame) -> DataFrame:
    costs, prices = events.cost_baselines(rows, SETTINGS), events.price_baselines(rows, SETTINGS)
    return rows.join(costs, events.COST_GROUP, "left").join(prices, events.PRICE_GROUP, "left")


def _dearest(rows: DataFrame, *detectors: EventDetector) -> Row:
    row = judge(_with_statistics(rows), *detectors).orderBy(F.desc("cost_usd")).first()
    assert row is not None
    return row


@pytest.mark.parametrize("detector", [ZSCORE, MAD, PERCENTILE, PRICE])
def test_a_spike_is_flagged_and_nothing_else(spark: SparkSession, detector: EventDetector) -> None:
    rows = judge(_with_statistics(_events(spark, [*ORDINARY, SPIKE])), detector)
    assert [row.cost_usd for row in rows.where(detector.flag_column).collect()] == [Decimal(40)]


@pytest.mark.parametrize("detector", [ZSCORE, MAD, PERCENTILE, PRICE])
def test_too_few_events_give_no_verdict(spark: SparkSession, detector: EventDetector) -> None:
    row = _dearest(_events(spark, [*ORDINARY[:8], SPIKE]), detector)
    assert row[detector.score_column] is None
    assert row[detector.flag_column] is False


@pytest.mark.parametrize("detector", [ZSCORE, MAD, PERCENTILE])
def test_costs_without_spread_give_no_verdict(spark: SparkSession, detector: EventDetector) -> None:
    row = _dearest(_events(spark, [("7", 1)] * 30), detector)
    assert row[detector.score_column] is None
    assert row[detector.flag_column] is False


def test_a_mad_of_zero_silences_the_mad_alone(spark: SparkSession) -> None:
    row = _dearest(_events(spark, [*[("1", 1)] * 30, SPIKE]), ZSCORE, MAD, PERCENTILE)
    assert row.cost_mad_score is None
    assert (row.flag_zscore, row.flag_mad, row.flag_percentile) == (True, False, True)


def test_a_unit_price_needs_usage_and_a_usual_price(spark: SparkSession) -> None:
    without_usage = _dearest(_events(spark, [*ORDINARY, ("40", 0)]), PRICE)
    assert (without_usage.unit_price_ratio, without_usage.flag_unit_price) == (None, False)
    free = _dearest(_events(spark, [*[("0", 1)] * 30, SPIKE]), PRICE)
    assert (free.unit_price_ratio, free.flag_unit_price) == (None, False)


def test_the_usual_price_is_that_of_all_organisations(spark: SparkSession) -> None:
    row = _dearest(_events(spark, ORDINARY, [SPIKE]), ZSCORE, PRICE)
    assert (row.flag_zscore, row.flag_unit_price) == (False, True)


@pytest.mark.parametrize(("needed", "verdict"), [(1, True), (2, True), (3, False)])
def test_a_consensus_counts_the_voters_that_flag(spark: SparkSession, needed: int, verdict: bool) -> None:
    voters = (ZSCORE, MAD, PERCENTILE)
    consensus = Consensus(voters, needed)
    rows = _with_statistics(_events(spark, [*[("1", 1)] * 30, SPIKE]))  # a MAD of 0: two of the three flag
    row = judge(judge(rows, *voters), consensus).orderBy(F.desc("cost_usd")).first()
    assert row is not None
    assert (row.votes, row.flag_consensus) == (2, verdict)


@pytest.mark.parametrize("costs", [[*ORDINARY[:8], SPIKE], [("7", 1)] * 30])
def test_voters_without_a_verdict_make_no_consensus(spark: SparkSession, costs: list[tuple[str, int]]) -> None:
    voters = (ZSCORE, MAD, PERCENTILE)
    rows = judge(_with_statistics(_events(spark, costs)), *voters)
    row = judge(rows, Consensus(voters, 1)).orderBy(F.desc("cost_usd")).first()
    assert row is not None
    assert (row.votes, row.flag_consensus) == (0, False)


def test_reasons_say_what_each_saw(spark: SparkSession) -> None:
    rows = _events(spark, [*[("0", 1)] * 29, ("0.000001", 1), ("9", 9)])
    scored = events.score(
        rows, events.cost_baselines(rows, SETTINGS), events.price_baselines(rows, SETTINGS), SETTINGS
    )
    row = scored.orderBy(F.desc("cost_usd")).first()
    assert row is not None
    assert row.anomaly_reason.startswith("cost 5.4 standard deviations above the mean; cost ")
    assert "null" not in row.anomaly_reason


@pytest.mark.parametrize(
    ("costs", "expected", "score"), [(["5"] * 9 + ["500"], None, None), (["5"] * 10 + ["500"], Decimal(5), None)]
)
def test_a_day_without_history_or_spread_gets_no_verdict(
    spark: SparkSession, costs: list[str], expected: Decimal | None, score: float | None
) -> None:
    first = date(2025, 1, 1)
    rows = [("o", first + timedelta(days=n), "compute", Decimal(cost)) for n, cost in enumerate(costs)]
    frame = spark.createDataFrame(rows, "org_id string, usage_date date, service string, total_cost_usd decimal(28,6)")
    row = daily.score(frame, DailyAnomalySettings()).orderBy(F.desc("usage_date")).first()
    assert row is not None
    assert (row.expected_cost_usd, row.anomaly_score, row.is_anomaly) == (expected, score, False)


def test_each_baseline_is_one_shuffle(spark: SparkSession) -> None:
    rows = _events(spark, ORDINARY)
    for baseline in (events.cost_baselines(rows, SETTINGS), events.price_baselines(rows, SETTINGS)):
        plan = baseline._jdf.queryExecution().executedPlan().toString()
        assert plan.count("Exchange") == 1
