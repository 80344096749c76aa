"""What every notebook begins with: a pipeline over the lake, with data to run on and tables that read well."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pandas as pd

from cloud_analytics.config import load
from cloud_analytics.generate import GeneratorSettings, generate
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.runtime.java import ensure_java
from cloud_analytics.session import build_session
from cloud_analytics.storage.lake import Lake


def open_pipeline() -> Pipeline:
    """A pipeline over a started Spark session; `pipeline.lake.spark.stop()` ends it.

    Its folders are `CLOUD_ANALYTICS_LANDING` and `CLOUD_ANALYTICS_LAKE`, else those of the configuration. A landing
    folder that holds no data is filled by the generator, and a Java is installed where there is none.
    """
    config = load()
    landing = os.environ.get("CLOUD_ANALYTICS_LANDING", config.pipeline.landing)
    lake = os.environ.get("CLOUD_ANALYTICS_LAKE", config.pipeline.lake)
    ensure_landing(landing)
    ensure_java()
    pd.options.display.max_columns = 50
    pd.options.display.max_colwidth = 90
    return Pipeline(Lake(build_session(config.pipeline.spark, landing, lake), lake), landing, config, say=print)


def ensure_landing(landing: str, settings: GeneratorSettings | None = None) -> None:
    """Generate landing data, those of `make run`, into a local folder that holds none."""
    if "://" not in landing:
        with suppress(FileExistsError):  # the generator refuses a folder with data
            generate(Path(landing), settings)
