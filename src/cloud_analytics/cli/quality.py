"""Whether the data can be trusted: audit, rules."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from cloud_analytics.cli.manners import command, emit, say
from cloud_analytics.cli.options import Places, open_lake, options, print_table

if TYPE_CHECKING:
    from cloud_analytics.pipeline import Pipeline
    from cloud_analytics.reading.audit import Audit

logger = logging.getLogger(__name__)


@command(
    "cloud-analytics audit",
    "cloud-analytics audit --format json",
    fails="a line of some source is unaccounted for, or a closed month and its restatements do not add up",
)
@options("landing", "lake", "conf")
def audit(places: Places) -> None:
    """The conservation law: landing lines = Silver rows + quarantined rows, for every source.

    Of months that finance has closed also: figures as closed + restatements = what Silver holds.
    """
    with open_lake(places, needs=("landing", "lake")) as (zones, landing):
        from cloud_analytics.reading import audit as reading

        result = reading.audit(zones, landing, places.config)
    emit(audit_line(result), result.as_json(), lambda: print_audit(result))
    if not result.holds:
        sys.exit(1)


@command("cloud-analytics rules", "cloud-analytics rules --source usage_events --format json")
@click.option("--source", metavar="SOURCE", help="Only the rules of one source.")
@options("lake", "conf")
def rules(places: Places, source: str | None) -> None:
    """Every rule of quality: severity, message, and how many records of this lake break it."""
    from cloud_analytics.reading.quarantine import check_source

    check_source(source)
    with open_lake(places, needs=()) as (zones, _):
        from cloud_analytics.reading.rules import catalogue

        found = [rule for rule in catalogue(zones, places.config) if source in (None, rule["source"])]
    broken = sum(1 for rule in found if rule["records"])
    line = f"{len(found)} rules; records of this lake break {broken} of them."
    emit(line, {"rules": found}, lambda: _print_rules(found))


def _print_rules(found: list[dict[str, Any]]) -> None:
    rows = []
    for rule in found:
        records = f"{rule['records']:,}" if rule["records"] else ""
        rows.append((rule["source"], rule["id"], rule["severity"], records, escape(rule["message"])))
    columns = ("source", "rule", "severity", "records", "broken when")
    print_table("Rules, in the order of precedence", columns, rows, right=("records",))


def audit_pipeline(pipeline: Pipeline) -> Audit:
    """The audit of the lake and the landing folder of a pipeline, after its steps."""
    from cloud_analytics.reading.audit import audit
    from cloud_analytics.reading.lake import LakeReader

    logger.debug("audit")
    return audit(LakeReader(pipeline.lake.files), pipeline.lake.reach(pipeline.landing), pipeline.config)


def audit_line(result: Audit) -> str:
    """The result of the audit in one line."""
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
    """Print one row per source with the reasons of its rejects, then one line per closed month."""
    rows = []
    for name, source in result.sources.items():
        reasons = escape(", ".join(f"{kind} {count:,}" for kind, count in source.quarantine.items()))
        rejected = sum(source.quarantine.values())
        verdict = "yes" if source.balanced else "[red]NO[/red]"
        rows.append((name, f"{source.landing:,}", f"{source.silver:,}", f"{rejected:,}", reasons, verdict))
    figures = ("landing", "silver", "quarantine")
    columns = ("source", *figures, "rejected as", "balanced")
    print_table("Audit: landing = silver + quarantine", columns, rows, right=figures)
    if result.archived:
        say(f"{result.archived:,} event files have left landing: their lines are counted as Bronze holds them.")
    for month in result.closed:
        say(month.words())
