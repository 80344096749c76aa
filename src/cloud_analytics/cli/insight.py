"""Commands that examine the data: profile, lateness, trace (the origin of a figure), validate (assumptions)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click
from rich.markup import escape
from rich.table import Table

from cloud_analytics.cli.manners import command, emit, say
from cloud_analytics.cli.options import Places, console, open_lake, open_pipeline, options, print_table
from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.days import calendar_day
from cloud_analytics.lake.uris import local_folder

if TYPE_CHECKING:
    from cloud_analytics.reading.checks import Check
    from cloud_analytics.reading.profile import SourceProfile
    from cloud_analytics.reading.trace import Place, Trace

logger = logging.getLogger(__name__)

_LATENESS = {
    "batch_id": "micro-batch",
    "files": "files",
    "input_rows": "lines",
    "late_rows": "late",
    "late_share": "late share",
    "p95_lateness_seconds": "p95 lateness (h)",
    "max_lateness_seconds": "max lateness (h)",
    "watermark_would_drop": "a watermark would drop",
    "late_alert": "alert",
}


@command("cloud-analytics profile", "cloud-analytics profile --source users --format json")
@click.option(
    "--source", "sources", multiple=True, type=click.Choice([EVENTS, *MASTERS]), help="Only this source; repeatable."
)
@options("lake", "conf")
def profile(places: Places, sources: tuple[str, ...]) -> None:
    """Profile each source in Silver: nulls, distinct values, ranges, vocabulary, match rates, gaps in the dates."""
    with open_lake(places) as (zones, _):
        from cloud_analytics.reading.profile import profile as examine

        found = examine(zones, places.config, sources or (EVENTS, *MASTERS))
    rows = ", ".join(f"{source} {profiled.rows:,}" for source, profiled in found.items())
    emit(f"Rows of Silver: {rows}.", found, lambda: _print_profile(found))


def _print_profile(found: Mapping[str, SourceProfile]) -> None:
    from cloud_analytics.insight.profile_words import COLUMNS, describe, summary

    for source, profiled in found.items():
        title, figures = f"\n[bold]{source}[/bold]", ("nulls", "distinct")
        print_table(title, COLUMNS, describe(profiled), right=figures, show_edge=False)
        for line in summary(profiled):
            say(f"  {line}")


@command("cloud-analytics lateness", "cloud-analytics lateness --recipe --files-per-trigger 5")
@options("landing", "lake", "conf")
@click.option("--recipe", is_flag=True, help="Run withWatermark + dropDuplicates over landing beside it, and compare.")
@click.option("--files-per-trigger", type=click.IntRange(1, 10**6), default=5, show_default=True, help="Of the recipe.")
def lateness(places: Places, recipe: bool, files_per_trigger: int) -> None:
    """Late data of each micro-batch, and how many events a plain watermark would lose. The pipeline loses none."""
    with open_lake(places) as (zones, _):
        from cloud_analytics.reading.lateness import micro_batches

        batches = micro_batches(zones)
    outcome = None
    if recipe:
        with open_pipeline(places, needs=("landing", "lake")) as pipeline:
            from cloud_analytics.insight.recipe import usual_recipe

            logger.debug("the usual recipe")
            watermark, settings = places.config.pipeline.stream.watermark, places.config.pipeline.landing
            outcome = usual_recipe(pipeline.lake.spark, pipeline.landing, files_per_trigger, watermark, settings)
    found = {"rows": outcome.rows, "kept": outcome.kept, "lost_share": outcome.lost_share} if outcome else None
    lines = [f"{int(batches.late_rows.sum()):,} of {int(batches.input_rows.sum()):,} lines came late; none was lost."]
    if outcome:
        lines.append(
            f"The usual recipe, {files_per_trigger} files a trigger: {outcome.kept:,} of {outcome.rows:,} lines,"
            f" {outcome.lost_share:.1%} lost (true duplicates among them). The pipeline lost none."
        )

    records = batches.to_dict(orient="records")

    def show() -> None:
        first, *figures = _LATENESS.values()
        rows = [[_lateness(name, record[name]) for name in _LATENESS] for record in records]
        print_table("Late data, by micro-batch", (first, *figures), rows, right=figures)
        for line in lines[1:]:
            say(line)

    emit(lines[-1], {"micro_batches": records, "usual_recipe": found}, show)


def _lateness(name: str, value: object) -> str:
    if value is None or value != value:  # NaN: a micro-batch without events
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    number = float(str(value))
    if name.endswith("_seconds"):
        return f"{number / 3600:,.1f}"
    return f"{number:.1%}" if name == "late_share" else f"{number:,.0f}"


@command(
    "cloud-analytics trace --org ORG --date DATE --service SERVICE",
    fails="a figure is not the sum of its events, or of its landing lines",
)
@click.option("--org", required=True, metavar="ORG", help="The organisation's id.")
@click.option("--date", "day", required=True, metavar="DATE", help="UTC date of the usage, YYYY-MM-DD.")
@click.option("--service", required=True, metavar="SERVICE", help="The service.")
@options("landing", "lake", "conf")
def trace(places: Places, org: str, day: str, service: str) -> None:
    """Trace the figures of a row of the daily mart to events, landing files and lines; exit status 1 if they differ."""
    usage_date = calendar_day("--date", day)
    with open_lake(places) as (zones, landing):
        from cloud_analytics.reading.trace import trace as follow

        found = follow(zones, landing, places.config, org, usage_date, service)
    differing = [check.figure for check in found.checks if not check.equal]
    verdict = f"DIFFERS: {', '.join(differing)}." if differing else "every figure is their sum."
    line = f"{org}, {day}, {service}: {len(found.events):,} events; {verdict}"
    emit(line, {**vars(found), "agrees": found.agrees}, lambda: _print_trace(found), failed=not found.agrees)


def _print_trace(found: Trace) -> None:
    title = f"[bold]{escape(f'{found.org_id}, {found.usage_date}, {found.service}')}: events[/bold]"
    place, figures = "landing file: line", ("value", "cost USD")
    rows = []
    for item in found.events:
        event = item.event
        value = "" if event["value"] is None else f"{event['value']:,f}"
        names = (event["event_id"], event["resource_id"], event["metric"])
        rows.append((_words(item.place), *names, value, f"{event['cost_usd']:,f}"))
    print_table(title, (place, "event_id", "resource", "metric", *figures), rows, right=figures, show_edge=False)
    if found.rejected:
        rejects = [(_words(line.place), ", ".join(line.errors), line.event_id or "–") for line in found.rejected]
        title = "\n[bold]Quarantined lines beside them[/bold]"
        print_table(title, (place, "rejected as", "event_id"), rejects, show_edge=False)
    say()
    for check in found.checks:
        lines = "" if check.from_lines is None else f" = {check.from_lines:,f} in the landing lines"
        restated = "" if check.restated is None else f" {check.restated:+,} restated"
        sign = "=" if check.total == check.events else "≠"
        verdict = "ok" if check.equal else "DIFFERS"
        mart, events = ("none" if value is None else f"{value:,}" for value in (check.mart, check.events))
        say(f"  {verdict}  {check.figure}: Gold {mart}{restated} {sign} {events} events{lines}")


def _words(place: Place) -> str:
    """`file: line (note)`, for a table cell."""
    where = place.source_file if place.line is None else f"{place.source_file}: {place.line}"
    return f"{where} ({place.note})" if place.note else where


@command(
    "cloud-analytics validate",
    "cloud-analytics validate --strict --format json",
    fails="with --strict: an assumption or milestone is false",
)
@click.option("--strict", is_flag=True, help="Exit status 1 when one of them is false.")
@options("landing", "lake", "serving", "conf")
def validate(places: Places, strict: bool) -> None:
    """Assumptions A1-A5, milestones M1-M4, figures to distrust F1-F4: verdict, evidence, and consequence."""
    with open_lake(places, needs=("landing", "lake")) as (zones, landing):
        from cloud_analytics.serving.target import embedded_node, open_session
        from cloud_analytics.validation.validate import validate as check

        lake, target = places.lake_folder, places.serving or places.config.pipeline.serving.target
        served = target != "none" and (
            target != "embedded" or (local_folder(lake) is not None and embedded_node(lake).files.has_data)
        )
        ask = (lambda: open_session(places.config, lake, places.serving)) if served else None
        found = check(zones, landing, places.config, ask)
    false = [item.id for item in found if item.verdict.value == "false"]
    line = f"False: {', '.join(false)}." if false else "None of them is false."
    checks = [{**vars(item), "verdict": item.verdict.value} for item in found]
    emit(
        line, {"checks": checks, "false": false}, lambda: _print_validation(found, line), failed=strict and bool(false)
    )


def _print_validation(found: list[Check], line: str) -> None:
    words = {
        "holds": "[green]holds[/green]",
        "false": "[red]FALSE[/red]",
        "not_checked": "[yellow]not checked[/yellow]",
        "informative": "[green]informative[/green]",
        "not_informative": "[yellow]not informative[/yellow]",
    }
    table = Table(title="Assumptions, milestones, figures to distrust", title_justify="left", show_lines=True)
    for name, width in (("", 2), ("statement", 24), ("verdict", 11)):
        table.add_column(name, width=width)
    table.add_column("evidence")
    for check in found:
        evidence = escape(check.evidence)
        if check.verdict.value in ("false", "not_informative"):
            evidence += f"\n[bold]consequence:[/bold] {escape(check.consequence)}"
        table.add_row(check.id, escape(check.statement), words[check.verdict.value], evidence)
    console().print(table)
    say(line)
