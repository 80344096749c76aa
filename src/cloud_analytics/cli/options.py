"""Shared parts of the commands: options that name places, console tables, opening a lake, opening a pipeline."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from cloud_analytics.cli.manners import manner, progress
from cloud_analytics.config import Config, load
from cloud_analytics.errors import UsageError
from cloud_analytics.lake.file_system import ReadableFiles
from cloud_analytics.lake.files import file_system, is_read_by_python, open_files
from cloud_analytics.lake.uris import local_folder
from cloud_analytics.runtime.environment import submitted
from cloud_analytics.untrusted import PrintableConsole, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from cloud_analytics.pipeline import Pipeline
    from cloud_analytics.reading.lake import LakeReader


def not_blank(_context: click.Context, option: click.Parameter, value: Any) -> Any:
    """The value of an option that names a folder. BadParameter if it is empty, mostly from an unset shell variable."""
    if value is not None and not str(value).strip():
        raise click.BadParameter("is empty: give a folder", param=option)
    return value


_OPTIONS = {
    "landing": click.option(
        "--landing",
        metavar="DIR",
        callback=not_blank,
        help="Landing folder or URI [default: pipeline.yaml's, data/landing].",
    ),
    "lake": click.option(
        "--lake",
        metavar="DIR",
        callback=not_blank,
        help="Lake folder or URI; the zones lie in it [default: pipeline.yaml's, data].",
    ),
    "conf": click.option(
        "--conf",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Configuration folder [default: $CLOUD_ANALYTICS_CONF, else ./conf, else the one that is installed].",
    ),
    "serving": click.option(
        "--serving",
        type=click.Choice(["embedded", "cassandra", "astra", "none"]),
        help="Where Gold is served: the lake's own Cassandra node, a cluster, AstraDB, or nowhere"
        " [default: pipeline.yaml's, embedded].",
    ),
}


spreadsheet_option = click.option(
    "--spreadsheet", is_flag=True, help="With CSV: texts that begin like a formula are no formula."
)


def expect_csv(spreadsheet: bool) -> None:
    """UsageError if --spreadsheet was given without --format csv."""
    if spreadsheet and manner().output != "csv":
        raise UsageError("--spreadsheet is for --format csv: a table, JSON or CQL is read by no spreadsheet")


@dataclass(frozen=True)
class Places:
    """The landing folder, lake, configuration and serving target that the options of a command name.

    None means that the option was not given, so the configuration decides. Without --serving, a command serves nothing.
    """

    landing: str | None = None
    lake: str | None = None
    conf: Path | None = None
    serving: str | None = "none"

    @cached_property
    def config(self) -> Config:
        """The configuration, with the Spark options of the root command applied."""
        config, given = load(self.conf), click.get_current_context().find_root().params
        master = given.get("master")
        if master and submitted():
            raise UsageError("under spark-submit the master is spark-submit's: give --master to it, not to the command")
        spark = config.pipeline.spark.overridden(master, given.get("settings", ()))
        return config.model_copy(update={"pipeline": config.pipeline.model_copy(update={"spark": spark})})

    @property
    def landing_folder(self) -> str:
        """The landing folder from the option, else from the configuration."""
        return self.landing or self.config.pipeline.landing.folder

    @property
    def lake_folder(self) -> str:
        """The lake from the option, else from the configuration."""
        return self.lake or self.config.pipeline.lake

    def need_spark(self, is_reached: Callable[[str], bool]) -> bool:
        """Whether only Spark can locate the landing folder and the lake, or `is_reached` is false for one of them."""
        moved = "spark.hadoop.fs.defaultFS" in self.config.pipeline.spark.conf or "HADOOP_CONF_DIR" in os.environ
        return submitted() or moved or not all(map(is_reached, (self.landing_folder, self.lake_folder)))

    def check(self, needs: Collection[str], exists: Callable[[str], bool]) -> None:
        """UsageError if a place that the command needs (`landing`, `lake`) is missing, or the lake is empty or a file.

        A landing folder named by --landing must always exist, because an audit would not notice a missing one.
        """
        from cloud_analytics.lake.folder import LAST_TRANSACTION

        landing, lake = self.landing_folder, self.lake_folder
        folder = local_folder(lake)
        if folder is not None and folder.exists() and not folder.is_dir():
            raise UsageError(f"the lake {lake} is no folder; give one with --lake")
        if ("landing" in needs or self.landing) and not exists(landing):
            raise UsageError(f"the landing folder {landing} does not exist; give it with --landing")
        if "lake" in needs and not exists(f"{lake}/{LAST_TRANSACTION.path}.json"):
            raise UsageError(f"the lake {lake} holds nothing: `cloud-analytics run` fills it, --lake names another")


def options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator that adds these options of `Places` to a command and passes a `Places` as its first argument."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_places(**given: Any) -> None:
            command(Places(**{name: given.pop(name) for name in names}), **given)

        for name in reversed(names):
            with_places = _OPTIONS[name](with_places)
        return with_places

    return decorate


def console(width: int = 110) -> PrintableConsole:
    """Standard output for tables, as wide as the terminal, or `width` columns if the output is no terminal."""
    return PrintableConsole(highlight=False, width=None if sys.stdout.isatty() else width)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str | Text]], right: Collection[str] = (), **style: Any
) -> None:
    """Print a table on standard output. Columns in `right` are right-aligned. The title may contain rich markup."""
    table = Table(title=title, title_justify="left", **style)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell, keep="\n")) if isinstance(cell, str) else cell for cell in row))
    console().print(table)


@contextmanager
def open_pipeline(places: Places, needs: Collection[str] = (), take_over: bool = False) -> Iterator[Pipeline]:
    """A pipeline whose Spark session starts only when there is something to build, or if only Spark reaches the data.

    All checks that work without Spark run before Spark starts. `needs`: see `Places.check`.
    """
    from cloud_analytics.lake.failures import readable_refusals

    config, landing, lake = places.config, places.landing_folder, places.lake_folder
    with readable_refusals(lake), progress("looking for what is new"):
        from cloud_analytics.lake.lake import Lake
        from cloud_analytics.pipeline import Pipeline
        from cloud_analytics.serving.target import open_target
        from cloud_analytics.session import build_session, holds_little, stop_session

        started: list[SparkSession] = []
        verbose = manner().verbose  # read here: click keeps it for this thread, and another thread may call `start`

        def start() -> SparkSession:
            little = holds_little(landing, f"{lake}/bronze")
            spark = build_session(config.pipeline.spark, lake, landing, quick_start=little, verbose=verbose)
            started.append(spark)
            return spark

        need_spark = places.need_spark(lambda place: local_folder(place) is not None)
        if not need_spark:
            places.check(needs, lambda place: open_files(place).exists(""))
        with open_target(config, lake, places.serving, take_over) as target:
            try:
                if need_spark:
                    spark = start()
                    places.check(needs, lambda place: file_system(spark, place).exists(""))
                yield Pipeline(Lake(started[0] if started else start, lake), landing, config, target)
            finally:
                for spark in started:
                    stop_session(spark)


@contextmanager
def open_lake(places: Places, needs: Collection[str] = ("lake",)) -> Iterator[tuple[LakeReader, ReadableFiles]]:
    """The lake and the landing folder, for reading only. Spark starts only if Python cannot reach one of them."""
    from cloud_analytics.lake.failures import readable_refusals
    from cloud_analytics.reading.lake import LakeReader

    conf = places.config.pipeline.spark.conf  # holds the credentials for reading S3 without Spark
    if places.need_spark(lambda place: is_read_by_python(place, conf)):
        with open_pipeline(places, needs) as pipeline:
            yield _bounded(LakeReader(pipeline.lake.files)), pipeline.lake.reach(pipeline.landing)
        return
    with readable_refusals(places.lake_folder):
        places.check(needs, lambda place: open_files(place, conf).exists(""))
        yield _bounded(LakeReader(open_files(places.lake_folder, conf))), open_files(places.landing_folder, conf)


def _bounded(lake: LakeReader) -> LakeReader:
    """Let this process take at most three quarters of the memory (only Linux obeys).

    DuckDB bounds its own memory, but not Python's copy of a value; a short query or a small file can hold a huge one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([lake.memory_limit() * 3 // 2, *known]), hard))
    return lake
