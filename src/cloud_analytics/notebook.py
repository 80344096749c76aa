"""Functions that every notebook starts with: a pipeline over a lake with data, the lake's reader, readable tables."""

from __future__ import annotations

import html
import logging
import os
import sys
import tempfile
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import SparkSession

from cloud_analytics.config import load
from cloud_analytics.generate import GeneratorSettings, generate
from cloud_analytics.gold import marts
from cloud_analytics.insight.answers import heading, readable
from cloud_analytics.lake.folder import LAST_TRANSACTION
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.uris import local_folder
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.runtime.java import ensure_java
from cloud_analytics.runtime.temporary import temporary_folder
from cloud_analytics.serving.target import SECRETS
from cloud_analytics.session import build_session, holds_little, stop_session
from cloud_analytics.tables.columns import COUNT, USD, Unit
from cloud_analytics.untrusted import printable

CLEAN = GeneratorSettings(anomalies=True, weekly=True, informative=True)
"""Clean data with labelled anomalies and leaks, and with informative values of tokens, carbon and invoices."""
DIRTY = GeneratorSettings(events=600, days=3, orgs=4, dirty=True, dirt_per_kind=1)
"""A little clean data with one line or row of each kind of invalid input that the generator knows."""
_FILES_PER_TRIGGER = 10  # gives several micro-batches to look at; Silver and Gold do not depend on it


def open_lake() -> tuple[Pipeline, LakeReader]:
    """A pipeline, which starts Spark when there is something to build, and the reader of its lake (`lake.sql`).

    If the current folder is in a repository of this package, the repository becomes the current folder. Landing and
    lake are `CLOUD_ANALYTICS_LANDING` and `CLOUD_ANALYTICS_LAKE`, else the folders of the configuration. If the lake is
    new and landing has no data, data is generated. After this call Jupyter shows DataFrames of pandas as `table` does.
    """
    _go_to_the_repository()
    config = load().with_files_per_trigger(_FILES_PER_TRIGGER)
    landing = os.environ.get("CLOUD_ANALYTICS_LANDING", config.pipeline.landing.folder)
    lake = os.environ.get("CLOUD_ANALYTICS_LAKE", config.pipeline.lake)
    ensure_landing(landing, lake)
    _show_log()
    _show_frames()

    def start() -> SparkSession:
        ensure_java()
        little = holds_little(landing, f"{lake}/bronze")
        return build_session(config.pipeline.spark, landing, lake, quick_start=little)

    pipeline = Pipeline(Lake(start, lake), landing, config)
    return pipeline, LakeReader(pipeline.lake.files)


def _go_to_the_repository() -> None:
    """Change to the repository above the current folder, if there is one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "src" / "cloud_analytics").is_dir():
            os.chdir(folder)
            return


def dirty_lake(pipeline: Pipeline) -> LakeReader:
    """The reader of a second lake in a temporary folder. Its Bronze and Silver are built from the data of `DIRTY`."""
    folder = Path(tempfile.mkdtemp(prefix="dirt-", dir=temporary_folder()))
    generate(folder / "landing", DIRTY)
    lake = Lake(pipeline.lake.spark, f"{folder}/lake")
    dirt = Pipeline(lake, f"{folder}/landing", pipeline.config)
    dirt.bronze()
    dirt.silver()
    return LakeReader(lake.files)


def close(pipeline: Pipeline) -> None:
    """Stop Spark, if it was started, so that the next notebook can start its own session."""
    if pipeline.lake.has_spark:
        stop_session(pipeline.lake.spark)


def table(frame: pd.DataFrame) -> str:
    """A DataFrame as an HTML table: headings in words with their unit, numbers with separators, no index."""
    units = [(str(name), _unit(str(name), frame[name])) for name in frame]
    heads = [
        _cell("th", "<br>".join(html.escape(printable(text)) for text in heading(*column) if text), column[1])
        for column in units
    ]
    rows = [
        [
            _cell("td", html.escape(printable(readable(unit, _known(value)))), unit)
            for value, (_, unit) in zip(row, units)
        ]
        for row in frame.itertuples(index=False)
    ]
    # Otherwise Jupyter typesets a name with `$…$`, and TeX can draw over other rows.
    return (
        '<table class="tex2jax_ignore mathjax_ignore">'
        + "".join(f"<tr>{''.join(cells)}</tr>" for cells in (heads, *rows))
        + "</table>"
    )


def _known(value: Any) -> Any:
    """A value of a DataFrame. Every null of pandas becomes None; a time (UTC) becomes `YYYY-MM-DD HH:MM`."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else value


def _cell(kind: str, content: str, unit: Unit | None) -> str:
    return f'<{kind} style="text-align: {"right" if unit else "left"}">{content}</{kind}>'


def _unit(name: str, values: pd.Series[Any]) -> Unit | None:
    """The unit of Gold's column with this name; else USD, a count or none, depending on the name and the values."""
    known = _units().get(name)
    if known or name.endswith("_usd"):
        return known or USD
    numbers = [value for value in values if not pd.isna(value) and not isinstance(value, bool)]
    if not numbers or not all(isinstance(value, int | float | Decimal) for value in numbers):
        return None
    return COUNT if all(value == int(value) for value in numbers) else Unit("", 2)


@cache
def _units() -> dict[str, Unit]:
    return {column.name: column.unit for mart in marts().values() for column in mart.table.columns if column.unit}


def _show_frames() -> None:
    """Make Jupyter show every DataFrame of pandas as `table` does."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None and shell.display_formatter is not None:
        formatters = shell.display_formatter.formatters
        formatters["text/html"].for_type(pd.DataFrame, table)
        formatters["text/plain"].for_type(
            pd.DataFrame,
            lambda frame, printer, _cycle: printer.text(printable(frame.to_string(index=False), keep="\n")),
        )


class _PrintableLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), keep="\n")


def _show_log() -> None:
    """Show the package's log below each cell, each message once even if several pipelines are opened."""
    package = logging.getLogger("cloud_analytics")
    if not package.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(_PrintableLines())
        package.addHandler(handler)
        package.setLevel(logging.INFO)


def ensure_landing(landing: str, lake: str, settings: GeneratorSettings = CLEAN) -> None:
    """Generate landing data for a new lake, both in local folders, unless the landing folder holds data.

    If the lake has data, an empty landing folder is probably not mounted: generated files with the names of known files
    would replace their rows. So nothing is generated.
    """
    folder, built = local_folder(landing), local_folder(lake)
    if folder is not None and built is not None and not (built / f"{LAST_TRANSACTION.path}.json").exists():
        with suppress(FileExistsError):  # the generator refuses a folder with data
            generate(folder, settings)


def serving_choice() -> str | None:
    """`astra` if its bundle and token are in Colab's secrets or the environment, else None (as configured)."""
    if "google.colab" in sys.modules:
        from google.colab import userdata

        for name in SECRETS:
            with suppress(userdata.SecretNotFoundError, userdata.NotebookAccessError):
                os.environ[name] = userdata.get(name)
    return "astra" if all(os.environ.get(name) for name in SECRETS[:2]) else None
