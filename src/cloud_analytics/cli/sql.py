"""Questions that no other command answers: sql."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from cloud_analytics.cli.manners import as_json, command, emit
from cloud_analytics.cli.options import Places, console, expect_csv, open_lake, options, spreadsheet_option
from cloud_analytics.errors import UsageError
from cloud_analytics.untrusted import csv_text, printable


@command(
    'cloud-analytics sql "SELECT service, sum(total_cost_usd) FROM gold.org_daily_usage_by_service GROUP BY service"',
    'cloud-analytics sql "show all tables"',
    'cloud-analytics sql "SELECT * FROM gold.revenue_by_org_month" --format csv',
    formats=("json", "csv"),
)
@click.argument("query")
@spreadsheet_option
@options("lake", "conf")
def sql(places: Places, query: str, spreadsheet: bool) -> None:
    """Ask the lake by one SELECT of DuckDB's SQL, without Spark; nothing can be written.

    The zones are schemas: bronze.usage_events, silver.users, gold.revenue_by_org_month, quarantine.usage_events.
    """
    expect_csv(spreadsheet)
    with open_lake(places) as (zones, _):
        columns, rows = zones.table(query)
    emit(
        f"{len(rows):,} rows.",
        show=lambda: _print_rows(columns, rows),
        json=lambda: as_json({"columns": columns, "rows": _records(columns, rows)}),
        csv=lambda: csv_text(columns, rows, _text, spreadsheet),
    )


def _records(columns: list[str], rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Each row by the names of its columns; UsageError where two have the same one, since one would be lost."""
    again = next((name for at, name in enumerate(columns) if name in columns[:at]), None)
    if again is not None:
        raise UsageError(f"two columns are called {again}: name them with AS")
    return [dict(zip(columns, row)) for row in rows]


def _print_rows(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    table = Table(show_edge=False)
    for at, name in enumerate(columns):
        figures = all(row[at] is None or isinstance(row[at], int | float | Decimal) for row in rows)
        table.add_column(Text(printable(name)), justify="right" if figures else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(_text(value))) for value in row))
    console().print(table)


def _text(value: Any) -> str:
    """The text of a cell: empty for null, JSON for lists, structs and booleans."""
    from cloud_analytics.insight.plain import plain

    if value is None:
        return ""
    return as_json(value) if isinstance(value, bool | list | dict) else str(plain(value))
