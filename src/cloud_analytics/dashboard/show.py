"""The parts of a page: sentences, figures, tables. Names from the data are text, never markup.

Streamlit interprets nearly all its texts as Markdown, and a browser interprets HTML. So a text that may hold a name
from the data is shown by `say`, in a table cell, in a select box or in a chart, which all show it as plain text. It is
passed through `legible` before, because a text may also hold characters that reverse the order of letters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from cloud_analytics.dashboard.source import Source
from cloud_analytics.errors import CloudAnalyticsError, UsageError
from cloud_analytics.insight import answers
from cloud_analytics.insight.numbers import Value
from cloud_analytics.serving.connect import Row
from cloud_analytics.serving.queries import Answer
from cloud_analytics.tables import Column
from cloud_analytics.untrusted import printable

_SIGNALS = re.compile(r"\((F\d)\)")
_ROW, _LINE, _MOST_ROWS = 35, 30, 10  # pixels of a row; pixels of each further line in it; most rows without scrolling


def say(text: str, small: bool = False) -> None:
    """Show a sentence as plain text; markup in it is escaped."""
    st.html(f"<p{' style=font-size:.875rem;opacity:.8' if small else ''}>{escape(printable(text))}</p>")


def heading(column: Column) -> str:
    """The heading of a column, as in the answers of `query`: `total cost (USD)`."""
    words, *unit = answers.heading(column.name, column.unit)
    return f"{words} ({unit[0]})" if words and unit else words or unit[0]


def question(answer: Answer) -> None:
    """Show the question of a table as a heading, without the role that asks it."""
    asked = answer.request.table.asks.partition(": ")[2]
    st.subheader(asked[0].upper() + asked[1:], anchor=False)


def legible(rows: Iterable[Row]) -> list[Row]:
    """Apply `printable` to all texts in the rows."""

    def shown(value: Any) -> Any:
        if isinstance(value, list):
            return [shown(one) for one in value]
        return printable(value) if isinstance(value, str) else value

    return [{name: shown(value) for name, value in row.items()} for row in rows]


def frame(answer: Answer) -> tuple[pd.DataFrame, dict[str, Column]]:
    """The rows of an answer, and its columns by name. Figures become floats, for charts and tables in the browser."""
    rows = pd.DataFrame(legible(answer.rows), columns=list(answer.columns))
    columns = answer.request.table.declared
    return rows.astype({name: float for name, column in columns.items() if column.unit}), columns


def show_answer(answer: Answer, otherwise: str, draw: Callable[[pd.DataFrame, dict[str, Column]], None]) -> None:
    """Show a question, a chart of its rows, and the rows; if there are no rows, show the sentence `otherwise`.

    If a partition of the serving table is one row, this row is shown with one line per column. Key columns that the
    question fixes are left out, because they are the same in every row.
    """
    question(answer)
    rows, columns = frame(answer)
    shown = [column for name, column in columns.items() if name not in answer.request.chosen]
    if rows.empty:
        say(otherwise)
    elif answer.request.table.clustering_key:
        draw(rows, columns)
        table(rows, shown)
    else:
        _lines(legible(answer.rows)[0], shown)


def table(rows: pd.DataFrame, columns: Iterable[Column], lines: int = 1) -> None:
    """Show rows of `lines` text lines each, under headings with units; the tooltip of a heading explains the column."""
    shown, height = list(columns), _ROW + _LINE * (lines - 1)
    st.dataframe(
        rows[[column.name for column in shown]],
        column_config={column.name: _config(column) for column in shown},
        hide_index=True,
        placeholder="–",
        row_height=height,
        height=_ROW + height * min(max(len(rows), 1), _MOST_ROWS) + 3,
    )


def _lines(row: Row, columns: Iterable[Column]) -> None:
    """Show one row as a table with one line per column."""
    told = [(heading(column), answers.readable(column.unit, row[column.name]) or "–") for column in columns]
    shown = pd.DataFrame(told, columns=["what", "figure"])
    st.dataframe(shown, hide_index=True, width=600, height=_ROW * (1 + len(told)) + 3)


def _config(column: Column) -> Any:
    kinds = st.column_config
    if column.unit:
        return kinds.NumberColumn(heading(column), help=column.meaning, format=f"%,.{column.unit.decimals}f")
    if column.is_date:
        return kinds.DateColumn(heading(column), help=column.meaning, format="YYYY-MM-DD")
    kind = kinds.ListColumn if column.type.startswith("array") else kinds.Column
    return kind(heading(column), help=column.meaning)


def figures(*told: tuple[str, Value | str, str]) -> None:
    """Show headline figures side by side: name with unit, number, and a note that puts the number into proportion."""
    with st.container(horizontal=True):
        for name, amount, note in told:
            st.metric(name, str(amount), note, delta_color="off", delta_arrow="off", border=True, height="stretch")


def organisation(source: Source) -> str:
    """The organisation that the reader picks (costliest first) or types. The session and the URL keep the choice."""
    known = [str(row["org_id"]) for row in source.ask("top-organisations").rows]
    state, address = st.session_state, st.query_params
    chosen = state.get("org") or state.get("last_org") or address.get("org") or next(iter(known), None)
    options = list(dict.fromkeys([*known, *([chosen] if chosen else [])]))
    state["org"] = chosen
    org = st.selectbox(
        "Organisation: pick one (the costliest of 14 days first), or type its id",
        options,
        index=0 if options else None,
        format_func=printable,
        key="org",
        accept_new_options=True,
        width=450,
    )
    if not org:
        raise UsageError("No organisation had usage in the last 14 days: type the id of one.")
    state["last_org"] = org
    if address.get("org") != org:  # only if it changed: each assignment adds an entry to the browser's history
        address["org"] = org
    return str(org)


def distrust(source: Source, answer: Answer) -> None:
    """Show the warning of each check (F1 to F4) that the column meanings of the answer mention and the data fail."""
    meanings = " ".join(column.meaning for column in answer.request.table.declared.values())
    needed = _SIGNALS.findall(meanings) if answer.rows else []
    try:
        for check in source.signals() if needed else ():
            if check.id in needed and check.warning:
                say(f"⚠ {check.warning}", small=True)
    except CloudAnalyticsError as error:
        say(f"Whether these figures tell anything is not known here: {error}", small=True)
