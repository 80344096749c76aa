"""Months that finance has closed: period close, reopen, list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from cloud_analytics.cli.manners import Group, as_json, command, emit
from cloud_analytics.cli.options import console, open_lake, open_pipeline, options

if TYPE_CHECKING:
    from cloud_analytics.reading.periods import Overview


@click.group(cls=Group, examples=("cloud-analytics period list", "cloud-analytics period close 2025-07"))
def period() -> None:
    """Months that finance has closed: their figures stay, and what arrives later is restated."""


@command("cloud-analytics period close 2025-07", name="close")
@click.argument("month", metavar="YYYY-MM")
@options("lake", "conf")
def _close(month: str, lake: str | None, conf: Path | None) -> None:
    """Close a month that is over: no figure of it in Gold is replaced any more.

    The lake is settled before. What arrives for the month later goes to Silver, and to gold/restatements as the
    difference; docs/periods.md tells more.
    """
    from cloud_analytics.lake.periods import check_month

    check_month(month)
    with open_pipeline(None, lake, conf, needs=("lake",)) as (pipeline, _):
        closing = pipeline.close(month)
    line = f"{month} is closed: {closing.rows:,} rows of the daily mart, {closing.cost_usd} USD."
    emit(lambda: click.echo(line), line, json=lambda: as_json({"month": month, **vars(closing)}))


@command("cloud-analytics period reopen 2025-07", name="reopen")
@click.argument("month", metavar="YYYY-MM")
@options("lake", "conf")
def _reopen(month: str, lake: str | None, conf: Path | None) -> None:
    """Open the month that was closed last: its figures are built anew, its restatements go."""
    from cloud_analytics.lake.periods import check_month

    check_month(month)
    with open_pipeline(None, lake, conf, needs=("lake",)) as (pipeline, _):
        gold = pipeline.reopen(month).gold
    line = f"{month} is open again; {sum(gold.values()):,} partitions of Gold changed."
    emit(lambda: click.echo(line), line, json=lambda: as_json({"month": month, "gold": gold}))


@command("cloud-analytics period list", "cloud-analytics period list --format json", name="list")
@options("lake", "conf")
def _list(lake: str | None, conf: Path | None) -> None:
    """Every month with usage: open or closed, since when, its cost as closed, what was restated and invoiced since."""
    with open_lake(lake, conf) as (zones, _, config):
        from cloud_analytics.reading.periods import overview

        found = overview(zones, config)
    closed = [month.month for month in found.months if month.closed_at]
    line = f"Closed: {', '.join(closed)}." if closed else "No month is closed."
    emit(lambda: _print(found), line, json=lambda: as_json(found.as_json()))


def _print(found: Overview) -> None:
    table = Table(title="Months with usage", title_justify="left")
    for name in ("month", "state"):
        table.add_column(name)
    for name in ("rows", "cost USD", "restated rows", "restated USD", "sum USD"):
        table.add_column(name, justify="right")
    table.add_column("as in Silver")
    table.add_column("invoiced since USD", justify="right")
    for month in found.months:
        state = f"closed {month.closed_at[:10]}" if month.closed_at else "open"
        cost, restated, clean, invoiced = (
            f"{amount:,.2f}"
            for amount in (month.cost_usd, month.restated_usd, month.clean_usd, month.invoiced_since_usd)
        )
        agrees = "yes" if month.agrees else "[red]NO[/red]"
        rows = (f"{month.rows:,}", cost, f"{month.restated_rows:,}", restated, clean)
        table.add_row(month.month, state, *rows, agrees, invoiced)
    console().print(table)


for _command in (_close, _reopen, _list):
    period.add_command(_command)
