"""The real pipeline on a small set with planted anomalies: what detection must reach. The benchmark measures the rest."""

from __future__ import annotations

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from benchmarks import detection
from cloud_analytics.config import Config
from cloud_analytics.generate import GeneratorSettings

pytestmark = pytest.mark.spark

SETTINGS = GeneratorSettings(events=15_000, days=60, orgs=6, anomalies=True, anomalies_per_kind=2, seed=3)


@pytest.fixture(scope="module")
def labelled(
    spark: SparkSession, config: Config, tmp_path_factory: pytest.TempPathFactory
) -> detection.Labelled:
    return detection.make(spark, config, SETTINGS, tmp_path_factory.mktemp("labelled"))


@pytest.fixture(scope="module")
def scores(labelled: detection.Labelled) -> pd.DataFrame:
    rows = labelled.events().persist()
    counts = detection.event_counts(rows, labelled.config, sweep=False)
    detection.check_against_silver(rows, counts)
    rows.unpersist()
    return detection.event_scores(counts).set_index(["detector", "grouping"])


def test_the_unit_price_finds_price_spikes(scores: pd.DataFrame) -> None:
    found = scores.loc["unit price", "with metric"]
    assert found["spikes: recall"] >= 0.99
    assert found["spikes: precision"] >= 0.95


def test_the_verdict_loses_none_of_them(scores: pd.DataFrame) -> None:
    assert scores.loc[(detection.VERDICT, "with metric"), "spikes: recall"] >= 0.99


def test_the_metric_belongs_into_the_group(scores: pd.DataFrame) -> None:
    share = scores["flagged: ordinary"]
    assert share["MAD", "with metric"] < 0.02 < 0.1 < share["MAD", "without metric"]


def test_signals_improve_the_daily_level(labelled: detection.Labelled) -> None:
    days = detection.day_scores(detection.day_verdicts(labelled), labelled.labels).set_index("verdict")
    before, after = days.loc["before: daily baseline"], days.loc["after: any of the three"]
    assert after["recall"] > before["recall"]
    assert after["precision"] > before["precision"]
    assert after["days: weekly_peak"] < before["days: weekly_peak"] / 2
