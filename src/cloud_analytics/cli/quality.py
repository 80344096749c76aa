"""What can be trusted: audit, rules."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.table import Table

from cloud_analytics.cli.manners import as_json, command, emit
from cloud_analytics.cli.options import console, open_lake, options

if TYPE_CHECKING:
    from cloud_analytics.reading.audit import Audit


@command(
    "cloud-analytics audit",
    "cloud-analytics audit --format json",
    fails="a line of some source is unaccounted for, or a closed month and its restatements do not add up",
)
@options("landing", "lake", "conf")
def audit(landing: str | None, lake: str | None, conf: Path | None) -> None:
    """The conservation law: landing lines = Silver rows + quarantined rows, for every source.

    Of months that finance has closed also: figures as closed + restatements = what Silver holds.
    """
    with open_lake(lake, conf, landing, needs=("landing", "lake")) as (zones, files, config):
        from cloud_analytics.reading.audit import audit as conduct

        result = conduct(zones, files, config)
    emit(lambda: print_audit(result), audit_line(result), json=lambda: as_json(result.as_json()))
    if not result.holds:
        sys.exit(1)


@command("cloud-analytics rules", "cloud-analytics rules --source usage_events --format json")
@click.option("--source", metavar="SOURCE", help="Only the rules of one source.")
@options("lake", "conf")
def rules(source: str | None, lake: str | None, conf: Path | None) -> None:
    """Every rule of quality: severity, message, and how many records of this lake break it."""
    from cloud_analytics.reading.selection import check_source

    check_source(source)
    with open_lake(lake, conf, needs=()) as (zones, _, config):
        from cloud_analytics.reading.rules import catalogue

        found = [rule for rule in catalogue(zones, config) if source in (None, rule["source"])]
    broken = sum(1 for rule in found if rule["records"])
    emit(
        lambda: _print_rules(found),
        f"{len(found)} rules; records of this lake break {broken} of them.",
        json=lambda: as_json({"rules": found}),
    )


def _print_rules(found: list[dict[str, Any]]) -> None:
    table = Table(title="Rules, in the order of precedence", title_justify="left")
    for name in ("source", "rule", "severity"):
        table.add_column(name, overflow="fold")
    table.add_column("records", justify="right")
    table.add_column("broken when")
    for rule in found:
        count = f"{rule['records']:,}" if rule["records"] else ""
        table.add_row(rule["source"], rule["id"], rule["severity"], count, escape(rule["message"]))
    console().print(table)


def audit_line(result: Audit) -> str:
    """The law in one line."""
    broken = [name for name, source in result.sources.items() if not source.balanced]
    if broken:
        return f"NOT balanced: {', '.join(broken)}."
    apart = [month.words() for month in result.closed if not month.agrees]
    if apart:
        return f"Closed months do NOT add up: {'; '.join(apart)}."
    silver = sum(source.silver for source in result.sources.values())
    rejected = sum(sum(source.quarantine.values()) for source in result.sources.values())
    return f"Balanced: {silver + rejected:,} lines = {silver:,} in Silver + {rejected:,} in quarantine."


def print_audit(result: Audit) -> None:
    """A row a source, with what was rejected and why."""
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
    console().print(table)
    if result.archived:
        click.echo(f"{result.archived:,} event files have left landing: their lines are counted as Bronze holds them.")
    for month in result.closed:
        click.echo(month.words())
