"""The serving tables in a browser: dashboard."""

from __future__ import annotations

import logging

import click

from cloud_analytics.cli.manners import command, progress, say
from cloud_analytics.cli.options import Places, options
from cloud_analytics.errors import UsageError
from cloud_analytics.serving.queries import NothingServed

logger = logging.getLogger(__name__)


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
    """The serving tables in a browser, which refreshes by itself; Ctrl-C ends it.

    The link that it prints holds a token, new at each start; without it nothing is shown.
    Pages: provider, organisation, anomalies and shifts, billing, support, operations. The embedded node is started
    when it does not run. While `cloud-analytics stream --follow` runs, figures move.
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
        if not server.is_loopback(host):
            logger.warning("%s is reached over the network, which link and figures cross unencrypted", host)
        say(f"{door.link(host, port)}  (Ctrl-C ends it)")
        server.serve(source, host, port)
