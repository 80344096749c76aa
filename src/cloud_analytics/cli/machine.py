"""What surrounds the pipeline: generate, doctor, cassandra."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from cloud_analytics.cli.options import FORMAT, options
from cloud_analytics.errors import UsageError


@click.command()
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder to fill; must hold no landing data."
)
@click.option("--events", type=int, default=43_200, show_default=True, help="Usage events.")
@click.option("--days", type=int, default=60, show_default=True, help="Days of usage.")
@click.option("--orgs", type=int, default=80, show_default=True, help="Organisations.")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed gives the same bytes.")
@click.option("--dirty", is_flag=True, help="Plant hostile input of every kind.")
@click.option("--anomalies", is_flag=True, help="Plant labelled anomalies of every kind, not only price spikes.")
def generate(out: Path, events: int, days: int, orgs: int, seed: int, dirty: bool, anomalies: bool) -> None:
    """Make landing data of the real one's shape, with a truth file of what was planted."""
    from cloud_analytics.generate import GeneratorSettings
    from cloud_analytics.generate import generate as make

    try:
        make(out, GeneratorSettings(events, days, orgs, seed=seed, dirty=dirty, anomalies=anomalies))
    except (ValueError, FileExistsError) as error:
        raise UsageError(str(error)) from None
    click.echo(f"{events:,} events of {days} days and {orgs} organisations in {out}")


@click.command()
@options("landing", "lake", "conf")
def doctor(landing: str | None, lake: str | None, conf: Path | None) -> None:
    """What this machine has and lacks."""
    from cloud_analytics.insight.doctor import examine

    findings = examine(landing, lake, conf)
    for finding in findings:
        click.echo(f"{'ok  ' if finding.good else 'LACK'} {finding.what}: {finding.detail}")
    if not all(finding.good for finding in findings):
        sys.exit(2)


@click.command()
@click.argument("action", type=click.Choice(["start", "stop", "status"]))
@options("lake", "conf")
@FORMAT
def cassandra(action: str, lake: str | None, conf: Path | None, output: str) -> None:
    """The embedded Cassandra node of this lake: start it, stop it, or say how it is."""
    from cloud_analytics.config import load
    from cloud_analytics.serving.target import embedded_node

    node = embedded_node(lake or load(conf).pipeline.lake)
    if action == "start":
        node.start()
    elif action == "stop":
        node.stop()
    status = node.status()
    if output == "json":
        click.echo(json.dumps(status))
    elif status["running"]:
        click.echo(f"Cassandra answers on {status['host']}:{status['port']} (process {status['pid']}).")
    else:
        click.echo("Cassandra is not running; `cloud-analytics cassandra start` starts it.")
