"""Commands around the pipeline: generate, doctor, cassandra, completion."""

from __future__ import annotations

import logging
import sys
from datetime import date
from pathlib import Path
from typing import Any

import click

from cloud_analytics.cli.manners import NAME, command, emit, progress, say
from cloud_analytics.cli.options import Places, not_blank, options
from cloud_analytics.errors import UsageError
from cloud_analytics.lake.uris import local_folder

logger = logging.getLogger(__name__)


def _folder(context: click.Context, option: click.Parameter, value: str) -> Path:
    """The local folder that --out names. UsageError if it is the URI of an object store."""
    out = str(not_blank(context, option, value))
    folder = local_folder(out)
    if folder is None:
        raise UsageError(f"--out {out}: data are generated into a local folder; copy them to the store from there")
    return folder if out.startswith("file:") else Path(out)  # so messages show the path as it was typed


@command(
    "cloud-analytics generate --out data/landing",
    "cloud-analytics generate --out hostile --events 5000 --days 20 --orgs 10 --dirty",
    "cloud-analytics generate --out signals --events 5000 --orgs 10 --weekly --growth 0.1 --informative",
)
@click.option(
    "--out", required=True, type=click.Path(), callback=_folder, help="Local folder to fill; must hold no landing data."
)
@click.option("--events", type=int, default=43_200, show_default=True, help="Usage events.")
@click.option("--days", type=int, default=60, show_default=True, help="Days of usage.")
@click.option("--orgs", type=int, default=80, show_default=True, help="Organisations.")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed gives the same bytes.")
@click.option("--dirty", is_flag=True, help="Plant hostile input of every kind.")
@click.option("--anomalies", is_flag=True, help="Plant labelled anomalies of every kind, not only price spikes.")
@click.option("--weekly", is_flag=True, help="Weekly rhythm: fewer events on Saturdays and Sundays.")
@click.option(
    "--growth", type=float, default=0.0, show_default=True, help="Growth of the daily events in 30 days; 0.1: a tenth."
)
@click.option(
    "--billing",
    type=click.Choice(["independent", "matched"]),
    default="independent",
    show_default=True,
    help="Invoices that have nothing to do with usage, as in the real data, or that follow it but for labelled leaks:"
    " skipped, doubled, in a wrong currency, of a wrong amount.",
)
@click.option(
    "--informative",
    is_flag=True,
    help="Figures with the signal that the real data lack: GenAI tokens follow cost, carbon depends on region and"
    " service, invoices are matched, so that their amounts differ by currency.",
)
def generate(out: Path, **chosen: Any) -> None:
    """Generate landing data in the shape of the real data, with a truth file that lists what was planted.

    The truth file is `_truth.json` in the same folder: expected counts of every source, labelled anomalies and leaks.
    """
    from cloud_analytics.generate import GeneratorSettings
    from cloud_analytics.generate import generate as make

    try:
        settings = GeneratorSettings(**chosen)
        make(out, settings)
    except (ValueError, FileExistsError) as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written ({error.strerror}): name another folder") from None
    if settings.end_date > date.today():
        logger.warning("the dates go on to %s; what lies in the future is quarantined", settings.end_date)
    line = f"{settings.events:,} events of {settings.days} days and {settings.orgs} organisations in {out}"
    emit(line, {"out": str(out), **chosen})


@command("cloud-analytics doctor", "cloud-analytics doctor --format json")
@options("landing", "lake", "conf")
def doctor(places: Places) -> None:
    """Check what this machine has and lacks for a run; exit status 2 if something is lacking."""
    from cloud_analytics.insight.doctor import examine

    findings = examine(places.landing, places.lake, places.conf)
    lacking = [finding.what for finding in findings if not finding.good]

    def show() -> None:
        for finding in findings:
            say(f"{'ok  ' if finding.good else 'LACK'} {finding.what}: {finding.detail}")

    line = f"Lacking: {', '.join(lacking)}." if lacking else "Nothing is lacking."
    emit(line, {"findings": findings, "good": not lacking}, show)
    if lacking:
        sys.exit(2)


@command(
    "cloud-analytics cassandra start",
    "cloud-analytics cassandra status --format json",
    "cloud-analytics cassandra stop",
    "cloud-analytics cassandra reset",
)
@click.argument("action", type=click.Choice(["start", "stop", "status", "reset"]))
@options("lake", "conf")
def cassandra(places: Places, action: str) -> None:
    """Start, stop, show or reset the embedded Cassandra node of this lake.

    `run`, `serve`, `stream` and `query` start the node when they need it and stop it when they are done. A node that
    `start` started runs until `stop`. `reset` stops the node and deletes its data; the next `serve` loads them again.
    """
    from cloud_analytics.serving.target import embedded_node

    node = embedded_node(places.lake_folder)
    if action == "start":
        with progress("starting Cassandra"):
            node.start()
    elif action == "stop":
        node.stop()
    elif action == "reset":
        node.reset()
    status = node.status()
    line = (
        f"Cassandra answers on {status['host']}:{status['port']} (process {status['pid']})."
        if status["running"]
        else "Cassandra is not running; `cloud-analytics cassandra start` starts it."
    )
    emit(line, status)


@command(
    'eval "$(cloud-analytics completion bash)"',
    "cloud-analytics completion zsh",
    "cloud-analytics completion fish",
    formats=(),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script by which your shell completes commands, options and words with the tab key.

    Put the first example's line into ~/.bashrc (zsh: ~/.zshrc; fish: pipe the script into `source`).
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # `type=click.Choice` allows only shells that click knows
    say(kind(context.find_root().command, {}, NAME, "_CLOUD_ANALYTICS_COMPLETE").source())
