"""What the tests of the dashboard share: a small lake that is served by a node of its own, with names like markup."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
from pyspark.sql import SparkSession

from cloud_analytics.config import Config
from cloud_analytics.dashboard.source import Source
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.serving.target import embedded_node, local_target

# Names as somebody may choose them who sends events: HTML and what Streamlit makes of Markdown.
NAMES = ("<b>x</b>", "**x**", "[a](http://b)", ":red[x]", "$x$", "<img src=x onerror=alert(1)>", ":smile: -> `x`")

TURNED = "a\x1b[31m\u202egnp\u2066b"  # colours a terminal, turns the order of letters round


@dataclass(frozen=True)
class Served:
    """A landing folder, its lake, what takes in more and serves it, and where pages read."""

    landing: Path
    lake: Path
    pipeline: Pipeline
    source: Source


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """A page that runs becomes the main module and chooses matplotlib's backend, which later tests would inherit."""
    main = sys.modules["__main__"]
    with patch.dict(os.environ):
        yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="package")
def served(
    baseline: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, config: Config
) -> Iterator[Served]:
    """The lake of one file, served; its node ends with the last test."""
    folder = tmp_path_factory.mktemp("dashboard")
    landing, lake = (Path(shutil.copytree(found, folder / found.name)) for found in baseline)
    with embedded_node(str(lake)).in_use() as access, Source(config, str(lake), "embedded") as source:
        pipeline = Pipeline(Lake(spark, str(lake)), str(landing), config, target=local_target(access))
        pipeline.serve()
        yield Served(landing, lake, pipeline, source)


@pytest.fixture
def source(served: Served) -> Source:
    """The source of all pages of this process."""
    Source.current = served.source
    return served.source
