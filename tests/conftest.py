"""What the tests that run Spark share: one session, the shipped configuration, a pipeline over two folders."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cloud_analytics import config as configuration
from cloud_analytics.config import Config, SparkSettings
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.runtime.filelock import FileLock
from tests.integration.lakes import day_lines, write_landing

REPOSITORY = Path(__file__).resolve().parents[1]

MakePipeline = Callable[..., Pipeline]
MadeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def config() -> Config:
    """The configuration that ships with the project."""
    return configuration.load(REPOSITORY / "conf")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One small session for all tests; it starts with the first test that asks for it."""
    from cloud_analytics.session import build_session

    # The path brings S3A: tests of object stores run in this session too. No quick start: it lives so long that code
    # compiled well pays (on 2026-11-27 `make test` took 19 minutes, and 22 with code compiled quickly).
    session = build_session(
        SparkSettings(master="local[2]", driver_memory="1536m", shuffle_partitions=2), "s3a://store"
    )
    yield session
    session.stop()


@pytest.fixture(scope="session")
def make_pipeline(spark: SparkSession, config: Config) -> MakePipeline:
    """`make_pipeline(landing, lake, max_files_per_trigger=500)` → a pipeline over these folders."""

    def make(landing: Path, lake: Path, max_files_per_trigger: int | None = None) -> Pipeline:
        chosen = config
        if max_files_per_trigger is not None:
            stream = config.pipeline.stream.model_copy(update={"max_files_per_trigger": max_files_per_trigger})
            chosen = config.model_copy(update={"pipeline": config.pipeline.model_copy(update={"stream": stream})})
        return Pipeline(Lake(spark, str(lake)), str(landing), chosen)

    return make


@pytest.fixture(scope="session")
def made_once(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """`made_once(name, make)` → a folder that `make` fills once for all processes of these tests. Nobody changes it."""
    root = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # one of several processes, whose folders lie beside each other
        root = root.parent

    def once(name: str, make: Callable[[Path], object]) -> Path:
        with FileLock(root / f"{name}.lock"):
            if not (root / name).exists():
                folder = tmp_path_factory.mktemp(name)
                make(folder)
                folder.rename(root / name)
        return root / name

    return once


@pytest.fixture(scope="session")
def baseline(make_pipeline: MakePipeline, made_once: MadeOnce) -> tuple[Path, Path]:
    """(landing, lake) of one clean run over one file of `day_lines`, never served; to be copied, not changed."""

    def make(folder: Path) -> None:
        make_pipeline(write_landing(folder / "landing", {"all.jsonl": day_lines()}), folder / "lake").run()

    folder = made_once("baseline", make)
    return folder / "landing", folder / "lake"


@pytest.fixture
def baseline_copy(baseline: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """(landing, lake) of the baseline, to be changed."""
    landing, lake = (Path(shutil.copytree(path, tmp_path / path.name)) for path in baseline)
    return landing, lake
