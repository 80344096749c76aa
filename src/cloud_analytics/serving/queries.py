"""The seven questions, each answered from one partition by prepared statements; none scans or filters a table.

`ask(session, "daily-costs", "org_x", since="2025-01-01", top=10)` is the whole of it. The command line makes the
`Request` first, so that a wrong call is told before anything is connected to.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import SequenceMatcher
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from cloud_analytics.days import calendar_day
from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.serving.connect import Row, readable_errors
from cloud_analytics.serving.statements import Statement, Value
from cloud_analytics.serving.tables import KEYSPACE, Table, tables
from cloud_analytics.serving.units import unit

if TYPE_CHECKING:
    from cassandra.cluster import Session

QUESTIONS = tuple(table.query for table in tables().values())
# Gold has a summary for every date from an organisation's first usage on, up to 13 days after its last one, and none
# after the last date of the data: see gold/org_service_cost_summary.py (importing it would import Spark).
SUMMARY_DAYS = 14
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_MISSING = re.compile(r"(keyspace|table) \S+ does not exist|unconfigured table [\w.]+", re.IGNORECASE)
_MOST_ROWS = 2**31 - 1  # LIMIT is an int
_MOST_NAMES = 10_000  # of each table, when an unknown organisation's nearest names are looked for
_NEAREST = 5


class NothingServed(PipelineError):
    """There is no keyspace, or not one row in its tables."""

    def __init__(self) -> None:
        super().__init__("nothing was served yet: run `cloud-analytics run` (or serve)")


@dataclass(frozen=True)
class Request:
    """A question that was found to be answerable; `request` makes it. Bounds are dates, or months ('YYYY-MM')."""

    table: Table
    org: str
    since: date | str | None = None
    until: date | str | None = None
    top: int | None = None

    @property
    def ranked(self) -> bool:
        """Whether `top` asks for the largest impacts: no clustering order has them, so they are ranked here."""
        return self.table.query == "anomalies" and self.top is not None

    @property
    def by_summary(self) -> bool:
        """Whether the answer is the summary of one date, which is part of the partition key."""
        return self.table.query == "top-services"


@dataclass(frozen=True)
class Answer:
    """Rows by column name, and the statements that were run for them."""

    request: Request
    rows: list[Row]
    statements: tuple[Statement, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """In the order of schema.cql."""
        return tuple(self.request.table.columns)


def request(
    question: str, org: str, since: str | date | None = None, until: str | date | None = None, top: int | None = None
) -> Request:
    """Check a question and its range, `since` (--from) and `until` (--to) included; UsageError says what is allowed."""
    table = next((table for table in tables().values() if table.query == question), None)
    if table is None:
        raise UsageError(f"no question {question!r}: ask {', '.join(QUESTIONS)}")
    if not org:
        raise UsageError("--org is empty: give an organisation's id")
    if top is not None and top < 1:
        raise UsageError(f"--top {top}: expected a number of rows, 1 or more")
    if question == "top-services" and since is not None:
        raise UsageError("--from is not for top-services, whose 14 days end on one date: give that date with --to")
    monthly = question == "revenue"
    first, last = _bound("--from", since, monthly), _bound("--to", until, monthly)
    if first is not None and last is not None and str(first) > str(last):
        raise UsageError(f"--from {first} is after --to {last}: give the earlier one with --from")
    return Request(table, org, first, last, None if top is None else min(top, _MOST_ROWS))


def ask(
    session: Session,
    question: str,
    org: str,
    since: str | date | None = None,
    until: str | date | None = None,
    top: int | None = None,
) -> Answer:
    """`request`, then `answer`."""
    return answer(session, request(question, org, since, until, top))


def answer(session: Session, asked: Request) -> Answer:
    """Run a request on a session with dict rows and its keyspace set.

    No rows: UsageError with the nearest names if nothing at all is known of the organisation, else an empty answer.
    """
    with served():
        if asked.by_summary:
            statements, rows = _summary(session, asked)
        else:
            statements = (range_statement(asked),)
            (rows,) = _read(session, statements)
        if asked.ranked:
            rows = heapq.nsmallest(asked.top or 0, rows, key=_by_impact)
        if not rows and not _is_known(session, asked.org):
            raise _unknown(session, asked.org)
    return Answer(asked, rows, statements)


@contextmanager
def served() -> Iterator[None]:
    """Failures inside as one line; a table that does not exist is one that `serve` makes."""
    try:
        with readable_errors("cannot ask Cassandra"):
            yield
    except PipelineError as error:
        from cassandra import InvalidRequest

        cause = error.__cause__
        missing = _MISSING.search(str(cause)) if isinstance(cause, InvalidRequest) else None
        if missing is None:
            raise
        raise PipelineError(
            f"{missing[0]}: run `cloud-analytics serve`, which makes and fills what is missing"
        ) from error


def explain(asked: Request, keyspace: str = KEYSPACE) -> str:
    """What `answer` would run, as CQL that cqlsh takes; as comments the question, the table, its key and its units."""
    table = asked.table
    order = ", ".join(f"{name} {direction.upper()}" for name, direction in table.clustering_order)
    units = (f"{name} [{found.name}]" if (found := unit(name)) else name for name in table.columns)
    lines = [
        f"-- {table.query}: {table.question}",
        f"-- table {keyspace}.{table.name}",
        f"-- PRIMARY KEY (({', '.join(table.partition_key)}), {', '.join(table.clustering_key)}): a read names"
        f" {' and '.join(table.partition_key)}; rows lie in the order {order}",
        *wrap(", ".join(units), 118, initial_indent="-- columns: ", subsequent_indent="--   ", break_on_hyphens=False),
    ]
    if not asked.by_summary:
        lines.append(range_statement(asked).typed(keyspace))
    elif asked.until is not None:
        lines.append(summary_statement(asked, asked.until).typed(keyspace))
    else:
        lines += [
            "-- 1. the organisation's newest usage date",
            newest_usage_statement(asked.org).typed(keyspace),
            f"-- 2. its newest summary: <date> is that date or one of the {SUMMARY_DAYS - 1} days after it; these"
            f" {SUMMARY_DAYS} partitions are read at once,\n--    and the newest that has rows is the answer",
            summary_statement(asked, "<date>").typed(keyspace),
        ]
    if asked.ranked:
        lines.append(f"-- then, of these rows, the {asked.top} with the highest impact_usd")
    return "\n".join(lines)


def range_statement(asked: Request) -> Statement:
    """The organisation's partition, newest first, within the bounds."""
    column = asked.table.clustering_key[0]
    bounds = (("org_id", "=", asked.org), (column, ">=", asked.since), (column, "<=", asked.until))
    conditions = tuple((name, operator, value) for name, operator, value in bounds if value is not None)
    return Statement(asked.table.name, tuple(asked.table.columns), conditions, None if asked.ranked else asked.top)


def summary_statement(asked: Request, day: Value) -> Statement:
    """The summary of one date, best rank first."""
    key = (("org_id", "=", asked.org), ("summary_date", "=", day))
    return Statement(asked.table.name, tuple(asked.table.columns), key, asked.top)


def newest_usage_statement(org: str) -> Statement:
    """The newest date on which an organisation used anything."""
    return Statement("finops_daily_usage", ("usage_date",), (("org_id", "=", org),), limit=1)


def _summary(session: Session, asked: Request) -> tuple[tuple[Statement, ...], list[Row]]:
    first: tuple[Statement, ...] = ()
    if asked.until is not None:
        days: list[Value] = [asked.until]
    else:
        first = (newest_usage_statement(asked.org),)
        (newest,) = _read(session, first)
        days = [row["usage_date"] + timedelta(n) for row in newest for n in reversed(range(SUMMARY_DAYS))]
    reads = tuple(summary_statement(asked, day) for day in days)
    return (*first, *reads), next((rows for rows in _read(session, reads) if rows), [])


def _read(session: Session, statements: Sequence[Statement]) -> list[list[Row]]:
    """The rows of each statement; all run at once."""
    prepared = {text: session.prepare(text) for text in {statement.text for statement in statements}}
    pending = [session.execute_async(prepared[statement.text], statement.values) for statement in statements]
    return [list(future.result()) for future in pending]


def _is_known(session: Session, org: str) -> bool:
    """Whether any table holds the organisation. The summary is left out: it repeats who has daily usage."""
    by_org = [name for name, table in tables().items() if table.partition_key == ("org_id",)]
    condition = (("org_id", "=", org),)
    return any(_read(session, [Statement(name, ("org_id",), condition, limit=1) for name in by_org]))


def _unknown(session: Session, org: str) -> PipelineError | UsageError:
    sources = ("finops_daily_usage", "revenue_monthly", "support_tickets_summary")
    pending = [session.execute_async(f"SELECT DISTINCT org_id FROM {name} LIMIT {_MOST_NAMES}") for name in sources]
    names = {str(row["org_id"]) for future in pending for row in future.result()}
    if not names:
        return NothingServed()
    wanted = SequenceMatcher(b=org.casefold())  # it prepares its second text, so that many can be compared with one

    def distance(name: str) -> tuple[float, str]:
        wanted.set_seq1(name.casefold())
        return -wanted.ratio(), name

    return UsageError(f"no organisation {org!r}; nearest: {', '.join(heapq.nsmallest(_NEAREST, names, key=distance))}")


def _by_impact(row: Row) -> tuple[Any, ...]:
    """Largest impact first, unknown ones last; ties: newest first, then by service."""
    impact = row["impact_usd"]
    return impact is None, -(impact or 0), -row["usage_date"].toordinal(), row["service"]


def _bound(option: str, given: str | date | None, monthly: bool) -> date | str | None:
    if given is None:
        return None
    text = given if isinstance(given, str) else given.isoformat()[:10]
    if not monthly:
        return calendar_day(option, text)
    try:
        return calendar_day(option, f"{text}-01" if _MONTH.fullmatch(text) else text).isoformat()[:7]
    except UsageError:
        allowed = "a month YYYY-MM or a date YYYY-MM-DD"
        raise UsageError(f"{option} {text!r}: expected {allowed} of the calendar") from None
