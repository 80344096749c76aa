"""What commands share: options, the console, and a pipeline over a started Spark session."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud_analytics.config import Config
    from cloud_analytics.pipeline import Pipeline

FORMAT = click.option(
    "--format", "output", type=click.Choice(["table", "json"]), default="table", help="A table for people, or JSON."
)


def options(*names: str) -> Callable[[Any], Any]:
    """A decorator that adds these shared options to a command; each is None (or False) where it is not given."""
    known = {
        "landing": click.option("--landing", metavar="DIR", help="Landing folder or URI [default: data/landing]."),
        "lake": click.option("--lake", metavar="DIR", help="Lake folder or URI; the zones lie in it [default: data]."),
        "conf": click.option(
            "--conf", metavar="DIR", type=click.Path(path_type=Path), help="Configuration folder [default: conf]."
        ),
        "serving": click.option(
            "--serving",
            type=click.Choice(["embedded", "cassandra", "astra", "none"]),
            help="Where Gold is served: the lake's own Cassandra node, a cluster, AstraDB, or nowhere"
            " [default: embedded].",
        ),
        "quiet": click.option("--quiet", is_flag=True, help="No progress lines."),
    }

    def decorate(command: Any) -> Any:
        for name in reversed(names):
            command = known[name](command)
        return command

    return decorate


def console() -> Console:
    """Standard output for tables: as wide as the terminal, or 110 columns where there is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 110)


@contextmanager
def open_pipeline(
    landing: str | None, lake: str | None, conf: Path | None, quiet: bool = False, serving: str | None = "none"
) -> Iterator[tuple[Pipeline, Config]]:
    """A pipeline over a started Spark session; everything that can be wrong without Spark is checked before."""
    from cloud_analytics.config import load

    config = load(conf)
    from cloud_analytics.runtime.java import require_java

    require_java()
    console = Console(stderr=True)
    show = console.is_terminal and not quiet
    status = console.status("starting Spark") if show else None

    def say(line: str) -> None:
        kind, _, text = line.partition(": ")
        if kind == "warning":
            console.print(line, highlight=False, markup=False, soft_wrap=True, style="yellow")
        elif kind in ("done", "note"):  # these lines stay; others replace each other
            if not quiet:
                console.print(text, highlight=False, markup=False, soft_wrap=True)
        elif status is not None:
            status.update(line)

    if status is not None:
        status.start()
    try:
        from cloud_analytics.pipeline import Pipeline
        from cloud_analytics.serving.target import open_target
        from cloud_analytics.session import build_session
        from cloud_analytics.storage.lake import Lake

        folder = lake or config.pipeline.lake
        with open_target(config, folder, serving, say) as target:
            spark = build_session(config.pipeline.spark)
            try:
                zones = Lake(spark, folder)
                yield Pipeline(zones, landing or config.pipeline.landing, config, say, target), config
            finally:
                if status is not None:
                    status.stop()
                spark.stop()
    finally:
        if status is not None:
            status.stop()
