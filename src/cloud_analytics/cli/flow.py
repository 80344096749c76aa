"""The steps of the pipeline: run, bronze, silver, gold, serve, stream, reconcile."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cloud_analytics.cli.manners import Command, command, emit, say
from cloud_analytics.cli.options import Places, console, open_pipeline, options, print_table
from cloud_analytics.cli.quality import audit_line, audit_pipeline, print_audit
from cloud_analytics.cli.signals import asked_to_stop
from cloud_analytics.days import parse_duration
from cloud_analytics.errors import UsageError
from cloud_analytics.serving.tables import tables
from cloud_analytics.tables.cql import schema_text

if TYPE_CHECKING:
    from cloud_analytics.pipeline import Outcome
    from cloud_analytics.reading.served import Comparison
    from cloud_analytics.serving.loader import Plan

logger = logging.getLogger(__name__)
_BUDGETS_SHOWN = 10


@command(
    "cloud-analytics run",
    "cloud-analytics run --serving none --format json",
    fails="the audit does not balance, or the serving store stayed away",
)
@options("landing", "lake", "serving", "conf")
def run(places: Places) -> None:
    """Run everything: landing to Gold to the serving tables, then the audit and the headline figures.

    If nothing is new, the command changes nothing. So it may be repeated after a crash, or run on a schedule.
    """
    with open_pipeline(places) as pipeline:
        from cloud_analytics.insight.answers import print_tour, tour
        from cloud_analytics.reading.flow import headline
        from cloud_analytics.reading.forecasts import budget_alerts
        from cloud_analytics.reading.lake import LakeReader

        outcome = pipeline.run()
        result = audit_pipeline(pipeline)
        zones = LakeReader(pipeline.lake.files)
        found, budgets = headline(zones), budget_alerts(zones)
        answers = []
        if pipeline.target is not None and found.top_org is not None:
            with pipeline.target.session() as session:
                answers = tour(session, found.top_org)

    def show() -> None:
        say(_line(outcome))
        print_audit(result)
        print_table("Headline figures", ("figure", "value"), found.figures, right=("value",))
        print_tour(answers, console())
        for alert in budgets[:_BUDGETS_SHOWN]:
            say(f"BUDGET {alert.words()}")
        if len(budgets) > _BUDGETS_SHOWN:
            say(f"BUDGET {len(budgets) - _BUDGETS_SHOWN} more are used up or will be: cloud-analytics report")
        say(f"\nGold lies in {pipeline.lake.root}/gold (plain Parquet). Next: cloud-analytics audit --format json")

    data = {
        **_data(outcome),
        "audit": result.as_json(),
        "headline": dict(found.figures),
        "budget_alerts": [{**vars(alert), "used_up": alert.used_up} for alert in budgets],
    }
    emit(f"{_line(outcome)} {audit_line(result)}", data, show, failed=not result.holds)


def _zone(name: str, text: str) -> Command:
    @options("landing", "lake", "conf")
    def step(places: Places) -> None:
        with open_pipeline(places) as pipeline:
            outcome = getattr(pipeline, name)()
        _emit_outcome(outcome)

    step.__name__, step.__doc__ = name, text
    return command(f"cloud-analytics {name}", f"cloud-analytics {name} --format json")(step)


bronze = _zone("bronze", "Landing to Bronze: new master snapshots and new event files.")
silver = _zone("silver", "Bronze to Silver: the dates and masters that changed.")
gold = _zone("gold", "Silver to Gold: what depends on the dates and masters that changed.")


@command("cloud-analytics reconcile", "cloud-analytics reconcile --compact")
@options("landing", "lake", "conf")
@click.option("--compact", is_flag=True, help="First merge Bronze's small files of finished dates.")
def reconcile(places: Places, compact: bool) -> None:
    """The batch layer: ingest changed masters, rebuild Silver and Gold from all of Bronze, and print what changed."""
    with open_pipeline(places) as pipeline:
        outcome = pipeline.reconcile(compact)
    lines = []
    for table, rows in outcome.row_changes.items():
        verdict = f"{rows.added:,} rows added, {rows.removed:,} removed, {rows.changed:,} changed" if rows else "no row"
        lines.append(f"{table}: {verdict}{'' if rows else ' changed'}")
    _emit_outcome(outcome, lines)


@command(
    "cloud-analytics serve",
    "cloud-analytics serve --check",
    "cloud-analytics serve --dry-run",
    "cloud-analytics serve --schema",
    fails="a table differs from its mart (--check), or the serving store stayed away",
)
@options("lake", "serving", "conf")
@click.option("--check", is_flag=True, help="Then compare every table with its mart, row by row.")
@click.option("--dry-run", is_flag=True, help="Show what a load would write, and stop.")
@click.option("--schema", is_flag=True, help="Print the CQL of the serving tables, and stop.")
@click.option("--take-over", is_flag=True, help="Replace what another lake has loaded into the keyspace.")
def serve(places: Places, check: bool, dry_run: bool, schema: bool, take_over: bool) -> None:
    """Load Gold into the serving tables: the partitions that changed since the last load."""
    if schema:
        text = schema_text(tables().values())
        emit(text, {"cql": text})
        return
    if check and dry_run:
        raise UsageError("--dry-run loads nothing that --check could compare: give one of them")
    with open_pipeline(places, needs=("lake",), take_over=take_over) as pipeline:
        if pipeline.target is None:
            raise UsageError("the serving target is `none`: choose another one with --serving")
        if dry_run:
            from cloud_analytics.reading.served import plan

            _emit_plan(plan(pipeline.lake, pipeline.target))
            return
        outcome = pipeline.serve()
        comparisons = []
        if check:
            from cloud_analytics.reading.lake import LakeReader
            from cloud_analytics.reading.served import compare

            logger.debug("comparing the tables with Gold")
            with pipeline.target.session() as session:
                comparisons = compare(LakeReader(pipeline.lake.files), session)
    compared = {"tables": [{**vars(found), "equal": found.equal} for found in comparisons]} if check else {}
    differs = not all(found.equal for found in comparisons)
    _emit_outcome(outcome, [_verdict(found) for found in comparisons], differs, **compared)


@command(
    "cloud-analytics stream",
    'cloud-analytics stream --follow --trigger "30 seconds"',
    fails="the serving store stayed away (without --follow)",
)
@options("landing", "lake", "serving", "conf")
@click.option("--follow", is_flag=True, help="Keep watching the landing folder until interrupted.")
@click.option("--trigger", default="30 seconds", show_default=True, help="With --follow: time between micro-batches.")
def stream(places: Places, follow: bool, trigger: str) -> None:
    """The speed layer: each micro-batch updates Bronze, then its dates in Silver and Gold, then the serving tables."""
    try:
        interval = parse_duration(trigger)
    except ValueError as error:
        raise UsageError(f"--trigger {trigger!r}: {error}") from None
    with open_pipeline(places) as pipeline:
        if follow:
            with asked_to_stop() as stop:
                outcome = pipeline.follow(interval, stop)
        else:
            outcome = pipeline.stream()
    _emit_outcome(outcome)


def _emit_plan(plan: Plan) -> None:
    line = plan.line()

    def show() -> None:
        figures = ("partitions", "rows", "deletions")
        rows = [(part.table, f"{part.partitions:,}", f"{part.rows:,}", f"{part.deletions:,}") for part in plan.tables]
        print_table("What a load would write", ("table", *figures), rows, right=figures)
        say(line)

    emit(line, {**vars(plan), "writes": plan.writes}, show)


def _verdict(found: Comparison) -> str:
    verdict = "equal" if found.equal else f"DIFFER: {found.only_served} only served, {found.only_gold} only in Gold"
    return f"{found.table}: {found.rows:,} rows, gold/{found.mart}: {found.gold_rows:,} rows: {verdict}"


def _emit_outcome(outcome: Outcome, details: Sequence[str] = (), failed: bool = False, **more: object) -> None:
    """Print the outcome of a command, with `details` in the text for people and `more` in the JSON for scripts."""
    line = _line(outcome)
    emit(line, {**_data(outcome), **more}, lambda: say("\n".join([line, *details])), failed)


def _data(outcome: Outcome) -> dict[str, object]:
    return {"changed": outcome.changed, **vars(outcome)}


def _line(outcome: Outcome) -> str:
    """The outcome of a command as one line."""
    if not outcome.changed:
        return "Nothing new: every zone is as it was."
    parts = []
    if outcome.snapshots:
        parts.append(f"{len(outcome.snapshots)} master snapshots")
    if outcome.batches:
        rows, files = sum(b.input_rows for b in outcome.batches), sum(b.files for b in outcome.batches)
        parts.append(f"{rows:,} event lines of {files} files")
    if outcome.compaction:
        done = outcome.compaction
        parts.append(f"{done.dates} dates compacted, {done.files_before} files into {done.files_after}")
    if outcome.silver_masters or outcome.silver_dates:
        parts.append(f"Silver: {len(outcome.silver_masters)} masters, {len(outcome.silver_dates)} dates")
    if outcome.gold:
        parts.append(f"Gold: {sum(outcome.gold.values())} partitions of {len(outcome.gold)} marts")
    if outcome.served:
        parts.append(f"served: {sum(outcome.served.values()):,} rows of {len(outcome.served)} tables")
    return "Done: " + "; ".join(parts) + "."
