"""Milestone M4: the five questions have answers, and the answers are those of Gold."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

from cloud_analytics.errors import CloudAnalyticsError, PipelineError
from cloud_analytics.insight.plain import plain
from cloud_analytics.reading.checks import Check, verdict
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.serving.queries import NothingServed, ask
from cloud_analytics.serving.tables import tables
from cloud_analytics.tables.cql import ServingTable

if TYPE_CHECKING:
    from cassandra.cluster import Session

    OpenSession = Callable[[], AbstractContextManager[Session]]

QUESTIONS = ("daily-costs", "top-services", "tickets", "revenue", "genai")
_FROM_GOLD = "from Gold: nothing is served"
_FROM_TABLES = "from the serving tables, compared with Gold"

Rows = list[dict[str, Any]]


def answered(lake: LakeReader, open_session: OpenSession | None) -> Check:
    """Ask each question about the organisation that has most rows in Gold, and compare the answer with Gold.

    Without `open_session`, or where nothing was ever served, only Gold is asked. The check is false if the store is
    away, a table is missing, or the rows are not Gold's. UsageError where the settings of the store are wrong.
    """
    by_question = {table.question: table for table in tables().values()}
    gold = {question: _in_gold(lake, by_question[question]) for question in QUESTIONS}
    failures = {question: "no rows in Gold" for question, rows in gold.items() if not rows}
    source = _FROM_GOLD
    if open_session is not None:
        source, refused = _ask_all(open_session, {name: rows for name, rows in gold.items() if rows})
        failures |= refused
    by_reason: dict[str, list[str]] = {}
    for question, reason in failures.items():
        by_reason.setdefault(reason, []).append(question)
    shown = ", ".join(f"{question} {len(rows):,} rows" for question, rows in gold.items())
    failed = "; ".join(f"{', '.join(questions)} ({reason})" for reason, questions in by_reason.items())
    figures = {
        question: {
            "org_id": rows[0]["org_id"] if rows else None,
            "rows_in_gold": len(rows),
            "failure": failures.get(question),
        }
        for question, rows in gold.items()
    }
    return Check(
        "M4",
        "The five questions answer",
        verdict(not failures),
        f"{source}; {shown}" + (f"; FAILED: {failed}" if failed else ""),
        {"asked": source, "questions": plain(figures)},
        "people get no answer, or one that is not Gold's: `cloud-analytics serve` fills what is missing or behind; a"
        " table that others wrote to has to be dropped before; what Gold lacks did not arrive",
    )


def _in_gold(lake: LakeReader, served: ServingTable) -> Rows:
    """The rows that the table should hold for the organisation with most rows; of a table by date, the newest date."""
    mart = f"gold.{served.mart}"
    of_one = f"org_id = (SELECT org_id FROM {mart} GROUP BY org_id ORDER BY count(*) DESC, org_id LIMIT 1)"
    day = served.date_column.name if served.date_column else None
    newest = f" QUALIFY {day} = max({day}) OVER ()" if day else ""
    return lake.rows(f"SELECT {', '.join(served.columns)} FROM {mart} WHERE {of_one}{newest}")


def _ask_all(open_session: OpenSession, gold: dict[str, Rows]) -> tuple[str, dict[str, str]]:
    """What was asked, and question → why it failed, for those that did."""
    with ExitStack() as opened:
        try:
            session = opened.enter_context(open_session())
        except NothingServed:
            return _FROM_GOLD, {}
        except PipelineError as error:
            return _FROM_TABLES, dict.fromkeys(gold, str(error))
        found = {question: _difference(session, question, rows) for question, rows in gold.items()}
    return _FROM_TABLES, {question: reason for question, reason in found.items() if reason}


def _difference(session: Session, question: str, gold: Rows) -> str:
    """Why the answer is not Gold's; an empty text where it is."""
    try:
        served = _set(ask(session, question, gold[0]["org_id"]).rows)
    except CloudAnalyticsError as error:
        return str(error)
    expected = _set(gold)
    if served == expected:
        return ""
    return f"{len(served - expected):,} rows only served, {len(expected - served):,} only in Gold"


def _set(rows: Rows) -> set[tuple[tuple[str, Any], ...]]:
    return {tuple(sorted(row.items())) for row in rows}
