"""Charts and tables for people: report."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cloud_analytics.cli.manners import command, emit
from cloud_analytics.cli.options import Places, open_lake, options
from cloud_analytics.errors import UsageError
from cloud_analytics.runtime import output
from cloud_analytics.runtime.temporary import temporary_folder

logger = logging.getLogger(__name__)


@command("cloud-analytics report --out report.html")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default="report.html",
    show_default=True,
    help="The page to write; an older one is replaced.",
)
@options("landing", "lake", "conf")
def report(places: Places, out: Path) -> None:
    """Gold as one HTML page: cost, anomalies, revenue, support, GenAI, carbon, and how far to trust them.

    The page is one file that needs no network: mail it, print it, read it on a phone. It shows the lake as it is; run
    `cloud-analytics run` before. The landing folder is read for the audit, and the page says so where it is not there.
    """
    try:
        with _elsewhere():  # matplotlib takes settings from a `matplotlibrc` of the folder, which may be a stranger's
            import matplotlib

        matplotlib.use("agg")  # a command draws into files: it needs no window system
        from cloud_analytics.insight.report import page
    except ModuleNotFoundError as error:
        raise UsageError(f"`report` needs {error.name}: pip install 'cloud-analytics[report]'") from None
    output.expect_writable(out)
    from cloud_analytics.insight.report import facts

    with open_lake(places) as (zones, landing):
        logger.debug("reading Gold")
        found = facts.read(zones, landing, places.config)
        logger.debug("drawing")
        text = page.render(found)
    with output.replacing(out) as path:
        path.write_text(text, encoding="utf-8")
    size = len(text.encode())
    emit(f"{out}: {size / 1024:,.0f} KiB; open it in a browser.", {"file": str(out), "bytes": size})


@contextmanager
def _elsewhere() -> Iterator[None]:
    """In a private and empty folder while the block runs."""
    here = os.getcwd()
    os.chdir(temporary_folder())
    try:
        yield
    finally:
        os.chdir(here)
