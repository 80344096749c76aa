"""Commands that answer questions: `query` reads the serving tables, `sql` the lake."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

import click
from rich.table import Table
from rich.text import Text

from cloud_analytics.cli.manners import as_json, command, emit, manner, progress
from cloud_analytics.cli.options import Places, console, expect_csv, open_lake, options, spreadsheet_option
from cloud_analytics.errors import UsageError
from cloud_analytics.insight.plain import plain
from cloud_analytics.serving import queries
from cloud_analytics.serving.tables import tables
from cloud_analytics.untrusted import csv_text, printable

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _options_of_keys(command: _Command) -> _Command:
    """Add an option for each partition key column that a question needs a value for, except `org_id`."""
    names = {name: table.question for table in tables().values() for name in table.chosen_by if name != "org_id"}
    for name, question in sorted(names.items()):
        option = click.option(queries.option_of(name), name, metavar="TEXT", help=f"For {question}: which {name}.")
        command = option(command)
    return command


@command(
    "cloud-analytics query daily-costs --org ORG --from 2025-08-01 --to 2025-08-31",
    "cloud-analytics query top-services --org ORG --top 3",
    "cloud-analytics query revenue --org ORG --format csv",
    formats=("json", "csv"),
)
@click.argument("question", type=click.Choice([table.question for table in tables().values()]))
@click.option("--org", metavar="ORG", help="The organisation's id, unless the question is about all of them.")
@_options_of_keys
@click.option("--from", "since", metavar="DATE", help="First date or month, included.")
@click.option(
    "--to",
    "until",
    metavar="DATE",
    help="Last date or month, included; of top-services and the like: the date [newest].",
)
@click.option("--top", type=int, metavar="N", help="At most N rows: the newest, highest rank or largest impact.")
@spreadsheet_option
@click.option("--explain", is_flag=True, help="Print the CQL, as cqlsh takes it, instead of running it.")
@options("lake", "serving", "conf")
def query(
    places: Places,
    question: str,
    org: str | None,
    since: str | None,
    until: str | None,
    top: int | None,
    spreadsheet: bool,
    explain: bool,
    **others: str | None,
) -> None:
    """Answer a question from its serving table, without Spark.

    Rows are newest first; top-services are by rank, and anomalies with --top by impact. DATE is YYYY-MM-DD, for
    revenue also YYYY-MM.
    """
    from cloud_analytics.serving.target import keyspace_of, open_session

    expect_csv(spreadsheet)
    asked = queries.request(question, org, since, until, top, **others)
    if explain:
        if manner().output == "csv":
            raise UsageError("--explain prints CQL, which has no rows: leave --format csv out")
        text = queries.explain(asked, keyspace_of(places.config, places.serving))
        emit(text, {"cql": text})
        return
    from cloud_analytics.insight import answers

    with (
        progress("asking Cassandra"),
        open_session(places.config, places.lake_folder, places.serving) as session,
    ):
        answer = queries.answer(session, asked)
    emit(
        f"{asked.about}: {len(answer.rows):,} rows.",
        show=lambda: answers.print_table(answer, console(width=10_000)),
        json=lambda: answers.as_json(answer),
        csv=lambda: answers.as_csv(answer, spreadsheet),
    )


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
    """Query the lake with one SELECT in DuckDB's SQL, without Spark; nothing can be written.

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
    """Rows as dicts by column name. UsageError if two columns have the same name, since one would be lost."""
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
    """The text of a cell: empty for null; JSON for lists, structs and booleans."""
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return as_json(value)
    return str(value if isinstance(value, float) else plain(value))
