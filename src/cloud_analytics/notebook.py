"""What every notebook begins with: a pipeline over the lake, with data to run on and tables that read well."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress

import pandas as pd

from cloud_analytics.config import load
from cloud_analytics.generate import GeneratorSettings, generate
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.uris import local_folder
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.runtime.java import ensure_java
from cloud_analytics.serving.target import SECRETS
from cloud_analytics.session import build_session, holds_little


def open_pipeline(max_files_per_trigger: int | None = None) -> Pipeline:
    """A pipeline over a started Spark session; `pipeline.lake.spark.stop()` ends it.

    Its folders are `CLOUD_ANALYTICS_LANDING` and `CLOUD_ANALYTICS_LAKE`, else those of the configuration. A landing
    folder that holds no data is filled by the generator, and a Java is installed where there is none.
    `max_files_per_trigger` overrides the configuration's, to have several micro-batches to look at.
    """
    config = load()
    if max_files_per_trigger is not None:
        config = config.with_files_per_trigger(max_files_per_trigger)
    landing = os.environ.get("CLOUD_ANALYTICS_LANDING", config.pipeline.landing.folder)
    lake = os.environ.get("CLOUD_ANALYTICS_LAKE", config.pipeline.lake)
    ensure_landing(landing)
    ensure_java()
    _show_log()
    pd.options.display.max_columns = 50
    pd.options.display.max_colwidth = 90
    little = holds_little(landing, f"{lake}/bronze")
    spark = build_session(config.pipeline.spark, landing, lake, quick_start=little)
    return Pipeline(Lake(spark, lake), landing, config)


def _show_log() -> None:
    """Show each step of the package below its cell; once, however many pipelines are opened."""
    package = logging.getLogger("cloud_analytics")
    if not package.handlers:
        package.addHandler(logging.StreamHandler(sys.stdout))
        package.setLevel(logging.DEBUG)


def ensure_landing(landing: str, settings: GeneratorSettings | None = None) -> None:
    """Generate landing data, those of `make run`, into a local folder that holds none."""
    folder = local_folder(landing)
    if folder is not None:
        with suppress(FileExistsError):  # the generator refuses a folder with data
            generate(folder, settings)


def serving_choice() -> str | None:
    """`astra` where its bundle and token are among Colab's secrets or in the environment; None: as configured."""
    if "google.colab" in sys.modules:
        from google.colab import userdata

        for name in SECRETS:
            with suppress(userdata.SecretNotFoundError, userdata.NotebookAccessError):
                os.environ[name] = userdata.get(name)
    return "astra" if all(os.environ.get(name) for name in SECRETS[:2]) else None
