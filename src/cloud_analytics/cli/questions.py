"""Questions that the serving tables answer: query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from cloud_analytics.cli.manners import command, emit, manner, progress
from cloud_analytics.cli.options import Places, console, expect_csv, options, spreadsheet_option
from cloud_analytics.errors import UsageError
from cloud_analytics.serving.queries import option_of
from cloud_analytics.serving.tables import tables

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _options_of_keys(command: _Command) -> _Command:
    """Add an option for each column of a partition key whose value a question names, `org_id` apart."""
    names = {name: table.question for table in tables().values() for name in table.chosen_by if name != "org_id"}
    for name, question in sorted(names.items()):
        command = click.option(option_of(name), name, metavar="TEXT", help=f"For {question}: which {name}.")(command)
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
    from cloud_analytics.serving import queries
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
