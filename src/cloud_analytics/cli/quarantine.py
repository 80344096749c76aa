"""What was rejected, why, and what becomes of it: quarantine list, show, replay."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.table import Table

from cloud_analytics.cli.manners import Group, as_json, command, emit
from cloud_analytics.cli.options import console, open_lake, open_pipeline, options
from cloud_analytics.cli.quality import audit_line, print_audit
from cloud_analytics.untrusted import printable

if TYPE_CHECKING:
    from cloud_analytics.config import Config
    from cloud_analytics.reading.lake import LakeReader
    from cloud_analytics.reading.selection import Selection
    from cloud_analytics.replay import Replay

logger = logging.getLogger(__name__)


@click.group(cls=Group, examples=("cloud-analytics quarantine list", "cloud-analytics quarantine replay"))
def quarantine() -> None:
    """Rejected records: an overview, the records themselves, and their way back after a rule or an alias changed."""


@dataclass(frozen=True)
class _Chosen:
    """Which records of which lake are meant."""

    source: str | None
    error_type: str | None
    since: str | None
    until: str | None
    lake: str | None
    conf: Path | None

    @contextmanager
    def open(self) -> Iterator[tuple[LakeReader, Selection, Config]]:
        """The lake and what is selected of it; what is wrong with the choice is told before it is opened."""
        from cloud_analytics.config import load
        from cloud_analytics.reading.selection import select

        selection = select(load(self.conf), self.source, self.error_type, self.since, self.until)
        with open_lake(self.lake, self.conf) as (lake, _, config):
            yield lake, selection, config


def _choosing(command: Any) -> Any:
    """The options that narrow what is meant; the command gets them as its `_Chosen`."""

    @wraps(command)
    def with_chosen(
        source: str | None,
        error_type: str | None,
        since: str | None,
        until: str | None,
        lake: str | None,
        conf: Path | None,
        **others: Any,
    ) -> None:
        command(_Chosen(source, error_type, since, until, lake, conf), **others)

    for option in (
        options("lake", "conf"),
        click.option("--to", "until", metavar="DATE", help="Last date, included."),
        click.option(
            "--from", "since", metavar="DATE", help="First date (of the event, else of the ingest), included."
        ),
        click.option("--error-type", metavar="RULE", help="Only records rejected as this."),
        click.option("--source", metavar="SOURCE", help="Only records of one source."),
    ):
        with_chosen = option(with_chosen)
    return with_chosen


@command("cloud-analytics quarantine list", "cloud-analytics quarantine list --source users --format json", name="list")
@_choosing
def _list(chosen: _Chosen) -> None:
    """How many records were rejected, as what, and whether another rule or alias could let them pass."""
    with chosen.open() as opened:
        from cloud_analytics.reading.quarantine import overview

        groups = overview(*opened)
    total = sum(group["records"] for group in groups)
    emit(
        lambda: _print_groups(groups, total),
        f"{total:,} records in quarantine.",
        json=lambda: as_json({"groups": groups, "records": total}),
    )


def _print_groups(groups: list[dict[str, Any]], total: int) -> None:
    table = Table(title=f"Quarantine: {total:,} records", title_justify="left")
    for name in ("source", "rejected as"):
        table.add_column(name, overflow="fold")
    table.add_column("records", justify="right")
    for name in ("dates", "replay", "why"):
        table.add_column(name)
    for group in groups:
        dates = " – ".join(dict.fromkeys((group["first_date"], group["last_date"])))
        replay = "yes" if group["replayable"] else "no"
        table.add_row(
            group["source"], group["error_type"], f"{group['records']:,}", dates, replay, escape(group["message"] or "")
        )
    console().print(table)


@command(
    "cloud-analytics quarantine show --limit 5",
    "cloud-analytics quarantine show --error-type negative_cost --format json",
    name="show",
)
@_choosing
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most N records.")
def _show(chosen: _Chosen, limit: int) -> None:
    """The rejected records as they came, each with its file and everything that is wrong with it."""
    with chosen.open() as opened:
        from cloud_analytics.reading.quarantine import show

        found = show(*opened, limit)
    emit(
        lambda: _print_records(found, limit),
        f"{len(found):,} records shown.",
        json=lambda: as_json({"records": found}),
    )


def _print_records(found: list[dict[str, Any]], limit: int) -> None:
    for record in found:
        click.secho(f"{record['source']}  {record['date']}  {printable(record['source_file'])}", bold=True)
        for error in record["errors"]:
            click.echo(f"  {error['id']}: {error['message'] or 'a rule that is not declared any more'}")
        click.echo(f"  {printable(record['raw'])}")
    if not found:
        click.echo("no such records")
    elif len(found) == limit:
        click.echo(f"the first {limit}; --limit shows more, `quarantine list` counts all")


@command("cloud-analytics quarantine replay", fails="the audit afterwards does not balance", name="replay")
@options("landing", "lake", "conf")
def _replay(landing: str | None, lake: str | None, conf: Path | None) -> None:
    """Judge everything again after a rule or an alias changed: records that pass now flow into Silver and Gold.

    The same steps as `reconcile`, then the audit.
    """
    with open_pipeline(landing, lake, conf) as (pipeline, config):
        from cloud_analytics.reading.audit import audit
        from cloud_analytics.reading.lake import LakeReader
        from cloud_analytics.replay import replay

        done = replay(pipeline)
        logger.debug("audit")
        result = audit(LakeReader(pipeline.lake.files), pipeline.lake.reach(pipeline.landing), config)

    def show() -> None:
        _print_replay(done)
        print_audit(result)

    emit(
        show,
        f"{_passed(done)} {audit_line(result)}",
        json=lambda: as_json({**done.as_json(), "audit": result.as_json()}),
    )
    if not result.holds:
        sys.exit(1)


def _passed(done: Replay) -> str:
    if not done.outcome.changed:
        return "Nothing to replay: no rule, alias or master has changed, and no event's date has come, since then."
    gold = sum(done.outcome.gold.values())
    return f"{done.passed:,} quarantined records pass now; {gold:,} partitions of Gold changed with them."


def _print_replay(done: Replay) -> None:
    click.echo(_passed(done))
    if done.outcome.changed:
        rejected = sum(verdict.rejected_now for verdict in done.verdicts)
        if rejected:
            click.echo(f"{rejected:,} records of Silver are rejected now.")
        if done.outcome.gold:
            click.echo("Next: cloud-analytics serve")
    table = Table(title="Quarantine, judged again", title_justify="left")
    for name in ("source", "rejected as"):
        table.add_column(name, overflow="fold")
    for name in ("before", "pass now", "rejected now"):
        table.add_column(name, justify="right")
    for verdict in done.verdicts:
        passed = f"{verdict.passed:,}" if verdict.replayable else "cannot"
        row = (f"{verdict.quarantined:,}", passed, f"{verdict.rejected_now:,}")
        table.add_row(verdict.source, verdict.error_type, *row)
    console().print(table)
    broken = sum(verdict.quarantined for verdict in done.verdicts if not verdict.replayable)
    if broken:
        click.echo(
            f"{broken:,} records cannot be replayed: their text itself is broken, and no rule can read it."
            " Correct the file in landing: `run` reads a changed file again."
        )


for _command in (_list, _show, _replay):
    quarantine.add_command(_command)
