"""What surrounds the pipeline: generate, doctor, cassandra."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import click

from cloud_analytics.cli.manners import NAME, as_json, command, emit, progress
from cloud_analytics.cli.options import named, options
from cloud_analytics.errors import UsageError
from cloud_analytics.lake.uris import local_folder


def _folder(out: str) -> Path:
    folder = local_folder(out)
    if folder is None:
        raise UsageError(f"--out {out}: data are generated into a local folder; copy them to the store from there")
    return folder if out.startswith("file:") else Path(out)  # told as it was given


@command(
    "cloud-analytics generate --out data/landing",
    "cloud-analytics generate --out hostile --events 5000 --days 20 --orgs 10 --dirty",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(),
    callback=lambda *given: _folder(named(*given)),
    help="Local folder to fill; must hold no landing data.",
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
        settings = GeneratorSettings(events, days, orgs, seed=seed, dirty=dirty, anomalies=anomalies)
        make(out, settings)
    except (ValueError, FileExistsError) as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written ({error.strerror}): name another folder") from None
    if settings.end_date > date.today():
        click.echo(f"note: the dates go on to {settings.end_date}; what lies in the future is quarantined", err=True)
    line = f"{events:,} events of {days} days and {orgs} organisations in {out}"
    made = {"out": str(out), "events": events, "days": days, "orgs": orgs, "seed": seed}
    emit(lambda: click.echo(line), line, json=lambda: as_json({**made, "dirty": dirty, "anomalies": anomalies}))


@command("cloud-analytics doctor", "cloud-analytics doctor --format json")
@options("landing", "lake", "conf")
def doctor(landing: str | None, lake: str | None, conf: Path | None) -> None:
    """What this machine has and lacks for a run; exit status 2 where something is lacking."""
    from cloud_analytics.insight.doctor import examine

    findings = examine(landing, lake, conf)
    lacking = [finding.what for finding in findings if not finding.good]

    def show() -> None:
        for finding in findings:
            click.echo(f"{'ok  ' if finding.good else 'LACK'} {finding.what}: {finding.detail}")

    emit(
        show,
        f"Lacking: {', '.join(lacking)}." if lacking else "Nothing is lacking.",
        json=lambda: as_json({"findings": findings, "good": not lacking}),
    )
    if lacking:
        sys.exit(2)


@command(
    "cloud-analytics cassandra start",
    "cloud-analytics cassandra status --format json",
    "cloud-analytics cassandra stop",
)
@click.argument("action", type=click.Choice(["start", "stop", "status"]))
@options("lake", "conf")
def cassandra(action: str, lake: str | None, conf: Path | None) -> None:
    """The embedded Cassandra node of this lake: start it, stop it, or say how it is.

    `run`, `serve`, `stream` and `query` start it when they need it and stop it when they are done; one that `start`
    started stays until `stop`.
    """
    from cloud_analytics.config import load
    from cloud_analytics.serving.target import embedded_node

    node = embedded_node(lake or load(conf).pipeline.lake)
    if action == "start":
        with progress("starting Cassandra") as say:
            node.start(say)
    elif action == "stop":
        node.stop()
    status = node.status()
    line = (
        f"Cassandra answers on {status['host']}:{status['port']} (process {status['pid']})."
        if status["running"]
        else "Cassandra is not running; `cloud-analytics cassandra start` starts it."
    )
    emit(lambda: click.echo(line), line, json=lambda: as_json(status))


@command(
    'eval "$(cloud-analytics completion bash)"',
    "cloud-analytics completion zsh",
    "cloud-analytics completion fish",
    formats=(),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and words by the tab key, for your shell to read.

    Put the first example's line into ~/.bashrc (zsh: ~/.zshrc; fish: pipe the script into `source`).
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # the shells of the choice are those that click knows
    click.echo(kind(context.find_root().command, {}, NAME, "_CLOUD_ANALYTICS_COMPLETE").source())
