"""Months that finance has closed: period close, reopen, list."""

from __future__ import annotations

import click
from rich.text import Text

from cloud_analytics.cli.manners import Group, emit
from cloud_analytics.cli.options import Places, open_lake, open_pipeline, options, print_table
from cloud_analytics.days import check_month


@click.group(cls=Group, examples=("cloud-analytics period list", "cloud-analytics period close 2025-07"))
def period() -> None:
    """Months that finance has closed: their figures stay, and later changes are restated."""


@period.command("close", examples=("cloud-analytics period close 2025-07",))
@click.argument("month", metavar="YYYY-MM")
@options("lake", "conf")
def _close(places: Places, month: str) -> None:
    """Close a month that is over: none of its figures in Gold is replaced any more.

    Before that, Silver and Gold are brought up to date. Later data of the month go to Silver, and the differences go to
    gold/restatements; see docs/periods.md.
    """
    check_month(month)
    with open_pipeline(places, needs=("lake",)) as pipeline:
        closing = pipeline.close(month)
    line = f"{month} is closed: {closing.rows:,} rows of the daily mart, {closing.cost_usd} USD."
    emit(line, {"month": month, **vars(closing)})


@period.command("reopen", examples=("cloud-analytics period reopen 2025-07",))
@click.argument("month", metavar="YYYY-MM")
@options("lake", "conf")
def _reopen(places: Places, month: str) -> None:
    """Reopen the month that was closed last: rebuild its figures and remove its restatements."""
    check_month(month)
    with open_pipeline(places, needs=("lake",)) as pipeline:
        gold = pipeline.reopen(month).gold
    emit(f"{month} is open again; {sum(gold.values()):,} partitions of Gold changed.", {"month": month, "gold": gold})


@period.command("list", examples=("cloud-analytics period list", "cloud-analytics period list --format json"))
@options("lake", "conf")
def _list(places: Places) -> None:
    """List every month with usage: open or closed, since when, its cost at closing, later restatements and invoices."""
    with open_lake(places) as (zones, _):
        from cloud_analytics.reading.periods import overview

        found = overview(zones, places.config)
    closed = [month.month for month in found.months if month.closed_at]
    line = f"Closed: {', '.join(closed)}." if closed else "No month is closed."
    rows = []
    for month in found.months:
        state = f"closed {month.closed_at[:10]}" if month.closed_at else "open"
        cost, restated, clean, invoiced = (
            f"{amount:,.2f}"
            for amount in (month.cost_usd, month.restated_usd, month.clean_usd, month.invoiced_since_usd)
        )
        agrees = "yes" if month.agrees else Text("NO", "red")
        figures = (f"{month.rows:,}", cost, f"{month.restated_rows:,}", restated, clean)
        rows.append((month.month, state, *figures, agrees, invoiced))
    right = ("rows", "cost USD", "restated rows", "restated USD", "sum USD", "invoiced since USD")
    columns = ("month", "state", *right[:-1], "as in Silver", right[-1])
    emit(line, found.as_json(), lambda: print_table("Months with usage", columns, rows, right))
