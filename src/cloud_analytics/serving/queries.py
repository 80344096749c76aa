"""The questions. Prepared statements that read one partition answer them; no statement scans or filters rows.

If a partition key has a month or a date, a statement may first read the keys of the table's partitions. Example:
`ask(session, "daily-costs", "org_x", since="2025-01-01", top=10)`. The command line creates the `Request` first, so
that a wrong call is reported before any connection. The key of a table defines the arguments of its question and the
partitions that answer it (tables/table.py).
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from difflib import SequenceMatcher
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from cloud_analytics.days import calendar_day
from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.serving.connect import Row, readable_errors
from cloud_analytics.serving.statements import Statement, Value
from cloud_analytics.serving.tables import KEYSPACE, tables
from cloud_analytics.tables.cql import ServingTable

if TYPE_CHECKING:
    from cassandra.cluster import Session

QUESTIONS = tuple(table.question for table in tables().values())
_ORG = "org_id"
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_PYTHON_TYPES = {
    "text": str, "date": date, "decimal": Decimal, "int": int, "bigint": int, "double": float, "boolean": bool,
}  # fmt: skip
_NO_COLUMN = re.compile(r"Undefined column name \w+( in table [\w.]+)?")
_OTHER_SCHEMA = "others changed this table; `cloud-analytics serve` says what mends it"
_MISSING = re.compile(r"(keyspace|table) \S+ does not exist|unconfigured table [\w.]+", re.IGNORECASE)
_MOST_ROWS = 2**31 - 1  # LIMIT is an int
_LONGEST_KEY = 65_000  # bytes of a whole partition key: no key in the data is longer, and Cassandra's limit is close
_MOST_NAMES = 10_000  # organisations read from each table to find the names nearest to an unknown name
_NEAREST = 5


class NothingServed(PipelineError):
    """The keyspace does not exist, or its tables have no rows."""

    def __init__(self) -> None:
        super().__init__("nothing was served yet: run `cloud-analytics run` (or serve)")


@dataclass(frozen=True)
class Request:
    """A valid question, as `request` returns it. The bounds are dates, or months ('YYYY-MM').

    `chosen`: column of the partition key → its value, for the columns that the caller has to give.
    """

    table: ServingTable
    chosen: Mapping[str, str]
    since: date | str | None = None
    until: date | str | None = None
    top: int | None = None

    @property
    def org(self) -> str | None:
        """The organisation; None if the question is not about an organisation."""
        return self.chosen.get(_ORG)

    @property
    def about(self) -> str:
        """The subject of the answer, for a title: `daily-costs of org_x`."""
        return " of ".join([self.table.question, *([" ".join(self.chosen.values())] if self.chosen else [])])

    @property
    def ranked(self) -> bool:
        """Whether `top` asks for the highest values. No clustering order sorts by them, so this process ranks rows."""
        return self.table.top_by is not None and self.top is not None


@dataclass(frozen=True)
class Answer:
    """Rows as dicts (column name → value), and the statements that returned them."""

    request: Request
    rows: list[Row]
    statements: tuple[Statement, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in the order of the table."""
        return tuple(self.request.table.columns)


def request(
    question: str,
    org: str | None = None,
    since: str | date | None = None,
    until: str | date | None = None,
    top: int | None = None,
    **others: str | None,
) -> Request:
    """Check a question and its range. UsageError if something is wrong; its message says what is allowed.

    The range includes both `since` (--from) and `until` (--to). `others`: values of further columns of the partition
    key.
    """
    table = _table(question)
    if top is not None and top < 1:
        raise UsageError(f"--top {top}: expected a number of rows, 1 or more")
    chosen = _chosen(table, {_ORG: org, **others})
    if table.date_column and since is not None:
        raise UsageError(f"--from is not for {question}, whose answer is that of one date: give that date with --to")
    if not table.date_column and not table.range_column and (since, until) != (None, None):
        raise UsageError(f"--from and --to are not for {question}, which has no dates")
    monthly = table.range_column is not None and table.range_column.is_month
    first, last = _bound("--from", since, monthly), _bound("--to", until, monthly)
    if first is not None and last is not None and str(first) > str(last):
        raise UsageError(f"--from {first} is after --to {last}: give the earlier one with --from")
    return Request(table, chosen, first, last, None if top is None else min(top, _MOST_ROWS))


def _table(question: str) -> ServingTable:
    table = next((table for table in tables().values() if table.question == question), None)
    if table is None:
        raise UsageError(f"no question {question!r}: ask {', '.join(QUESTIONS)}")
    return table


def _chosen(table: ServingTable, given: Mapping[str, str | None]) -> dict[str, str]:
    chosen = {}
    for name, value in {**dict.fromkeys(table.chosen_by), **given}.items():
        if name not in table.chosen_by:
            if value is not None:
                raise UsageError(f"{option_of(name)} is not for {table.question}: leave it out")
        elif value is None:
            raise UsageError(f"Missing option '{option_of(name)}': {table.question} is asked about one {name}")
        elif not value:
            raise UsageError(f"{option_of(name)} is empty: give one {name}")
        elif any("\ud800" <= char <= "\udfff" for char in value):  # bytes of the command line that are no UTF-8
            raise UsageError(f"{option_of(name)} {value!r} is no UTF-8: no {name} is written like this")
        else:
            chosen[name] = value
    if sum(len(value.encode()) for value in chosen.values()) > _LONGEST_KEY:
        name, value = max(chosen.items(), key=lambda pair: len(pair[1]))
        what = "organisation" if name == _ORG else name
        raise UsageError(f"no {what} {value[:20]!r}…: a key is not as long as these {len(value):,} characters")
    return chosen


def option_of(column: str) -> str:
    """The command-line option for a column of the partition key: `tag_key` → `--tag-key`."""
    if column == _ORG:
        return "--org"
    return f"--{column.replace('_', '-')}"


def ask(
    session: Session,
    question: str,
    org: str | None = None,
    since: str | date | None = None,
    until: str | date | None = None,
    top: int | None = None,
    **others: str | None,
) -> Answer:
    """The answer to a question. See `request` for the arguments and `answer` for the result."""
    return answer(session, request(question, org, since, until, top, **others))


def answer(session: Session, asked: Request) -> Answer:
    """Run a request on a session whose keyspace is set and whose rows are dicts (`Target.session`).

    Without rows the answer is empty. UsageError, with the nearest names, if no table knows the organisation;
    NothingServed if the tables are empty; PipelineError if a table or column is missing or has another type.
    """
    with served():
        first = lookup(asked)
        found = _read(session, [first])[0] if first else []
        reads = [rows_statement(asked, part) for part in parts(asked, found)]
        answers = _read(session, reads)
        if asked.table.date_column:
            rows = next(filter(None, answers), [])
        else:
            rows = [row for rows in answers for row in rows][: None if asked.ranked else asked.top]
        _expect_types(asked.table, rows)
        if asked.ranked:
            rows = heapq.nsmallest(asked.top or 0, rows, key=lambda row: _rank(asked.table, row))
        if not rows:
            _expect_known(session, asked)
    return Answer(asked, rows, (*([first] if first else []), *reads))


def partitions(session: Session, question: str, column: str, **chosen: str) -> list[Any]:
    """The values of one column of a table's partition keys, in descending order.

    `chosen`: only keys with these values in other columns. So a caller learns which months `provider` has, or which
    tags an organisation uses, without reading rows.
    """
    with served():
        (keys,) = _read(session, [partitions_statement(_table(question))])
        return _values(keys, column, chosen)


@contextmanager
def served() -> Iterator[None]:
    """Report failures inside in one line. If a table does not exist, the line says that `serve` creates it."""
    try:
        with readable_errors("cannot ask Cassandra"):
            yield
    except PipelineError as error:
        from cassandra import InvalidRequest

        cause = error.__cause__
        if not isinstance(cause, InvalidRequest):
            raise
        column = _NO_COLUMN.search(str(cause))
        if column:
            raise PipelineError(f"{column[0]}: {_OTHER_SCHEMA}") from error
        missing = _MISSING.search(str(cause))
        if missing is None:
            raise
        raise PipelineError(
            f"{missing[0]}: run `cloud-analytics serve`, which makes and fills what is missing"
        ) from error


def explain(asked: Request, keyspace: str = KEYSPACE) -> str:
    """The CQL that `answer` would run, for cqlsh. Its comments show the question, the table, its key and its units."""
    table = asked.table
    order = ", ".join(f"{name} {direction.upper()}" for name, direction in table.clustering_order)
    units = (f"{name} [{column.unit.name}]" if column.unit else name for name, column in table.declared.items())
    lines = [
        f"-- {table.question}: {table.asks}",
        f"-- table {keyspace}.{table.name}",
        f"-- PRIMARY KEY {table.key_text()}: a read names {' and '.join(table.partition_key)}"
        + (f"; rows lie in the order {order}" if order else ""),
        *wrap(", ".join(units), 118, initial_indent="-- columns: ", subsequent_indent="--   ", break_on_hyphens=False),
    ]
    first = lookup(asked)
    if first is None:
        lines += [rows_statement(asked, part).typed(keyspace) for part in parts(asked, [])]
    else:
        found, then, part = _in_words(table)
        lines += [f"-- 1. {found}", first.typed(keyspace), f"-- 2. {then}", rows_statement(asked, part).typed(keyspace)]
    if asked.ranked:
        lines.append(f"-- then, of these rows, the {asked.top} with the highest {table.top_by}")
    return "\n".join(lines)


def _in_words(table: ServingTable) -> tuple[str, str, str]:
    """What the `lookup` of a table finds, which partitions are read then, and what stands for the part of their key."""
    if table.bucket_column:
        name = table.bucket_column.name
        found = f"which months there are: {name} is part of the partition key"
        return found, "each of them that the range touches", f"<{name}>"
    if table.newest:
        days = table.newest[1]
        then = (
            f"its newest summary: <date> is that date or one of the {days} days after it; these {days + 1}"
            " partitions are read at once,\n--    and the newest that has rows is the answer"
        )
        return "the organisation's newest usage date", then, "<date>"
    return "which dates there are", "the newest of them", "<date>"


def lookup(asked: Request) -> Statement | None:
    """Reads what tells the partitions of an answer (`parts`); None if the request itself tells its partition."""
    table = asked.table
    if table.bucket_column is None and (table.date_column is None or asked.until is not None):
        return None
    return newest_statement(asked) if table.newest else partitions_statement(table)


def parts(asked: Request, found: Sequence[Row]) -> Sequence[Value | None]:
    """The month or date in the key of each partition to read, in the answer's order. `found`: the rows of `lookup`.

    The answer for one date is the first of the partitions that has rows. A table with neither in its key has one
    partition to read, which the request names.
    """
    table = asked.table
    if table.bucket_column:
        since, until = (str(bound)[:7] if bound is not None else None for bound in (asked.since, asked.until))
        months = [
            month
            for month in _values(found, table.bucket_column.name, asked.chosen)
            if (since is None or month >= since) and (until is None or month <= until)
        ]
        return months[::-1] if table.clustering_order[0][1] == "asc" else months
    if table.date_column is None or asked.until is not None:
        return [asked.until]  # not in the key without a `date_column`, so `rows_statement` ignores it as its part
    if table.newest:
        days = reversed(range(table.newest[1] + 1))
        return [row[name] + timedelta(n) for n in days for row in found for name in row]
    return _values(found, table.date_column.name, asked.chosen)[:1]


def rows_statement(asked: Request, part: Value | None = None) -> Statement:
    """Reads the rows of one partition within the bounds. `part`: the partition's date or month, if its key has one."""
    table = asked.table
    bounds = [(name, "=", asked.chosen.get(name, part)) for name in table.partition_key]
    if table.range_column and not table.date_column:
        bounds += [(table.range_column.name, ">=", asked.since), (table.range_column.name, "<=", asked.until)]
    conditions = tuple((name, operator, value) for name, operator, value in bounds if value is not None)
    return Statement(table.name, tuple(table.columns), conditions, None if asked.ranked else asked.top)


def newest_statement(asked: Request) -> Statement:
    """Reads the newest usage date of an organisation."""
    assert asked.table.newest is not None  # the caller has checked it
    usage = tables()[asked.table.newest[0]]
    conditions = tuple((name, "=", value) for name, value in asked.chosen.items())
    return Statement(usage.name, usage.clustering_key[:1], conditions, limit=1)


def partitions_statement(table: ServingTable) -> Statement:
    """Reads the keys of all partitions of a table. Cassandra finds them without reading rows."""
    return Statement(table.name, table.partition_key, distinct=True)


def _values(keys: Sequence[Row], column: str, chosen: Mapping[str, str]) -> list[Any]:
    """The values of a column, in descending order, in the keys that have the values `chosen`."""
    found = {row[column] for row in keys if all(row[name] == value for name, value in chosen.items())}
    return sorted(found, reverse=True)


def _read(session: Session, statements: Sequence[Statement]) -> list[list[Row]]:
    """The rows of each statement. All statements run concurrently."""
    prepared = {text: session.prepare(text) for text in {statement.text for statement in statements}}
    pending = [session.execute_async(prepared[statement.text], statement.values) for statement in statements]
    return [list(future.result()) for future in pending]


def _expect_types(table: ServingTable, rows: Sequence[Row]) -> None:
    """PipelineError if a column of the table has another type, because others created or changed the table."""
    for name, kind in table.columns.items():
        expected = _PYTHON_TYPES.get(kind, object)
        if not all(row[name] is None or isinstance(row[name], expected) for row in rows):
            raise PipelineError(f"{table.name} holds {name} as another type than {kind}: {_OTHER_SCHEMA}")


def _expect_known(session: Session, asked: Request) -> None:
    """UsageError if no table knows the organisation; NothingServed if the tables have no rows."""
    if asked.org is None:
        table = asked.table
        if not any(_read(session, [Statement(table.name, table.partition_key, limit=1)])):
            raise NothingServed
        return
    org, by_org = asked.org, [name for name, table in tables().items() if table.partition_key == (_ORG,)]
    if any(_read(session, [Statement(name, (_ORG,), ((_ORG, "=", org),), limit=1) for name in by_org])):
        return
    pending = [session.execute_async(f"SELECT DISTINCT {_ORG} FROM {name} LIMIT {_MOST_NAMES}") for name in by_org]
    names = {str(row[_ORG]) for future in pending for row in future.result()}
    if not names:
        raise NothingServed
    wanted = SequenceMatcher(b=org.casefold())  # fast for many texts against this second one

    def distance(name: str) -> tuple[float, str]:
        wanted.set_seq1(name.casefold())
        return -wanted.ratio(), name

    raise UsageError(f"no organisation {org!r}; nearest: {', '.join(heapq.nsmallest(_NEAREST, names, key=distance))}")


def _rank(table: ServingTable, row: Row) -> tuple[Any, ...]:
    """Sort key: the highest value first, nulls last, ties in the order of the table."""
    value = row[str(table.top_by)]
    ties = [
        -row[name].toordinal() if direction == "desc" and table.declared[name].is_date else row[name]
        for name, direction in table.clustering_order
    ]
    return value is None, -(value or 0), *ties


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
