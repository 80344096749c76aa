"""The real pipeline on a small set with planted anomalies: what detection must reach, and no more than that."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from benchmarks import detection
from pyspark.sql import SparkSession

from cloud_analytics.config import Config
from cloud_analytics.generate import GeneratorSettings
from cloud_analytics.gold import org_daily_usage_by_service

pytestmark = pytest.mark.spark

SETTINGS = GeneratorSettings(events=8_000, days=12, orgs=8, anomalies=True, anomalies_per_kind=1, seed=3)


@pytest.fixture(scope="module")
def labelled(spark: SparkSession, config: Config, tmp_path_factory: pytest.TempPathFactory) -> detection.Labelled:
    return detection.make(spark, config, SETTINGS, tmp_path_factory.mktemp("labelled"))


@pytest.fixture(scope="module")
def scores(labelled: detection.Labelled) -> pd.DataFrame:
    rows = labelled.events().persist()
    counts = detection.event_counts(rows, labelled.config, sweep=False)
    detection.check_against_silver(rows, counts)
    rows.unpersist()
    return detection.event_scores(counts).set_index(["detector", "grouping"])


def test_the_unit_price_finds_price_spikes(scores: pd.DataFrame) -> None:
    found: Any = scores.loc["unit price", "with metric"]
    assert found["spikes: recall"] >= 0.99
    assert found["spikes: precision"] >= 0.95


def test_the_verdict_loses_none_of_them(scores: pd.DataFrame) -> None:
    found: Any = scores.loc[(detection.VERDICT, "with metric"), "spikes: recall"]
    assert found >= 0.99


def test_a_group_of_two_price_levels_makes_the_mad_flag_the_dearer_one(spark: SparkSession, config: Config) -> None:
    levels = [("cpu_hours", "2", n) for n in range(65)] + [("requests", "120", n) for n in range(35)]
    rows = spark.createDataFrame(
        [("ordinary", "o", "compute", metric, Decimal(c) + Decimal(n) / 100, Decimal(c)) for metric, c, n in levels],
        "kind string, org_id string, service string, metric string, cost_usd decimal(18,6), value decimal(18,6)",
    )
    counts = detection.event_counts(rows, config, sweep=False)
    flagged = counts[counts["detector"] == "MAD"].set_index("grouping")["flagged"]
    assert flagged.to_dict() == {"with metric": 0, "without metric": 35}


def test_every_day_has_its_signals(labelled: detection.Labelled) -> None:
    days = detection.day_verdicts(labelled)
    daily = org_daily_usage_by_service.TABLE
    assert len(days) == labelled.lake.read(daily.path, daily.schema).count() > 0
    assert not days[["is_weekday_anomaly", "is_level_shift", "is_trend"]].isna().to_numpy().any()
    assert set(days["kind"]) >= {"price_spike", "usage_spike", "level_shift", "slow_drift", "weekly_peak", "ordinary"}
