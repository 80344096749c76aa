"""Each detector alone: what it flags, and that neither a cold start nor a group without spread gives a verdict."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.anomaly import daily, events
from cloud_analytics.anomaly.detectors import (
    Detector,
    consensus,
    mad,
    percentile,
    price_ratio,
    with_verdicts,
    zscore,
)
from cloud_analytics.config.anomalies import DailyAnomalySettings, EventAnomalySettings

pytestmark = pytest.mark.spark

SETTINGS = EventAnomalySettings()
ZSCORE, MAD = zscore(3.0), mad(6.0)
PERCENTILE, PRICE = percentile(Decimal("0.95"), Decimal(2)), price_ratio(4.0)
LEVELS = (ZSCORE, MAD, PERCENTILE)

ORDINARY = [("1", 1)] * 20 + [("1.2", 1)] * 20  # (cost, value)
SPIKE = ("40", 1)
# Each case is an (org, service, metric) of its own; the verdicts are those on its dearest event.
CASES = {
    "spike": [*ORDINARY, SPIKE],
    "cold start": [*ORDINARY[:8], SPIKE],
    "no spread": [("7", 1)] * 30,
    "MAD of 0": [*[("1", 1)] * 30, SPIKE],
    "no usage": [*ORDINARY, ("40", 0)],
    "free of charge": [*[("0", 1)] * 30, SPIKE],
}


@pytest.fixture(scope="module")
def dearest(spark: SparkSession) -> dict[str, Row]:
    """One row a case: its dearest event, judged, with the number of `flagged` events of each detector."""
    costs = [(case, case, "requests", Decimal(c), Decimal(v)) for case, events_ in CASES.items() for c, v in events_]
    rows = spark.createDataFrame(
        costs, "org_id string, service string, metric string, cost_usd decimal(18,6), value decimal(18,6)"
    )
    with_statistics = rows.join(events.cost_baselines(rows, SETTINGS), events.COST_GROUP, "left").join(
        events.price_baselines(rows, SETTINGS), events.PRICE_GROUP, "left"
    )
    judged = with_verdicts(with_statistics, *LEVELS, PRICE)
    for needed in (1, 2, 3):
        judged = with_verdicts(judged, consensus(LEVELS, needed)).withColumnRenamed(
            "flag_consensus", f"consensus_{needed}"
        )
    flags = [detector.flag_column for detector in (*LEVELS, PRICE)]
    found = judged.groupBy("service").agg(
        F.max_by(F.struct("*"), "cost_usd").alias("event"),
        *[F.sum(F.col(flag).cast("int")).alias(flag) for flag in flags],
    )
    return {
        row.service: Row(**row.event.asDict(), flagged={flag: row[flag] for flag in flags}) for row in found.collect()
    }


@pytest.mark.parametrize("detector", [*LEVELS, PRICE])
def test_a_spike_is_flagged_and_nothing_else(dearest: dict[str, Row], detector: Detector) -> None:
    assert dearest["spike"].cost_usd == Decimal(40)
    assert dearest["spike"][detector.flag_column] is True
    assert dearest["spike"].flagged[detector.flag_column] == 1


@pytest.mark.parametrize(
    ("case", "detector"),
    [
        *[("cold start", detector) for detector in (*LEVELS, PRICE)],
        *[("no spread", detector) for detector in LEVELS],
        ("MAD of 0", MAD),
        ("no usage", PRICE),
        ("free of charge", PRICE),
    ],
)
def test_there_is_no_verdict(dearest: dict[str, Row], case: str, detector: Detector) -> None:
    assert dearest[case][detector.score_column] is None
    assert dearest[case].flagged[detector.flag_column] == 0


def test_a_mad_of_zero_silences_the_mad_alone(dearest: dict[str, Row]) -> None:
    row = dearest["MAD of 0"]
    assert (row.flag_zscore, row.flag_mad, row.flag_percentile) == (True, False, True)


def test_a_consensus_counts_the_voters_that_flag(dearest: dict[str, Row]) -> None:
    assert [dearest["spike"][f"consensus_{needed}"] for needed in (1, 2, 3)] == [True, True, True]
    assert [dearest["MAD of 0"][f"consensus_{needed}"] for needed in (1, 2, 3)] == [True, True, False]


@pytest.mark.parametrize("case", ["cold start", "no spread"])
def test_voters_without_a_verdict_make_no_consensus(dearest: dict[str, Row], case: str) -> None:
    assert (dearest[case].votes, dearest[case].consensus_1) == (0, False)


def _scored(spark: SparkSession, groups: dict[str, list[tuple[str, int]]]) -> DataFrame:
    """The events of each organisation, all of one service and metric, with every score."""
    rows = spark.createDataFrame(
        [(org, "compute", "requests", Decimal(c), Decimal(v)) for org, costs in groups.items() for c, v in costs],
        "org_id string, service string, metric string, cost_usd decimal(18,6), value decimal(18,6)",
    )
    return events.score(rows, events.baselines(rows, SETTINGS), SETTINGS)


def test_the_usual_price_is_that_of_all_organisations(spark: SparkSession) -> None:
    row = _scored(spark, {"many": ORDINARY, "one": [SPIKE]}).where("org_id = 'one'").first()
    assert row is not None
    assert (row.cost_zscore, row.flag_unit_price, row.is_anomaly) == (None, True, True)
    assert row.anomaly_reason == "unit price 33.3 × normal"


def test_reasons_say_what_each_saw(spark: SparkSession) -> None:
    row = _scored(spark, {"o": [*[("0", 1)] * 40, ("9", 9)]}).where("cost_usd = 9").first()
    assert row is not None
    assert row.anomaly_reason == (
        "cost 6.2 standard deviations above the mean; cost where the 95th percentile has none"
    )


@pytest.mark.parametrize(("history", "expected"), [(9, None), (10, Decimal(5))])
def test_a_day_without_history_or_spread_gets_no_verdict(
    spark: SparkSession, history: int, expected: Decimal | None
) -> None:
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(history + 1)]
    rows = [("o", day, "compute", Decimal(500 if day == days[-1] else 5)) for day in days]
    frame = spark.createDataFrame(rows, "org_id string, usage_date date, service string, total_cost_usd decimal(28,6)")
    row = daily.score(frame, DailyAnomalySettings()).orderBy(F.desc("usage_date")).first()
    assert row is not None
    assert (row.expected_cost_usd, row.anomaly_score, row.is_anomaly) == (expected, None, False)


def test_each_baseline_is_one_shuffle(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [], "org_id string, service string, metric string, cost_usd decimal(18,6), value decimal(18,6)"
    )
    for baseline in (events.cost_baselines(rows, SETTINGS), events.price_baselines(rows, SETTINGS)):
        assert baseline._jdf.queryExecution().executedPlan().toString().count("Exchange") == 1
