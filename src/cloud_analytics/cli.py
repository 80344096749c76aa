"""The command line (SPEC 9): thin commands over the pipeline; one line an error, exit status 0, 1 or 2."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from cloud_analytics import __version__
from cloud_analytics.errors import CloudAnalyticsError, UsageError
from cloud_analytics.serving.tables import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud_analytics.config import Config
    from cloud_analytics.pipeline import Outcome, Pipeline
    from cloud_analytics.quality.audit import Audit

_FORMAT = click.option(
    "--format", "output", type=click.Choice(["table", "json"]), default="table", help="A table for people, or JSON."
)


def _options(*names: str) -> Callable[[Any], Any]:
    known = {
        "landing": click.option("--landing", metavar="DIR", help="Landing folder or URI [default: data/landing]."),
        "lake": click.option("--lake", metavar="DIR", help="Lake folder or URI; the zones lie in it [default: data]."),
        "conf": click.option(
            "--conf", metavar="DIR", type=click.Path(path_type=Path), help="Configuration folder [default: conf]."
        ),
        "serving": click.option(
            "--serving",
            type=click.Choice(["embedded", "none"]),
            help="Where Gold is served: the lake's own Cassandra node, or nowhere [default: embedded].",
        ),
        "quiet": click.option("--quiet", is_flag=True, help="No progress lines."),
    }

    def decorate(command: Any) -> Any:
        for name in reversed(names):
            command = known[name](command)
        return command

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="cloud-analytics")
def cli() -> None:
    """Cloud provider analytics: landing → bronze → silver → gold, every input line accounted for.

    Start with `cloud-analytics generate --out data/landing` and `cloud-analytics run`.
    """


@contextmanager
def _pipeline(
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
        if line.startswith("warning:"):
            console.print(line, highlight=False, style="yellow")
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


@cli.command()
@_options("landing", "lake", "serving", "conf", "quiet")
def run(landing: str | None, lake: str | None, serving: str | None, conf: Path | None, quiet: bool) -> None:
    """Everything: landing to Gold to the serving tables, then the audit and the headline figures."""
    with _pipeline(landing, lake, conf, quiet, serving) as (pipeline, config):
        from cloud_analytics.insight.demo import demo, print_demo
        from cloud_analytics.insight.headline import headline
        from cloud_analytics.quality.audit import audit as conduct

        outcome = pipeline.run()
        pipeline.say("audit")
        result = conduct(pipeline.lake, pipeline.landing, config)
        found = headline(pipeline.lake)
        answers = []
        if pipeline.target is not None and found.top_org is not None:
            with pipeline.target.session() as session:
                answers = demo(session, found.top_org)
    _print_outcome(outcome)
    _print_audit(result)
    table = Table(title="Headline figures", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in found.figures:
        table.add_row(name, value)
    _console().print(table)
    print_demo(answers, _console())
    click.echo(f"\nGold lies in {pipeline.lake.root}/gold (plain Parquet). Next: cloud-analytics audit --format json")
    if not result.balanced:
        sys.exit(1)


def _zone(name: str, text: str) -> None:
    @_options("landing", "lake", "conf", "quiet")
    def command(landing: str | None, lake: str | None, conf: Path | None, quiet: bool) -> None:
        with _pipeline(landing, lake, conf, quiet) as (pipeline, _):
            outcome = getattr(pipeline, name)()
        _print_outcome(outcome)

    command.__doc__ = text
    cli.command(name)(command)


_zone("bronze", "Landing to Bronze: new master snapshots and new event files.")
_zone("silver", "Bronze to Silver: the dates and masters that changed.")
_zone("gold", "Silver to Gold: what depends on the dates and masters that changed.")
_zone("reconcile", "The batch layer: Silver and Gold from the whole of Bronze.")


@cli.command()
@_options("lake", "serving", "conf", "quiet")
@click.option("--check", is_flag=True, help="Then compare every table with its mart, row by row.")
def serve(lake: str | None, serving: str | None, conf: Path | None, quiet: bool, check: bool) -> None:
    """Gold to the serving tables: the partitions that changed since they were loaded."""
    with _pipeline(None, lake, conf, quiet, serving) as (pipeline, _):
        if pipeline.target is None:
            raise UsageError("the serving target is `none`: choose another one with --serving")
        outcome = pipeline.serve()
        comparisons = []
        if check:
            from cloud_analytics.serving.check import compare

            pipeline.say("comparing the tables with Gold")
            with pipeline.target.session() as session:
                comparisons = compare(pipeline.lake, session)
    _print_outcome(outcome)
    for found in comparisons:
        verdict = "equal" if found.equal else f"DIFFER: {found.only_served} only served, {found.only_gold} only in Gold"
        click.echo(f"{found.table}: {found.rows:,} rows, gold/{found.mart}: {found.gold_rows:,} rows: {verdict}")
    if not all(found.equal for found in comparisons):
        sys.exit(1)


@cli.command()
@_options("landing", "lake", "serving", "conf", "quiet")
@click.option("--follow", is_flag=True, help="Keep watching the landing folder until interrupted.")
@click.option("--trigger", default="30 seconds", show_default=True, help="With --follow: time between micro-batches.")
def stream(
    landing: str | None,
    lake: str | None,
    serving: str | None,
    conf: Path | None,
    quiet: bool,
    follow: bool,
    trigger: str,
) -> None:
    """The speed layer: each micro-batch of events goes through Bronze, its dates of Silver and Gold, and is served."""
    from cloud_analytics.config import parse_duration

    try:
        parse_duration(trigger)
    except ValueError as error:
        raise UsageError(f"--trigger {trigger!r}: {error}") from None
    with _pipeline(landing, lake, conf, quiet, serving) as (pipeline, _):
        outcome = pipeline.stream({"processingTime": trigger} if follow else {"availableNow": True})
    _print_outcome(outcome)


@cli.command()
@_options("landing", "lake", "conf")
@_FORMAT
def audit(landing: str | None, lake: str | None, conf: Path | None, output: str) -> None:
    """The conservation law: landing lines = Silver rows + quarantined rows, for every source."""
    with _pipeline(landing, lake, conf) as (pipeline, config):
        from cloud_analytics.quality.audit import audit as conduct

        result = conduct(pipeline.lake, pipeline.landing, config)
    if output == "json":
        click.echo(json.dumps(result.as_json()))
    else:
        _print_audit(result)
    if not result.balanced:
        sys.exit(1)


@cli.command()
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder to fill; must hold no landing data."
)
@click.option("--events", type=int, default=43_200, show_default=True, help="Usage events.")
@click.option("--days", type=int, default=60, show_default=True, help="Days of usage.")
@click.option("--orgs", type=int, default=80, show_default=True, help="Organisations.")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed gives the same bytes.")
@click.option("--dirty", is_flag=True, help="Plant hostile input of every kind.")
def generate(out: Path, events: int, days: int, orgs: int, seed: int, dirty: bool) -> None:
    """Make landing data of the real one's shape, with a truth file of what was planted."""
    from cloud_analytics.generate import GeneratorSettings
    from cloud_analytics.generate import generate as make

    try:
        make(out, GeneratorSettings(events=events, days=days, orgs=orgs, seed=seed, dirty=dirty))
    except (ValueError, FileExistsError) as error:
        raise UsageError(str(error)) from None
    click.echo(f"{events:,} events of {days} days and {orgs} organisations in {out}")


@cli.command()
@_options("landing", "lake", "conf")
def doctor(landing: str | None, lake: str | None, conf: Path | None) -> None:
    """What this machine has and lacks."""
    from cloud_analytics.insight.doctor import examine

    findings = examine(landing, lake, conf)
    for finding in findings:
        click.echo(f"{'ok  ' if finding.good else 'LACK'} {finding.what}: {finding.detail}")
    if not all(finding.good for finding in findings):
        sys.exit(2)


@cli.command()
@click.argument("action", type=click.Choice(["start", "stop", "status"]))
@_options("lake", "conf")
@_FORMAT
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


@cli.command()
@click.argument("question", type=click.Choice([table.query for table in tables().values()]))
@click.option("--org", required=True, metavar="ORG", help="The organisation's id.")
@click.option("--from", "since", metavar="DATE", help="First date (revenue: month), included. Not for top-services.")
@click.option("--to", "until", metavar="DATE", help="Last date, included; for top-services the date [default: newest].")
@click.option("--top", type=int, metavar="N", help="At most N rows: the newest, highest rank or largest impact.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    help="A table for people, rounded; JSON and CSV keep every digit.",
)
@click.option("--explain", is_flag=True, help="Print the CQL, as cqlsh takes it, instead of running it.")
@_options("lake", "serving", "conf")
def query(
    question: str,
    org: str,
    since: str | None,
    until: str | None,
    top: int | None,
    output: str,
    explain: bool,
    lake: str | None,
    serving: str | None,
    conf: Path | None,
) -> None:
    """Answer a question about one organisation from its serving table, without Spark.

    Rows are newest first; top-services are by rank, and anomalies with --top by impact. DATE is YYYY-MM-DD, for
    revenue also YYYY-MM.
    """
    from cloud_analytics.serving import queries

    asked = queries.request(question, org, since, until, top)
    if explain:
        click.echo(queries.explain(asked))
        return
    from cloud_analytics.config import load
    from cloud_analytics.insight import answers
    from cloud_analytics.serving.target import open_session

    config = load(conf)
    progress = Console(stderr=True)
    with (
        progress.status("asking Cassandra") if progress.is_terminal else nullcontext(),
        open_session(config, lake or config.pipeline.lake, serving) as session,
    ):
        answer = queries.answer(session, asked)
    if output == "json":
        click.echo(answers.as_json(answer))
    elif output == "csv":
        click.echo(answers.as_csv(answer), nl=False)
    else:
        answers.print_table(answer, Console(highlight=False, width=None if sys.stdout.isatty() else 10_000))


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else 110)


def _print_outcome(outcome: Outcome) -> None:
    if not outcome.changed:
        click.echo("Nothing new: every zone is as it was.")
        return
    parts = []
    if outcome.snapshots:
        parts.append(f"{len(outcome.snapshots)} master snapshots")
    if outcome.batches:
        rows, files = sum(b.input_rows for b in outcome.batches), sum(b.files for b in outcome.batches)
        parts.append(f"{rows:,} event lines of {files} files")
    if outcome.silver_masters or outcome.silver_dates:
        parts.append(f"Silver: {len(outcome.silver_masters)} masters, {len(outcome.silver_dates)} dates")
    if outcome.gold:
        parts.append(f"Gold: {sum(outcome.gold.values())} partitions of {len(outcome.gold)} marts")
    if outcome.served:
        parts.append(f"served: {sum(outcome.served.values()):,} rows of {len(outcome.served)} tables")
    click.echo("Done: " + "; ".join(parts) + ".")


def _print_audit(result: Audit) -> None:
    table = Table(title="Audit: landing = silver + quarantine", title_justify="left")
    table.add_column("source")
    for name in ("landing", "silver", "quarantine"):
        table.add_column(name, justify="right")
    table.add_column("rejected as")
    table.add_column("balanced")
    for name, source in result.sources.items():
        reasons = ", ".join(f"{kind} {count:,}" for kind, count in source.quarantine.items())
        rejected = sum(source.quarantine.values())
        verdict = "yes" if source.balanced else "[red]NO[/red]"
        table.add_row(name, f"{source.landing:,}", f"{source.silver:,}", f"{rejected:,}", reasons, verdict)
    _console().print(table)


def main() -> None:
    """Entry point: errors that people cause or can mend are one line, without a traceback."""
    debug = bool(os.environ.get("CLOUD_ANALYTICS_DEBUG"))
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        sys.exit(2)
    except CloudAnalyticsError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if debug:
            raise
        line = next((text for text in str(error).splitlines() if text.strip()), type(error).__name__)
        click.echo(
            f"error: {type(error).__name__}: {line[:300]} (set CLOUD_ANALYTICS_DEBUG=1 for the traceback)", err=True
        )
        sys.exit(1)
