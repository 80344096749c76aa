"""The profile of each source: rows, nulls, distinct values, ranges, vocabulary, match rates, gaps in the dates.

The profile is read from Silver; it also counts the rows in quarantine. For usage events it also has the words as the
sources wrote them. These are read from Bronze, because Silver holds only words that a rule accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice, pairwise
from typing import Any

from cloud_analytics.config import EVENTS, Config
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.reading.tables import SOURCES, tables
from cloud_analytics.tables.zones import BRONZE_EVENTS

MOST_WORDS = 50  # words per column; the rows of all other words are one count
_AS_WRITTEN = ("service", "region", "metric", "unit", "schema_version")
_ORDERED = ("date", "timestamp")
_QUANTITIES = ("value", "cost_usd_increment", "carbon_kg", "genai_tokens")
_EVENT_WORDS = (
    "service", "region_code", "metric", "unit", "schema_version", "plan_tier", "hq_region", "resource_state", "role"
)  # fmt: skip
# source → (the column whose dates should have no gap, the step between two dates)
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
    """The profile of one column; `type` is the name of its type in Spark.

    Numbers have `lowest`, `highest` and `mean`; dates and times have no mean. A column with a closed set of words has a
    `vocabulary`: its 50 most frequent words with their row counts; `other_words` counts the rows of all other words.
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
    """How many of the rows with a key find this key in a master."""

    matched: int
    of: int

    @property
    def rate(self) -> float | None:
        """The share of matched rows, 0-1; None if no row has a key."""
        return self.matched / self.of if self.of else None


@dataclass(frozen=True)
class Gap:
    """A run of days (or months, by their first day) without rows; `first` and `last` are the ends of the gap itself."""

    first: date
    last: date
    length: int


@dataclass(frozen=True)
class DateProfile:
    """The dates of a source: the first, the last, the number of dates with rows, and the gaps between them."""

    column: str
    step: str
    first: date | None
    last: date | None
    with_rows: int
    gaps: list[Gap]


@dataclass(frozen=True)
class SourceProfile:
    """The profile of one source in Silver; `quarantined` and `warnings` map the id of a rule to its number of rows.

    `as_written` (usage events only) profiles columns of Bronze, so it includes the rejected rows that Bronze holds.
    """

    rows: int
    quarantined: dict[str, int]
    warnings: dict[str, int]
    columns: dict[str, ColumnProfile]
    matches: dict[str, Match]
    dates: DateProfile
    as_written: dict[str, ColumnProfile] = field(default_factory=dict)


def profile(lake: LakeReader, config: Config, sources: Iterable[str] = SOURCES) -> dict[str, SourceProfile]:
    """Return source → its profile, for these sources of a lake."""
    return {source: _profile(lake, config, source) for source in sources}


def _profile(lake: LakeReader, config: Config, source: str) -> SourceProfile:
    columns = {column.name: column.type for column in tables()[f"silver/{source}"].stored if column.name != "warnings"}
    flags = [name for name, kind in columns.items() if kind == "boolean"]
    closed = _EVENT_WORDS if source == EVENTS else tuple(config.sources[source].vocabularies)
    day, step = _DATES[source]
    rows, profiles, counts = _columns(lake, f"silver.{source}", columns, (*closed, *flags), (day,))
    as_written: dict[str, ColumnProfile] = {}
    if source == EVENTS:
        shown = (*_AS_WRITTEN, *_QUANTITIES)
        written = {column.name: column.type for column in BRONZE_EVENTS.stored if column.name in shown}
        _, as_written, _ = _columns(lake, f"bronze.{EVENTS}", written, _AS_WRITTEN)
    return SourceProfile(
        rows=rows,
        quarantined=_counts(lake, f"SELECT error_type AS word FROM quarantine.{source}"),
        warnings=_counts(lake, f"SELECT unnest(warnings) AS word FROM silver.{source}"),
        columns=profiles,
        matches=_matches(lake, source),
        dates=_dates(day, step, counts[day]),
        as_written=as_written,
    )


def _columns(
    lake: LakeReader, table: str, columns: dict[str, str], words: Sequence[str], counted: Sequence[str] = ()
) -> tuple[int, dict[str, ColumnProfile], dict[str, dict[str, int]]]:
    """The row count of a table, the profiles of these columns (name → Spark's type), and the row count of each word.

    Words are counted in the columns `words`, which have a vocabulary, and in the columns `counted`.
    """
    aggregates = ", ".join(_aggregate(name, kind, name in words) for name, kind in columns.items())
    figures = lake.row(f"SELECT count(*) AS rows, {aggregates} FROM {table}")
    counts = _word_counts(lake, table, [*words, *counted])
    profiles = {}
    for name, kind in columns.items():
        found = {"type": kind, **figures[name]}
        if name in words:
            shown = dict(islice(counts[name].items(), MOST_WORDS))
            others = sum(counts[name].values()) - sum(shown.values())
            found |= {"distinct": len(counts[name]), "vocabulary": shown, "other_words": others}
        profiles[name] = ColumnProfile(**found)
    return figures["rows"], profiles, counts


def _aggregate(name: str, kind: str, has_words: bool) -> str:
    """SQL: a struct named like the column, with its nulls, distinct values, lowest and highest (as text), and mean."""
    column = f'"{name}"'
    is_number = kind in ("double", "int", "bigint") or kind.startswith("decimal")
    ordered = f"{column} AT TIME ZONE 'UTC'" if kind == "timestamp" else column
    has_range = is_number or kind in _ORDERED
    fields = {
        "nulls": f"count(*) - count({column})",
        "distinct": "NULL" if has_words else f"count(DISTINCT {column})",  # `_word_counts` counts the words
        "lowest": f"min({ordered})::VARCHAR" if has_range else "NULL",
        "highest": f"max({ordered})::VARCHAR" if has_range else "NULL",
        "mean": f"{'favg' if kind == 'double' else 'avg'}({column})" if is_number else "NULL",
    }
    return "{" + ", ".join(f"'{key}': {value}" for key, value in fields.items()) + f"}} AS {column}"


def _word_counts(lake: LakeReader, table: str, columns: Sequence[str]) -> dict[str, dict[str, int]]:
    """Column → word → rows, most frequent first. All columns are counted in one pass over the table."""
    sets = ", ".join(f'("{name}")' for name in columns)
    names = ", ".join(f'"{name}"::VARCHAR AS "{name}", grouping("{name}") AS "other {name}"' for name in columns)
    rows = lake.rows(f"SELECT {names}, count(*) AS rows FROM {table} GROUP BY GROUPING SETS ({sets})")
    found = {}
    for name in columns:
        of_it = [row for row in rows if not row[f"other {name}"] and row[name] is not None]
        found[name] = {row[name]: row["rows"] for row in sorted(of_it, key=lambda row: (-row["rows"], row[name]))}
    return found


def _counts(lake: LakeReader, words: str) -> dict[str, int]:
    """Word → rows, most frequent first; `words` is a SELECT of one column `word`."""
    rows = lake.rows(f"SELECT word, count(*) AS rows FROM ({words}) GROUP BY word ORDER BY rows DESC, word")
    return {row["word"]: row["rows"] for row in rows}


def _matches(lake: LakeReader, source: str) -> dict[str, Match]:
    """Master → how many of the rows with a key of this master find it there."""
    keys = {"customers_orgs": "org_id"}
    if source == EVENTS:
        keys |= {"resources": "resource_id", "users": "user_id"}
    query = (
        "SELECT count(*) FILTER ({key} IN (SELECT {key} FROM silver.{master})) AS matched, count({key}) AS of"
        " FROM silver.{source}"
    )
    return {
        master: Match(**lake.row(query.format(key=key, master=master, source=source)))
        for master, key in keys.items()
        if master != source
    }


def _dates(column: str, step: str, found: Iterable[str]) -> DateProfile:
    days = sorted({date.fromisoformat(text[:7] + "-01" if step == "month" else text) for text in found})
    return DateProfile(column, step, days[0] if days else None, days[-1] if days else None, len(days), gaps(days, step))


def gaps(days: Sequence[date], step: str) -> list[Gap]:
    """The gaps between these sorted days. With the step "month", each day is the first day of its month."""

    def number(day: date) -> int:
        return day.toordinal() if step == "day" else day.year * 12 + day.month - 1

    def day_of(number: int) -> date:
        return date.fromordinal(number) if step == "day" else date(number // 12, number % 12 + 1, 1)

    steps = pairwise(map(number, days))
    return [
        Gap(day_of(before + 1), day_of(after - 1), after - before - 1) for before, after in steps if after > before + 1
    ]
