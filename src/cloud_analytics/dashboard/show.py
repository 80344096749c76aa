"""What pages are made of: sentences, figures, tables. Names from the data are text, never markup.

Streamlit reads Markdown in nearly all that it is given; a browser reads HTML. So whatever may hold a name of the data
goes through `say`, into a cell of a table, a choice of a select box, or a chart, which all show it as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from cloud_analytics.dashboard.source import Source
from cloud_analytics.errors import CloudAnalyticsError, UsageError
from cloud_analytics.insight import answers
from cloud_analytics.serving.connect import Row
from cloud_analytics.serving.queries import Answer
from cloud_analytics.tables import Column
from cloud_analytics.untrusted import printable

_SIGNALS = re.compile(r"\((F\d)\)")
_ROW, _LINE, _MOST_ROWS = 35, 30, 10  # pixels of a row, and of a further line; rows that are shown without scrolling


def say(text: str, small: bool = False) -> None:
    """A sentence as plain text, whatever it holds."""
    st.html(f"<p{' style=font-size:.875rem;opacity:.8' if small else ''}>{escape(printable(text))}</p>")


def question(answer: Answer) -> None:
    """What the table answers, as a heading."""
    st.subheader(sentence(answer), anchor=False)


def sentence(answer: Answer) -> str:
    """The question of a table, without who asks it."""
    asked = answer.request.table.asks.partition(": ")[2]
    return asked[0].upper() + asked[1:]


def heading(column: Column) -> str:
    """As in the answers of `query`: `total cost (USD)`."""
    words, *unit = answers.heading(column.name, column.unit)
    return f"{words} ({unit[0]})" if words and unit else words or unit[0]


def frame(answer: Answer) -> pd.DataFrame:
    """The rows of an answer; figures as floats, which is what charts and tables of a browser work with."""
    rows = pd.DataFrame(answer.rows, columns=list(answer.columns))
    return rows.astype({name: float for name, column in answer.request.table.declared.items() if column.unit})


def answered(answer: Answer, otherwise: str) -> pd.DataFrame:
    """The question as a heading, and the rows of its answer; where there are none, the sentence says so."""
    question(answer)
    if not answer.rows:
        say(otherwise)
    return frame(answer)


def beside(answer: Answer) -> list[Column]:
    """The columns beside those that the question has chosen, which are the same in every row."""
    return [column for name, column in answer.request.table.declared.items() if name not in answer.request.chosen]


def table(rows: pd.DataFrame, columns: Iterable[Column], lines: int = 1) -> None:
    """Rows of so many lines under headings with units; a heading tells what it means when it is pointed at."""
    shown = list(columns)
    st.dataframe(
        rows[[column.name for column in shown]],
        column_config={column.name: _config(column) for column in shown},
        hide_index=True,
        placeholder="–",
        row_height=_ROW + _LINE * (lines - 1),
        height=_ROW + (_ROW + _LINE * (lines - 1)) * min(max(len(rows), 1), _MOST_ROWS) + 3,
    )


def facts(row: Row, columns: Iterable[Column]) -> None:
    """A single row, a line a column."""
    told = [(heading(column), answers.readable(column.unit, row[column.name]) or "–") for column in columns]
    shown = pd.DataFrame(told, columns=["what", "figure"])
    st.dataframe(shown, hide_index=True, width=600, height=_ROW * (1 + len(told)) + 3)


def _config(column: Column) -> Any:
    kinds = st.column_config
    if column.unit:
        return kinds.NumberColumn(heading(column), help=column.meaning, format=f"%,.{column.unit.decimals}f")
    if column.is_date:
        return kinds.DateColumn(heading(column), help=column.meaning, format="YYYY-MM-DD")
    if column.type.startswith("array"):
        return kinds.ListColumn(heading(column), help=column.meaning)
    return kinds.Column(heading(column), help=column.meaning)


def figures(*told: tuple[str, str, str]) -> None:
    """Headline figures side by side: name with its unit, number, and what puts it into proportion."""
    with st.container(horizontal=True):
        for name, amount, note in told:
            st.metric(name, amount, note, delta_color="off", delta_arrow="off", border=True, height="stretch")


def number(amount: float | None, decimals: int = 0, signed: bool = False) -> str:
    """With separators; a dash where it is not known."""
    if amount is None or pd.isna(amount):
        return "–"
    return f"{amount:{'+' if signed else ''},.{decimals}f}".replace("-", "−")


def organisation(source: Source) -> str:
    """The organisation that the reader picks (the costliest first) or types; pages and the address keep the choice."""
    known = [str(row["org_id"]) for row in source.ask("top-organisations").rows]
    state, address = st.session_state, st.query_params
    chosen = state.get("org") or state.get("last_org") or address.get("org") or next(iter(known), None)
    options = list(dict.fromkeys([*known, *([chosen] if chosen else [])]))
    state["org"] = chosen
    org = st.selectbox(
        "Organisation: pick one (the costliest of 14 days first), or type its id",
        options,
        index=0 if options else None,
        key="org",
        accept_new_options=True,
        width=450,
    )
    if not org:
        raise UsageError("No organisation had usage in the last 14 days: type the id of one.")
    state["last_org"] = org
    if address.get("org") != org:  # not at every look: each is an entry of the browser's history
        address["org"] = org
    return str(org)


def distrust(source: Source, answer: Answer) -> None:
    """As in the report, a note for each signal that the data do not carry, of those (F1 to F4) that columns mention."""
    meanings = " ".join(column.meaning for column in answer.request.table.declared.values())
    needed = _SIGNALS.findall(meanings) if answer.rows else []
    if not needed:
        return
    try:
        signals = source.signals()
    except CloudAnalyticsError as error:
        say(f"Whether these figures tell anything is not known here: {error}", small=True)
        return
    for signal in signals:
        if signal.id in needed and signal.warning:
            say(f"⚠ {signal.warning}", small=True)
