"""What the data are and where a figure comes from: profile, trace, validate."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape
from rich.table import Table

from cloud_analytics.cli.manners import as_json, command, emit
from cloud_analytics.cli.options import console, open_lake, options
from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.days import calendar_day
from cloud_analytics.lake.uris import local_folder
from cloud_analytics.untrusted import printable

if TYPE_CHECKING:
    from cloud_analytics.reading.profile import SourceProfile
    from cloud_analytics.reading.trace import Place, Trace
    from cloud_analytics.validation.checks import Validation


@command("cloud-analytics profile", "cloud-analytics profile --source users --format json")
@click.option(
    "--source", "sources", multiple=True, type=click.Choice([EVENTS, *MASTERS]), help="Only this source; repeatable."
)
@options("lake", "conf")
def profile(sources: tuple[str, ...], lake: str | None, conf: Path | None) -> None:
    """Each source as Silver holds it: nulls, distinct values, ranges, vocabulary, match rates, gaps in the dates."""
    with open_lake(lake, conf) as (zones, _, config):
        from cloud_analytics.reading.profile import profile as examine

        found = examine(zones, config, sources or (EVENTS, *MASTERS))
    rows = ", ".join(f"{source} {profiled.rows:,}" for source, profiled in found.items())
    emit(lambda: _print_profile(found), f"Rows of Silver: {rows}.", json=lambda: as_json(found))


def _print_profile(found: Mapping[str, SourceProfile]) -> None:
    from cloud_analytics.insight.profile_words import describe, summary

    for source, profiled in found.items():
        table = Table(title=f"\n[bold]{source}[/bold]", title_justify="left", show_edge=False)
        for name in ("column", "type"):
            table.add_column(name)
        for name in ("nulls", "distinct"):
            table.add_column(name, justify="right")
        table.add_column("range, or words with their rows")
        for row in describe(profiled):
            table.add_row(*(escape(text) for text in row))
        console().print(table)
        for line in summary(profiled):
            click.echo(f"  {printable(line)}")


@command(
    "cloud-analytics trace --org ORG --date DATE --service SERVICE",
    fails="a figure is not the sum of its events, or of its landing lines",
)
@click.option("--org", required=True, metavar="ORG", help="The organisation's id.")
@click.option("--date", "day", required=True, metavar="DATE", help="UTC date of the usage, YYYY-MM-DD.")
@click.option("--service", required=True, metavar="SERVICE", help="The service.")
@options("landing", "lake", "conf")
def trace(org: str, day: str, service: str, landing: str | None, lake: str | None, conf: Path | None) -> None:
    """A figure of the daily mart back to its events, landing files and lines; exit status 1 if they do not add up."""
    usage_date = calendar_day("--date", day)
    with open_lake(lake, conf, landing) as (zones, files, config):
        from cloud_analytics.reading.trace import trace as follow

        found = follow(zones, files, config, org, usage_date, service)
    differing = [check.figure for check in found.checks if not check.equal]
    verdict = f"DIFFERS: {', '.join(differing)}." if differing else "every figure is their sum."
    emit(
        lambda: _print_trace(found),
        f"{org}, {day}, {service}: {len(found.events):,} events; {verdict}",
        json=lambda: as_json({**vars(found), "agrees": found.agrees}),
    )
    if not found.agrees:
        sys.exit(1)


def _print_trace(found: Trace) -> None:
    title = f"{found.org_id}, {found.usage_date}, {found.service}"
    events = Table(title=f"[bold]{escape(title)}: events[/bold]", title_justify="left", show_edge=False)
    for name in ("landing file: line", "event_id", "resource", "metric"):
        events.add_column(name)
    for name in ("value", "cost USD"):
        events.add_column(name, justify="right")
    for item in found.events:
        event = item.event
        value = "" if event["value"] is None else f"{event['value']:,f}"
        words = (_where(item.place), event["event_id"], event["resource_id"], event["metric"])
        events.add_row(*map(escape, words), value, f"{event['cost_usd']:,f}")
    console().print(events)
    if found.rejected:
        rejected = Table(title="\n[bold]Quarantined lines beside them[/bold]", title_justify="left", show_edge=False)
        for name in ("landing file: line", "rejected as", "event_id"):
            rejected.add_column(name)
        for line in found.rejected:
            rejected.add_row(*map(escape, (_where(line.place), ", ".join(line.errors), line.event_id or "–")))
        console().print(rejected)
    click.echo()
    for check in found.checks:
        lines = "" if check.from_lines is None else f" = {check.from_lines:,f} in the landing lines"
        restated = "" if check.restated is None else f" {check.restated:+,} restated"
        sign = "=" if check.told == check.events else "≠"
        verdict = "ok" if check.equal else "DIFFERS"
        click.echo(
            f"  {verdict}  {check.figure}: Gold {_figure(check.mart)}{restated} {sign} {_figure(check.events)} events"
            f"{lines}"
        )


def _where(place: Place) -> str:
    where = place.source_file if place.line is None else f"{place.source_file}: {place.line}"
    return f"{where} ({place.note})" if place.note else where


def _figure(value: object) -> str:
    return "none" if value is None else f"{value:,}"


@command(
    "cloud-analytics validate",
    "cloud-analytics validate --strict --format json",
    fails="with --strict: an assumption or milestone is false",
)
@click.option("--strict", is_flag=True, help="Exit status 1 when one of them is false.")
@options("landing", "lake", "serving", "conf")
def validate(strict: bool, landing: str | None, lake: str | None, serving: str | None, conf: Path | None) -> None:
    """Assumptions A1-A5, milestones M1-M4, figures to distrust F1-F4: verdict, evidence, and consequence."""
    with open_lake(lake, conf, landing, needs=("landing", "lake")) as (zones, files, config):
        from cloud_analytics.serving.target import embedded_node, open_session
        from cloud_analytics.validation.validate import validate as check

        folder = lake or config.pipeline.lake
        target = serving or config.pipeline.serving.target
        served = target != "none" and (
            target != "embedded" or (local_folder(folder) is not None and embedded_node(folder).has_data)
        )
        ask = (lambda: open_session(config, folder, serving)) if served else None
        found = check(zones, files, config, ask)
    line = f"False: {', '.join(found.false)}." if found.false else "None of them is false."
    checks = [{**vars(item), "verdict": item.verdict.value} for item in found.checks]
    emit(lambda: _print_validation(found, line), line, json=lambda: as_json({"checks": checks, "false": found.false}))
    if strict and found.false:
        sys.exit(1)


def _print_validation(found: Validation, line: str) -> None:
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
    for check in found.checks:
        evidence = escape(check.evidence)
        if check.verdict.value in ("false", "not_informative"):
            evidence += f"\n[bold]consequence:[/bold] {escape(check.consequence)}"
        table.add_row(check.id, escape(check.statement), words[check.verdict.value], evidence)
    console().print(table)
    click.echo(line)
