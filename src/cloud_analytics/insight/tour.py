"""The tour of the answers, with which `run` ends: questions about one organisation, and the first rows of each."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from cloud_analytics.insight.answers import print_table
from cloud_analytics.serving.queries import Answer, ask
from cloud_analytics.serving.tables import tables

if TYPE_CHECKING:
    from cassandra.cluster import Session

_ROWS = 3


def tour(session: Session, org: str) -> list[Answer]:
    """The first rows of each answer on the tour: the newest, the highest ranks, the largest impacts."""
    shown = [table for table in tables().values() if table.shown and table.chosen_by == ("org_id",)]
    return [ask(session, table.question, org, top=_ROWS) for table in shown]


def print_tour(answers: list[Answer], console: Console) -> None:
    """Print question by question, each with the command that gives the whole answer."""
    for answer in answers:
        table = answer.request.table
        command = f"cloud-analytics query {table.question} --org {shlex.quote(str(answer.request.org))}"
        console.print(f"\n[bold]{table.asks}[/bold]\n  {escape(command)}", soft_wrap=True)
        print_table(answer, console, table.shown)
