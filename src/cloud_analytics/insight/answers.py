"""Answers for people (a table), for scripts (JSON) and for spreadsheets (CSV).

The table rounds numbers for people. JSON and CSV lose nothing: they write every number with all its stored digits and
never as 1E+3. A script that needs more than 15 digits has to parse decimals (`parse_float=Decimal`).
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from cloud_analytics.insight import alerts
from cloud_analytics.insight.plain import plain
from cloud_analytics.serving.queries import Answer, Request, ask
from cloud_analytics.serving.tables import tables
from cloud_analytics.tables import Unit
from cloud_analytics.tables.columns import COUNT
from cloud_analytics.untrusted import csv_text, printable

if TYPE_CHECKING:
    from cassandra.cluster import Session

_TOUR_ROWS = 3
_HEADER_WIDTH = 10  # longer headings are wrapped
_SHORT = {"pct": "%", "hours": "h"}  # words in column names → the same words in units
_SENTENCE_WIDTH = 22  # least width of a wrapped reason


def as_json(answer: Answer) -> str:
    """`{"question", "table", "org_id", "columns": [{"name", "type", "unit"}], "rows": [{…}]}`, with one line per row.

    Numbers are JSON numbers, dates are ISO strings, and unknown or non-finite values are null.
    """
    asked = answer.request
    columns = [
        {"name": name, "type": column.cql_type, "unit": column.unit.name if column.unit else None}
        for name, column in asked.table.declared.items()
    ]
    head = {
        "question": asked.table.question,
        "table": asked.table.name,
        "org_id": asked.org,
        **asked.chosen,
        "columns": columns,
    }
    rows = ",\n  ".join(
        "{" + ", ".join(f"{json.dumps(name)}: {_json_value(row[name])}" for name in answer.columns) + "}"
        for row in answer.rows
    )
    # The json module cannot write a Decimal with all its digits, so the rows are appended as text.
    return f'{json.dumps(head)[:-1]}, "rows": [' + (f"\n  {rows}\n" if rows else "") + "]}"


def as_csv(answer: Answer, spreadsheet: bool = False) -> str:
    """CSV by RFC 4180, with a header of column names and `\\n` line ends; unknown values are empty.

    With `spreadsheet`, texts that begin like a formula get an apostrophe in front; numbers stay as they are.
    """
    rows = ([row[name] for name in answer.columns] for row in answer.rows)
    return csv_text(answer.columns, rows, _plain, spreadsheet)


def print_table(answer: Answer, console: Console, columns: Sequence[str] = ()) -> None:
    """Print a table with units under the headings. With `columns`, print only these columns, without a title.

    If the console is too narrow, columns are left out, first those that the tour does not show, and named below.
    """
    asked = answer.request
    if not answer.rows:
        about = " ".join(asked.chosen.values()) or asked.table.question
        console.print(f"no rows for {about}{_range(asked)}", markup=False, soft_wrap=True)
        return
    known = {*asked.chosen, *([asked.table.bucket_column.name] if asked.table.bucket_column else [])}
    shown = list(columns) or [name for name in answer.columns if name not in known]
    if asked.table.mart == alerts.MART and not columns:  # `reason` is not a column of the serving table
        answer = replace(answer, rows=[{**row, "reason": alerts.reason(row)} for row in answer.rows])
        shown.insert(shown.index("impact_pct"), "reason")
    title = None if columns else asked.about
    whole = list(shown)
    while _width(table := _table(answer, shown, title, console), console) > console.width and len(shown) > 1:
        shown.remove(([name for name in shown if name not in asked.table.shown] or shown)[-1])
    console.print(table)
    if hidden := [name for name in whole if name not in shown]:
        note = f"too narrow for {', '.join(hidden)}: see --format csv or json"
        console.print(note, markup=False, soft_wrap=True)


def tour(session: Session, org: str) -> list[Answer]:
    """The answers that `run` prints at its end: the first rows (newest, highest, largest) for one organisation."""
    shown = [table for table in tables().values() if table.shown and table.chosen_by == ("org_id",)]
    return [ask(session, table.question, org, top=_TOUR_ROWS) for table in shown]


def print_tour(answers: list[Answer], console: Console) -> None:
    """Print each answer with its question and the command that prints the whole answer."""
    for answer in answers:
        table = answer.request.table
        command = f"cloud-analytics query {table.question} --org {shlex.quote(str(answer.request.org))}"
        console.print(f"\n[bold]{table.asks}[/bold]\n  {escape(command)}", soft_wrap=True)
        print_table(answer, console, table.shown)


def _table(answer: Answer, names: list[str], title: str | None, console: Console) -> Table:
    table = Table(
        title=Text(printable(title)) if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
    )
    declared = answer.request.table.declared  # does not contain `reason`
    units = {name: declared[name].unit if name in declared else None for name in names}
    for name, found in units.items():
        parts = [
            wrap(printable(text), _HEADER_WIDTH, break_long_words=False, break_on_hyphens=False)
            for text in heading(name, found)
        ]
        header = Text("\n".join(line for part in parts for line in part))
        wraps = name == "reason"
        width = max(_SENTENCE_WIDTH, console.width // 4) if wraps else None
        table.add_column(header, justify="right" if found else "left", no_wrap=not wraps, max_width=width)
    for row in answer.rows:
        table.add_row(*(Text(printable(readable(units[name], row[name]))) for name in names))
    return table


def _width(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def heading(name: str, unit: Unit | None) -> tuple[str, ...]:
    """The name of a column in words, and its unit unless the name contains it: `("usage cost", "USD")`."""
    words = name.split("_")
    if unit is None or unit is COUNT or unit.name in words:
        return (" ".join(words),)
    told = unit.name.lower().split()
    return " ".join(word for word in words if _SHORT.get(word, word) not in told), unit.name.replace("_", " ")


def _range(asked: Request) -> str:
    since, until = asked.since, asked.until
    if asked.table.date_column:
        return f" on {until}" if until else ""
    if since and until:
        return f" between {since} and {until}"
    return f" from {since} on" if since else f" up to {until}" if until else ""


def readable(unit: Unit | None, value: Any) -> str:
    """A value for people, without its unit."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.{unit.decimals}f}" if unit else _plain(value)


def _plain(value: Any) -> str:
    """A value as text with all its digits, never as 1E+3; empty if the value is unknown or not finite."""
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float) and math.isfinite(value):
        value = Decimal(repr(value))
    found = plain(value)
    return "" if found is None else str(found)


def _json_value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_json_value, value))}]"
    text = _plain(value)
    return json.dumps(text) if isinstance(value, str | date) else text or "null"
