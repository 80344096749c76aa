"""Commands that present or export the data: report, dashboard, export."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import click

from cloud_analytics.cli.manners import Group, command, emit, progress, say
from cloud_analytics.cli.options import Places, open_lake, options, spreadsheet_option
from cloud_analytics.config.pipeline import is_loopback
from cloud_analytics.errors import UsageError
from cloud_analytics.runtime import output
from cloud_analytics.runtime.temporary import temporary_folder
from cloud_analytics.serving.queries import NothingServed

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
    """Write Gold as one HTML page: cost, anomalies, revenue, support, GenAI, carbon, and how far to trust them.

    The page is one file that needs no network: mail it, print it, read it on a phone. It shows the lake as it is; run
    `cloud-analytics run` before. The audit reads the landing folder; if the folder is missing, the page says so.
    """
    here = os.getcwd()
    os.chdir(temporary_folder())  # matplotlib reads a `matplotlibrc` in the current folder, perhaps a stranger's
    try:
        import matplotlib

        matplotlib.use("agg")  # a backend that draws into files without a window system
        from cloud_analytics.insight.report import facts, page
    except ModuleNotFoundError as error:
        raise UsageError(f"`report` needs {error.name}: pip install 'cloud-analytics[report]'") from None
    finally:
        os.chdir(here)
    output.expect_writable(out)
    with open_lake(places) as (zones, landing):
        logger.debug("reading Gold")
        found = facts.read(zones, landing, places.config)
        logger.debug("drawing")
        text = page.render(found)
    with output.replacing(out) as path:
        path.write_text(text, encoding="utf-8")
    size = len(text.encode())
    emit(f"{out}: {size / 1024:,.0f} KiB; open it in a browser.", {"file": str(out), "bytes": size})


@command("cloud-analytics dashboard", "cloud-analytics dashboard --serving cassandra --port 8600", formats=())
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="The address to answer on; to another than loopback, link and figures cross the network unencrypted.",
)
@click.option("--port", metavar="N", type=click.IntRange(1, 65535), default=8501, show_default=True, help="The port.")
@options("lake", "serving", "conf")
def dashboard(places: Places, host: str, port: int) -> None:
    """Show the serving tables in a browser, refreshed automatically; Ctrl-C ends it.

    The command prints a link with a token that is new at each start; without the token nothing is shown.
    Pages: provider, organisation, anomalies and shifts, billing, support, operations. If the embedded node is not
    running, the command starts it. While `cloud-analytics stream --follow` runs, the figures change.
    """
    try:
        from cloud_analytics.dashboard import door, server
    except ModuleNotFoundError:
        raise UsageError("`dashboard` needs streamlit: pip install 'cloud-analytics[dashboard]'") from None
    from cloud_analytics.dashboard.source import Source

    config = places.config
    server.check(host, port)
    with Source(config, places.lake_folder, places.serving) as source:
        try:
            with progress("asking Cassandra"):
                source.session  # noqa: B018  # connects, so that an error is shown here and not on a page
        except NothingServed as error:
            logger.warning("%s; the pages say so", error)
        if not is_loopback(host):
            logger.warning("%s is reached over the network, which link and figures cross unencrypted", host)
        say(f"{door.link(host, port)}  (Ctrl-C ends it)")
        server.serve(source, host, port)


@click.group(cls=Group, examples=("cloud-analytics export focus --out focus.parquet",))
def export() -> None:
    """Export files for other tools."""


@export.command(
    "focus",
    examples=(
        "cloud-analytics export focus --out focus.parquet",
        "cloud-analytics export focus --out july.csv --month 2025-07",
    ),
)
@click.option("--out", required=True, metavar="PATH", type=click.Path(path_type=Path), help="A .parquet or .csv file.")
@click.option("--month", metavar="YYYY-MM", help="Only what is billed in this month [default: all].")
@spreadsheet_option
@options("lake", "conf")
def _focus(places: Places, out: Path, month: str | None, spreadsheet: bool) -> None:
    """Costs and usage in the format of FOCUS 1.2, for tools that read the bills of several providers.

    Restatements of closed months appear as corrections. A second file beside it says for each month whether it is
    complete and when it changed last. docs/focus.md describes how each column is computed.
    """
    from cloud_analytics.reading import focus

    focus.expect_writable(out, month, spreadsheet)
    with open_lake(places) as (zones, _):
        written = focus.export(zones, places.config, out, month, spreadsheet)
    line = f"{written.rows:,} charges, {written.billed_cost_usd:,.6f} USD: {out}"
    emit(line, written.as_json(), lambda: say(f"{line}\nWhen each month changed last: {written.recency}"))
