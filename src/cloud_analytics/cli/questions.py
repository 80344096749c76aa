"""What people ask: query."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import click
from rich.console import Console

from cloud_analytics.cli.options import options
from cloud_analytics.serving.tables import tables


@click.command()
@click.argument("question", type=click.Choice([table.query for table in tables().values()]))
@click.option("--org", required=True, metavar="ORG", help="The organisation's id.")
@click.option("--from", "since", metavar="DATE", help="First date (revenue: month), included. Not for top-services.")
@click.option("--to", "until", metavar="DATE", help="Last date, included; for top-services the date [default: newest].")
@click.option("--top", type=int, metavar="N", help="At most N rows: the newest, highest rank or largest impact.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    help="A table for people, rounded; JSON and CSV keep every digit.",
)
@click.option("--explain", is_flag=True, help="Print the CQL, as cqlsh takes it, instead of running it.")
@options("lake", "serving", "conf")
def query(
    question: str,
    org: str,
    since: str | None,
    until: str | None,
    top: int | None,
    output: str,
    explain: bool,
    lake: str | None,
    serving: str | None,
    conf: Path | None,
) -> None:
    """Answer a question about one organisation from its serving table, without Spark.

    Rows are newest first; top-services are by rank, and anomalies with --top by impact. DATE is YYYY-MM-DD, for
    revenue also YYYY-MM.
    """
    from cloud_analytics.config import load
    from cloud_analytics.serving import queries
    from cloud_analytics.serving.target import keyspace_of, open_session

    asked = queries.request(question, org, since, until, top)
    config = load(conf)
    if explain:
        click.echo(queries.explain(asked, keyspace_of(config, serving)))
        return
    from cloud_analytics.insight import answers

    progress = Console(stderr=True)

    def say(line: str) -> None:
        if line.startswith("warning:"):
            progress.print(line, highlight=False, markup=False, soft_wrap=True, style="yellow")

    with (
        progress.status("asking Cassandra") if progress.is_terminal else nullcontext(),
        open_session(config, lake or config.pipeline.lake, serving, say) as session,
    ):
        answer = queries.answer(session, asked)
    if output == "json":
        click.echo(answers.as_json(answer))
    elif output == "csv":
        click.echo(answers.as_csv(answer), nl=False)
    else:
        answers.print_table(answer, Console(highlight=False, width=None if sys.stdout.isatty() else 10_000))
