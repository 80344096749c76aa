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

    from cloud_analytics.config import Config
    from cloud_analytics.pipeline import Pipeline


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


@contextmanager
def open_pipeline(
    landing: str | None,
    lake: str | None,
    conf: Path | None,
    serving: str | None = "none",
    needs: Collection[str] = (),
) -> Iterator[tuple[Pipeline, Config]]:
    """A pipeline over a started Spark session; everything that can be wrong without Spark is checked before.

    `needs`: a landing folder that is there (one that was named always has to be), a lake that holds something. What
    only looks at them would find nothing wrong with nothing.
    """
    from cloud_analytics.config import load
    from cloud_analytics.lake.uris import local_folder

    config = _spark_choice().applied(load(conf))
    source, folder = landing or config.pipeline.landing, lake or config.pipeline.lake

    def look(is_there: Callable[[str], bool]) -> None:
        if (landing or "landing" in needs) and not is_there(source):
            raise UsageError(f"the landing folder {source} does not exist; give it with --landing")
        if "lake" in needs and not is_there(f"{folder}/_state/last_transaction.json"):
            raise UsageError(f"the lake {folder} holds nothing: `cloud-analytics run` fills it, --lake names another")

    # Where paths may lie elsewhere than here by default, only Spark knows.
    moved = "spark.hadoop.fs.defaultFS" in config.pipeline.spark.conf or "HADOOP_CONF_DIR" in os.environ
    if not (submitted() or moved):
        look(lambda place: (local := local_folder(place)) is None or local.exists())
    from cloud_analytics.runtime.java import require_java

    if not submitted():
        require_java()
    with progress("starting Spark"):
        from cloud_analytics.lake.files import file_system
        from cloud_analytics.lake.lake import Lake
        from cloud_analytics.pipeline import Pipeline
        from cloud_analytics.serving.target import open_target
        from cloud_analytics.session import build_session, holds_little

        with open_target(config, folder, serving) as target:
            little = holds_little(source, f"{folder}/bronze")
            spark = build_session(config.pipeline.spark, folder, source, quick_start=little, verbose=manner().verbose)
            try:
                look(lambda place: file_system(spark, place).exists(""))
                zones = Lake(spark, folder)
                yield Pipeline(zones, source, config, target), config
            finally:
                spark.stop()
