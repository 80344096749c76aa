"""The profile of each source: rows, nulls, distinct values, ranges, vocabulary, match rates, gaps in the dates.

Read from Silver, with the counts of quarantine beside it; for usage events also the words as they were written, from
Bronze, because Silver holds only those that a rule accepted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from cloud_analytics.config import EVENTS, Config
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.reading.tables import SOURCES, spark_types

MOST_WORDS = 50  # of each column; the rest is counted together
_AS_WRITTEN = ("service", "region", "metric", "unit", "schema_version")
_ORDERED = ("date", "timestamp")
_QUANTITIES = ("value", "cost_usd_increment", "carbon_kg", "genai_tokens")
_EVENT_WORDS = (
    "service", "region_code", "metric", "unit", "schema_version", "plan_tier", "hq_region", "resource_state", "role"
)  # fmt: skip
# source → the column whose dates should have no gap, and what one step is
_DATES = {
    EVENTS: ("date", "day"),
    "customers_orgs": ("signup_date", "day"),
    "users": ("created_at", "day"),
    "resources": ("created_at", "day"),
    "billing_monthly": ("month", "month"),
    "support_tickets": ("created_at", "day"),
    "nps_surveys": ("survey_date", "day"),
    "marketing_touches": ("timestamp", "day"),
}


@dataclass(frozen=True)
class ColumnProfile:
    """One column. `type` is Spark's name of it.

    `lowest`, `highest` and `mean` of numbers, dates and times (no mean); `vocabulary`: word → rows, most frequent
    first, of columns with a closed set of words; `other_words` counts the rows of words beyond the first 50.
    """

    type: str
    nulls: int
    distinct: int
    lowest: Any = None
    highest: Any = None
    mean: float | None = None
    vocabulary: dict[str, int] | None = None
    other_words: int = 0


@dataclass(frozen=True)
class Match:
    """How many of the rows that name a key find it in a master."""

    matched: int
    of: int

    @property
    def rate(self) -> float | None:
        """Share 0-1; None where no row names a key."""
        return self.matched / self.of if self.of else None


@dataclass(frozen=True)
class Gap:
    """Days (or months, by their first day) without a row between days that have some; both ends included."""

    first: date
    last: date
    length: int


@dataclass(frozen=True)
class DateProfile:
    """The dates of a source: first and last, how many have rows, and the gaps between."""

    column: str
    step: str
    first: date | None
    last: date | None
    with_rows: int
    gaps: list[Gap]


@dataclass(frozen=True)
class SourceProfile:
    """One source as Silver holds it. `quarantined` and `warnings` count rows by their name.

    `as_written` (usage events): the same of the columns as Bronze holds them, rejected rows included.
    """

    rows: int
    quarantined: dict[str, int]
    warnings: dict[str, int]
    columns: dict[str, ColumnProfile]
    matches: dict[str, Match]
    dates: DateProfile
    as_written: dict[str, ColumnProfile] = field(default_factory=dict)


@dataclass(frozen=True)
class _Table:
    """What is profiled together: the columns of a table that are shown, and which of them hold words."""

    name: str
    columns: dict[str, str]  # name → Spark's type
    words: Sequence[str]
    date: str | None = None


_Words = dict[str, dict[str, int]]  # column → word → rows, most frequent first


def profile(lake: LakeReader, config: Config, sources: Iterable[str] = SOURCES) -> dict[str, SourceProfile]:
    """Profile these sources of a lake."""
    return {source: _profile(lake, config, source) for source in sources}


def _profile(lake: LakeReader, config: Config, source: str) -> SourceProfile:
    types = spark_types(f"silver/{source}")
    flags = [name for name, kind in types.items() if kind == "boolean"]
    closed = _EVENT_WORDS if source == EVENTS else tuple(config.sources[source].vocabularies)
    day, step = _DATES[source]
    columns = {name: kind for name, kind in types.items() if name != "warnings"}
    table = _Table(f"silver.{source}", columns, (*closed, *flags), day)
    figures, words = _figures(lake, table), _words(lake, table)
    as_written = {}
    if source == EVENTS:
        in_bronze = spark_types(f"bronze/{EVENTS}")
        written = {name: kind for name, kind in in_bronze.items() if name in (*_AS_WRITTEN, *_QUANTITIES)}
        bronze = _Table(f"bronze.{EVENTS}", written, _AS_WRITTEN)
        as_written = _columns(bronze, _figures(lake, bronze), _words(lake, bronze))
    return SourceProfile(
        rows=figures["rows"],
        quarantined=_counts(lake, f"SELECT error_type AS word FROM quarantine.{source}"),
        warnings=_counts(lake, f"SELECT unnest(warnings) AS word FROM silver.{source}"),
        columns=_columns(table, figures, words),
        matches=_matches(lake, source),
        dates=_dates(day, step, [date.fromisoformat(word) for word in words[day]]),
        as_written=as_written,
    )


def _figures(lake: LakeReader, table: _Table) -> dict[str, Any]:
    """`rows`, and of each column its nulls, distinct values, lowest and highest as text, and mean."""
    columns = ", ".join(_aggregate(table, name) for name in table.columns)
    return lake.row(f"SELECT count(*) AS rows, {columns} FROM {table.name}")


def _aggregate(table: _Table, name: str) -> str:
    column, kind = f'"{name}"', table.columns[name]
    is_number = kind in ("double", "int", "bigint") or kind.startswith("decimal")
    ordered = f"{column} AT TIME ZONE 'UTC'" if kind == "timestamp" else column
    fields = {
        "nulls": f"count(*) - count({column})",
        "distinct": "NULL" if name in table.words else f"count(DISTINCT {column})",  # `_words` counts those
        "lowest": f"min({ordered})::VARCHAR" if is_number or kind in _ORDERED else "NULL",
        "highest": f"max({ordered})::VARCHAR" if is_number or kind in _ORDERED else "NULL",
        "mean": f"{'favg' if kind == 'double' else 'avg'}({column})" if is_number else "NULL",
    }
    return "{" + ", ".join(f"'{key}': {value}" for key, value in fields.items()) + f"}} AS {column}"


def _words(lake: LakeReader, table: _Table) -> _Words:
    """Each column of words, and the dates, with their rows: all counted in one pass over the table."""
    columns = [*table.words, *([table.date] if table.date else [])]
    sets = ", ".join(f'("{name}")' for name in columns)
    names = ", ".join(f'"{name}"::VARCHAR AS "{name}", grouping("{name}") AS "other {name}"' for name in columns)
    rows = lake.rows(f"SELECT {names}, count(*) AS rows FROM {table.name} GROUP BY GROUPING SETS ({sets})")
    found: _Words = defaultdict(dict)
    for name in columns:
        of_it = [row for row in rows if not row[f"other {name}"] and row[name] is not None]
        found[name] = {row[name]: row["rows"] for row in sorted(of_it, key=lambda row: (-row["rows"], row[name]))}
    return found


def _counts(lake: LakeReader, words: str) -> dict[str, int]:
    """Word → rows, most frequent first, of a SELECT of `word`."""
    rows = lake.rows(f"SELECT word, count(*) AS rows FROM ({words}) GROUP BY word ORDER BY rows DESC, word")
    return {row["word"]: row["rows"] for row in rows}


def _columns(table: _Table, figures: dict[str, Any], words: _Words) -> dict[str, ColumnProfile]:
    found = {}
    for name, kind in table.columns.items():
        vocabulary = words[name] if name in table.words else None
        shown = None if vocabulary is None else dict(list(vocabulary.items())[:MOST_WORDS])
        column = figures[name]
        found[name] = ColumnProfile(
            type=kind,
            nulls=column["nulls"],
            distinct=column["distinct"] if vocabulary is None else len(vocabulary),
            lowest=column["lowest"],
            highest=column["highest"],
            mean=column["mean"],
            vocabulary=shown,
            other_words=sum((vocabulary or {}).values()) - sum((shown or {}).values()),
        )
    return found


def _matches(lake: LakeReader, source: str) -> dict[str, Match]:
    """master → how many rows find it, of those that name a key of it."""
    if source == EVENTS:
        keys = {"customers_orgs": "org_id", "resources": "resource_id", "users": "user_id"}
    else:
        keys = {"customers_orgs": "org_id"} if source != "customers_orgs" else {}
    return {
        master: Match(**lake.row(
            f"SELECT count(*) FILTER ({key} IN (SELECT {key} FROM silver.{master})) AS matched, count({key}) AS of"
            f" FROM silver.{source}"
        ))
        for master, key in keys.items()
    }  # fmt: skip


def _dates(column: str, step: str, found: Iterable[date]) -> DateProfile:
    days = sorted({day.replace(day=1) if step == "month" else day for day in found})
    return DateProfile(column, step, days[0] if days else None, days[-1] if days else None, len(days), gaps(days, step))


def gaps(days: Sequence[date], step: str) -> list[Gap]:
    """The runs of days (step "day") or months ("month", given by first days) between sorted ones that are not there."""
    found = []
    for before, after in zip(days, days[1:]):
        first, last = _next(before, step), _previous(after, step)
        if first <= last:
            length = (last - first).days + 1 if step == "day" else _month(last) - _month(first) + 1
            found.append(Gap(first, last, length))
    return found


def _month(day: date) -> int:
    return day.year * 12 + day.month - 1


def _next(day: date, step: str) -> date:
    return day + timedelta(days=1) if step == "day" else date((_month(day) + 1) // 12, (_month(day) + 1) % 12 + 1, 1)


def _previous(day: date, step: str) -> date:
    return day - timedelta(days=1) if step == "day" else date((_month(day) - 1) // 12, (_month(day) - 1) % 12 + 1, 1)
