"""What tests of serving share: a lake whose Gold was never served, copies of it, and the double of AstraDB."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cloud_analytics.config import Config
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.reading.served import compare
from cloud_analytics.serving.tables import tables
from cloud_analytics.serving.target import Target
from tests.conftest import MadeOnce, MakePipeline
from tests.integration import hostile
from tests.integration.lakes import write_landing
from tests.serving.astra.double import Double, astra_double

OpenLake = Callable[..., Pipeline]


@pytest.fixture(scope="session")
def built(make_pipeline: MakePipeline, made_once: MadeOnce) -> Path:
    """A folder with a landing and a lake whose Gold was never served. One organisation lives of storage alone."""

    def make(folder: Path) -> None:
        alone = hostile.event("alone", org_id="org_alone", service="storage", timestamp="2025-05-21T10:00:00Z")
        write_landing(folder / "landing", {"all.jsonl": [*hostile.regular(12), alone]})
        make_pipeline(folder / "landing", folder / "lake").run()

    return made_once("built", make)


@pytest.fixture
def open_lake(built: Path, tmp_path: Path, spark: SparkSession, config: Config, target: Target) -> OpenLake:
    """`open_lake(config=…)` → a pipeline over this test's own copy of the lake, with the test's target."""
    shutil.copytree(built / "lake", tmp_path / "lake")

    def open_it(chosen: Config = config) -> Pipeline:
        return Pipeline(Lake(spark, str(tmp_path / "lake")), str(built / "landing"), chosen, target=target)

    return open_it


@pytest.fixture(scope="session")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    """One double for all tests."""
    with astra_double(tmp_path_factory.mktemp("double")) as double:
        yield double


@contextmanager
def writing_session(target: Target) -> Iterator[Any]:
    """A driver session in the target's keyspace, which is there with all its tables."""
    with target.looking_session() as (session, found):
        target.create(session, found)
        yield session


def unequal(pipeline: Pipeline) -> list[str]:
    """The serving tables that do not hold what Gold holds."""
    assert pipeline.target is not None
    with pipeline.target.session() as session:
        found = compare(LakeReader(pipeline.lake.files), session)
    assert len(found) == len(tables())
    return [f"{c.table}: {c.only_served} only served, {c.only_gold} only in Gold" for c in found if not c.equal]
