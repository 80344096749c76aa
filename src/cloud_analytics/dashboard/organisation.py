"""The page on one organisation: each question as a chart with its rows below; one tab per role (FinOps, Finance, …)."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cloud_analytics.dashboard import charts
from cloud_analytics.dashboard.show import distrust, organisation, show_answer
from cloud_analytics.dashboard.source import Source
from cloud_analytics.serving.queries import Answer
from cloud_analytics.serving.tables import tables
from cloud_analytics.tables import Column
from cloud_analytics.tables.cql import ServingTable

_FIRST = "daily-costs"
# Question → the figure of its chart, if it is not the first figure of the columns that `run` shows.
_DRAWN = {"backlog": "open_tickets", "forecast": "expected_usd", "shifts": "total_cost_usd"}


def page(source: Source) -> None:
    """Show the questions of the chosen role (FinOps, Finance, …) about one organisation."""
    st.title("How is one organisation doing?", anchor=False)
    org = organisation(source)
    of_one = [found for found in tables().values() if found.chosen_by == ("org_id",)]
    asked = sorted(of_one, key=lambda found: found.question != _FIRST)
    who = st.segmented_control("Who asks", dict.fromkeys(map(_asker, asked)), default=_asker(asked[0]), required=True)
    shown = [source.ask(found.question, org) for found in asked if _asker(found) == who]
    notes = [_answer(answer) for answer in shown]
    for place, answer in zip(notes, shown):  # last, because the warnings may read Silver
        with place:
            distrust(source, answer)


def _asker(found: ServingTable) -> str:
    return found.asks.partition(":")[0]


def _answer(answer: Answer) -> DeltaGenerator:
    """Show an answer, and return a container below it for notes."""
    nothing = "Nothing: the table holds no row of this organisation."
    show_answer(answer, nothing, lambda rows, columns: _draw(answer.request.table, rows, columns))
    return st.container()


def _draw(found: ServingTable, rows: pd.DataFrame, columns: dict[str, Column]) -> None:
    clustering = found.clustering_key
    figures = [columns[name] for name in found.shown if columns[name].unit and name not in clustering]
    drawn = _DRAWN.get(found.question)
    if not figures and not drawn:
        return
    figure = columns[drawn] if drawn else figures[0]
    if found.range_column:
        parts = columns[clustering[1]] if len(clustering) > 1 else None
        charts.over_time(rows, found.range_column, figure, parts)
    else:
        charts.ranking(rows, columns[clustering[-1]], columns[found.shown[-1]])
