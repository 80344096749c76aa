"""What commands share: options, the console, and a pipeline over a started Spark session."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloud_analytics.cli.manners import manner, progress
from cloud_analytics.errors import UsageError
from cloud_analytics.runtime.submit import submitted
from cloud_analytics.untrusted import PrintableConsole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from cloud_analytics.config import Config
    from cloud_analytics.lake.files import ReadableFiles
    from cloud_analytics.pipeline import Pipeline
    from cloud_analytics.reading.lake import LakeReader


def options(*names: str) -> Callable[[Any], Any]:
    """A decorator that adds these shared options to a command; each is None (or False) where it is not given."""
    known = {
        "landing": click.option(
            "--landing",
            metavar="DIR",
            callback=named,
            help="Landing folder or URI [default: pipeline.yaml's, data/landing].",
        ),
        "lake": click.option(
            "--lake",
            metavar="DIR",
            callback=named,
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

    def decorate(command: Any) -> Any:
        for name in reversed(names):
            command = known[name](command)
        return command

    return decorate


def named(_context: click.Context, option: click.Parameter, value: Any) -> Any:
    """A folder as it was given; an empty name (an unset variable, mostly) is none."""
    if value is not None and not str(value).strip():
        raise click.BadParameter("is empty: give a folder", param=option)
    return value


def console(width: int = 110) -> PrintableConsole:
    """Standard output for tables: as wide as the terminal, or `width` columns where there is none."""
    return PrintableConsole(highlight=False, width=None if sys.stdout.isatty() else width)


@dataclass(frozen=True)
class SparkChoice:
    """What the command line says about Spark; it lies in the root context, for every command that starts a session."""

    master: str | None = None
    settings: tuple[str, ...] = ()

    def applied(self, config: Config) -> Config:
        """The configuration with it."""
        if self.master and submitted():
            raise UsageError("under spark-submit the master is spark-submit's: give --master to it, not to the command")
        spark = config.pipeline.spark.overridden(self.master, self.settings)
        return config.model_copy(update={"pipeline": config.pipeline.model_copy(update={"spark": spark})})


def _spark_choice() -> SparkChoice:
    context = click.get_current_context(silent=True)
    chosen = context.find_root().obj if context is not None else None
    return chosen if isinstance(chosen, SparkChoice) else SparkChoice()


@dataclass(frozen=True)
class _Folders:
    """The landing folder and the lake that a command means, and what has to be there.

    `needs`: a landing folder that is there (one that was named always has to be), a lake that holds something. What
    only looks at them would find nothing wrong with nothing.
    """

    config: Config
    landing: str
    lake: str
    needs: frozenset[str]

    @classmethod
    def of(cls, landing: str | None, lake: str | None, conf: Path | None, needs: Collection[str]) -> _Folders:
        from cloud_analytics.config import load

        config = _spark_choice().applied(load(conf))
        named = {"landing"} if landing else set()
        return cls(
            config,
            landing or config.pipeline.landing.folder,
            lake or config.pipeline.lake,
            frozenset(named.union(needs)),
        )

    @property
    def need_spark(self) -> bool:
        """Whether only Spark knows where they lie, or reaches them."""
        from cloud_analytics.lake.files import is_reached_by_python

        return self._only_spark_knows or not all(map(is_reached_by_python, (self.landing, self.lake)))

    @property
    def _only_spark_knows(self) -> bool:
        moved = "spark.hadoop.fs.defaultFS" in self.config.pipeline.spark.conf or "HADOOP_CONF_DIR" in os.environ
        return submitted() or moved

    @property
    def reading_needs_spark(self) -> bool:
        """The same for who only reads: an S3 is read without Spark, with the credentials that Spark is given."""
        from cloud_analytics.lake.files import is_read_by_python

        conf = self.config.pipeline.spark.conf
        known = all(is_read_by_python(place, conf) for place in (self.landing, self.lake))
        return self._only_spark_knows or not known

    def look(self, is_there: Callable[[str], bool]) -> None:
        """UsageError where something that has to be there is not, and where the lake is a file."""
        from cloud_analytics.lake.uris import local_folder

        lake = local_folder(self.lake)
        if lake is not None and lake.exists() and not lake.is_dir():
            raise UsageError(f"the lake {self.lake} is no folder; give one with --lake")
        if "landing" in self.needs and not is_there(self.landing):
            raise UsageError(f"the landing folder {self.landing} does not exist; give it with --landing")
        if "lake" in self.needs and not is_there(f"{self.lake}/_state/last_transaction.json"):
            raise UsageError(
                f"the lake {self.lake} holds nothing: `cloud-analytics run` fills it, --lake names another"
            )


@contextmanager
def open_pipeline(
    landing: str | None,
    lake: str | None,
    conf: Path | None,
    serving: str | None = "none",
    needs: Collection[str] = (),
    take_over: bool = False,
) -> Iterator[tuple[Pipeline, Config]]:
    """A pipeline whose Spark session starts when there is something to build, or where only Spark reaches the data.

    Everything that can be wrong without Spark is checked before.
    """
    folders = _Folders.of(landing, lake, conf, needs)
    config, source, folder = folders.config, folders.landing, folders.lake
    with progress("looking for what is new"):
        from cloud_analytics.lake.files import file_system, open_files
        from cloud_analytics.lake.lake import Lake
        from cloud_analytics.pipeline import Pipeline
        from cloud_analytics.serving.target import open_target
        from cloud_analytics.session import build_session, holds_little

        started: list[SparkSession] = []

        def start() -> SparkSession:
            little = holds_little(source, f"{folder}/bronze")
            spark = build_session(config.pipeline.spark, folder, source, quick_start=little, verbose=manner().verbose)
            started.append(spark)
            return spark

        if not folders.need_spark:
            folders.look(lambda place: open_files(place).exists(""))
        with open_target(config, folder, serving, take_over) as target:
            try:
                if folders.need_spark:
                    spark = start()
                    folders.look(lambda place: file_system(spark, place).exists(""))
                yield Pipeline(Lake(started[0] if started else start, folder), source, config, target), config
            finally:
                for spark in started:
                    spark.stop()


@contextmanager
def open_lake(
    lake: str | None, conf: Path | None, landing: str | None = None, needs: Collection[str] = ("lake",)
) -> Iterator[tuple[LakeReader, ReadableFiles, Config]]:
    """The lake and the landing folder for a command that only reads; without Spark, unless only Spark reaches them."""
    folders = _Folders.of(landing, lake, conf, needs)
    if folders.reading_needs_spark:
        with open_pipeline(landing, lake, conf, needs=needs) as (pipeline, config):
            from cloud_analytics.reading.lake import LakeReader

            yield LakeReader(pipeline.lake.files), pipeline.lake.reach(pipeline.landing), config
        return
    from cloud_analytics.lake.files import open_files
    from cloud_analytics.reading.lake import LakeReader

    spark_conf = folders.config.pipeline.spark.conf
    folders.look(lambda place: open_files(place, spark_conf).exists(""))
    yield LakeReader(open_files(folders.lake, spark_conf)), open_files(folders.landing, spark_conf), folders.config
