"""Commands about the quality of the data: audit, rules, and quarantine list, show and replay."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from cloud_analytics.cli.manners import Group, command, emit, say
from cloud_analytics.cli.options import Places, open_lake, open_pipeline, options, print_table

if TYPE_CHECKING:
    from cloud_analytics.pipeline import Pipeline
    from cloud_analytics.reading.audit import Audit
    from cloud_analytics.reading.quarantine import Selection
    from cloud_analytics.replay import Replay

logger = logging.getLogger(__name__)


@command(
    "cloud-analytics audit",
    "cloud-analytics audit --format json",
    fails="a line of some source is unaccounted for, a closed month and its restatements do not add up, or others"
    " changed files of the lake",
)
@options("landing", "lake", "conf")
def audit(places: Places) -> None:
    """Check the conservation law: landing lines = Silver rows + quarantined rows, for every source.

    For months that finance has closed, also check: figures as closed + restatements = what Silver holds.
    """
    with open_lake(places, needs=("landing", "lake")) as (zones, landing):
        from cloud_analytics.reading import audit as reading

        result = reading.audit(zones, landing, places.config)
    emit(audit_line(result), result.as_json(), lambda: print_audit(result), failed=not result.holds)


@command("cloud-analytics rules", "cloud-analytics rules --source usage_events --format json")
@click.option("--source", metavar="SOURCE", help="Only the rules of one source.")
@options("lake", "conf")
def rules(places: Places, source: str | None) -> None:
    """List every quality rule: severity, message, and how many records of this lake break it."""
    from cloud_analytics.reading.quarantine import check_source

    check_source(source)
    with open_lake(places, needs=()) as (zones, _):
        from cloud_analytics.reading.quarantine import catalogue

        found = [rule for rule in catalogue(zones, places.config) if source in (None, rule["source"])]
    broken = sum(1 for rule in found if rule["records"])
    line = f"{len(found)} rules; records of this lake break {broken} of them."
    rows = []
    for rule in found:
        records = f"{rule['records']:,}" if rule["records"] else ""
        rows.append((rule["source"], rule["id"], rule["severity"], records, rule["message"]))
    title, columns = "Rules, in the order of precedence", ("source", "rule", "severity", "records", "broken when")
    emit(line, {"rules": found}, lambda: print_table(title, columns, rows, right=("records",)))


def audit_pipeline(pipeline: Pipeline) -> Audit:
    """Audit the lake and the landing folder of a pipeline, after its steps."""
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
    if result.changed:
        return _changed_line(result)
    whole = result.together
    return f"Balanced: {whole.landing:,} lines = {whole.silver:,} in Silver + {whole.rejected:,} in quarantine."


def _changed_line(result: Audit) -> str:
    from cloud_analytics.reading.lake import REMEDY_FOR_CHANGES, changes

    return f"NOT as the pipeline left it: others changed {changes(result.changed)}; {REMEDY_FOR_CHANGES}."


def print_audit(result: Audit) -> None:
    """Print one row per source with the reasons of its rejects, then one line per closed month."""
    rows = []
    for name, source in result.sources.items():
        reasons = ", ".join(f"{kind} {count:,}" for kind, count in source.quarantine.items())
        verdict = "yes" if source.balanced else Text("NO", "red")
        rows.append((name, f"{source.landing:,}", f"{source.silver:,}", f"{source.rejected:,}", reasons, verdict))
    figures = ("landing", "silver", "quarantine")
    columns = ("source", *figures, "rejected as", "balanced")
    print_table("Audit: landing = silver + quarantine", columns, rows, right=figures)
    if result.archived:
        say(f"{result.archived:,} event files have left landing: their lines are counted as Bronze holds them.")
    for month in result.closed:
        say(month.words())
    if result.changed:
        say(_changed_line(result))


@click.group(cls=Group, examples=("cloud-analytics quarantine list", "cloud-analytics quarantine replay"))
def quarantine() -> None:
    """Rejected records: list, show, and replay them after a rule or an alias changed."""


def _selecting(command: Callable[..., None]) -> Callable[..., None]:
    """A decorator that adds the options for selecting records, and passes `Places` and a `Selection` to the command."""

    def with_selection(
        places: Places, source: str | None, error_type: str | None, since: str | None, until: str | None, **others: Any
    ) -> None:
        from cloud_analytics.reading.quarantine import select

        command(places, select(places.config, source, error_type, since, until), **others)

    selecting: Callable[..., None] = wraps(command)(with_selection)
    for option in (
        options("lake", "conf"),
        click.option("--to", "until", metavar="DATE", help="Last date, included."),
        click.option(
            "--from", "since", metavar="DATE", help="First date (of the event, else of the ingest), included."
        ),
        click.option("--error-type", metavar="RULE", help="Only records rejected as this."),
        click.option("--source", metavar="SOURCE", help="Only records of one source."),
    ):
        selecting = option(selecting)
    return selecting


@quarantine.command(
    "list",
    examples=("cloud-analytics quarantine list", "cloud-analytics quarantine list --source users --format json"),
)
@_selecting
def _list(places: Places, selection: Selection) -> None:
    """How many records were rejected for which error, and whether a changed rule or alias could accept them."""
    with open_lake(places) as (zones, _):
        from cloud_analytics.reading.quarantine import overview

        groups = overview(zones, selection, places.config)
    total = sum(group["records"] for group in groups)
    title, columns = f"Quarantine: {total:,} records", ("source", "rejected as", "records", "dates", "replay", "why")
    rows = []
    for group in groups:
        dates = " – ".join(dict.fromkeys((group["first_date"], group["last_date"])))
        replay, why = "yes" if group["replayable"] else "no", group["message"] or ""
        rows.append((group["source"], group["error_type"], f"{group['records']:,}", dates, replay, why))
    data = {"groups": groups, "records": total}
    emit(f"{total:,} records in quarantine.", data, lambda: print_table(title, columns, rows, right=("records",)))


@quarantine.command(
    "show",
    examples=(
        "cloud-analytics quarantine show --limit 5",
        "cloud-analytics quarantine show --error-type negative_cost --format json",
    ),
)
@_selecting
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="At most N records.")
def _show(places: Places, selection: Selection, limit: int) -> None:
    """The rejected records as they arrived, each with its file and all its errors."""
    with open_lake(places) as (zones, _):
        from cloud_analytics.reading.quarantine import show

        found = show(zones, selection, places.config, limit)
    emit(f"{len(found):,} records shown.", {"records": found}, lambda: _print_records(found, limit))


def _print_records(found: list[dict[str, Any]], limit: int) -> None:
    for record in found:
        say(f"{record['source']}  {record['date']}  {record['source_file']}", bold=True)
        for error in record["errors"]:
            say(f"  {error['id']}: {error['message'] or 'a rule that is not declared any more'}")
        say(f"  {record['raw']}")
    if not found:
        say("no such records")
    elif len(found) == limit:
        say(f"the first {limit}; --limit shows more, `quarantine list` counts all")


@quarantine.command(
    "replay", examples=("cloud-analytics quarantine replay",), fails="the audit afterwards does not balance"
)
@options("landing", "lake", "conf")
def _replay(places: Places) -> None:
    """Apply the rules to all records again after a rule or an alias changed. Records that pass go to Silver and Gold.

    Runs the same steps as `reconcile`, then the audit.
    """
    with open_pipeline(places) as pipeline:
        from cloud_analytics.replay import replay

        done = replay(pipeline)
        result = audit_pipeline(pipeline)

    def show() -> None:
        _print_replay(done)
        print_audit(result)

    emit(
        f"{_passed(done)} {audit_line(result)}",
        {**done.as_json(), "audit": result.as_json()},
        show,
        failed=not result.holds,
    )


def _passed(done: Replay) -> str:
    if not done.outcome.changed:
        return "Nothing to replay: no rule, alias or master has changed, and no event's date has come, since then."
    gold = sum(done.outcome.gold.values())
    return f"{done.passed:,} quarantined records pass now; {gold:,} partitions of Gold changed with them."


def _print_replay(done: Replay) -> None:
    say(_passed(done))
    if done.outcome.changed:
        rejected = sum(verdict.rejected_now for verdict in done.verdicts)
        if rejected:
            say(f"{rejected:,} records of Silver are rejected now.")
        if done.outcome.gold:
            say("Next: cloud-analytics serve")
    rows = []
    for verdict in done.verdicts:
        passed = f"{verdict.passed:,}" if verdict.replayable else "cannot"
        figures = (f"{verdict.quarantined:,}", passed, f"{verdict.rejected_now:,}")
        rows.append((verdict.source, verdict.error_type, *figures))
    right = ("before", "pass now", "rejected now")
    print_table("Quarantine, judged again", ("source", "rejected as", *right), rows, right)
    broken = sum(verdict.quarantined for verdict in done.verdicts if not verdict.replayable)
    if broken:
        say(
            f"{broken:,} records cannot be replayed: their text itself is broken, and no rule can read it."
            " Correct the file in landing: `run` reads a changed file again."
        )
