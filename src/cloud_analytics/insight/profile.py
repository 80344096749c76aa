"""The profile of each source: rows, nulls, distinct values, ranges, vocabulary, match rates, gaps in the dates.

Read from Silver, with the counts of quarantine beside it; for usage events also the words as they were written, from
Bronze, because Silver holds only those that a rule accepted. Two Spark actions, whatever the number of sources: one
aggregate a source, and the counts of the words of all sources.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DateType, NumericType, TimestampType

from cloud_analytics.bronze import ledger
from cloud_analytics.config import EVENTS, MASTERS, Config
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.schemas import BRONZE_EVENTS, QUARANTINE, SILVER_EVENTS, SILVER_MASTERS
from cloud_analytics.quality import quarantine

MOST_WORDS = 50  # of each column; the rest is counted together
_SKETCH = 14  # log2 of the sketch's size: distinct values are estimated to about 1 %
_AS_WRITTEN = ("service", "region", "metric", "unit", "schema_version")
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
    """One column. `distinct` is estimated, to about 1 %, unless `is_exact`.

    `lowest`, `highest` and `mean` of numbers, dates and times (no mean); `vocabulary`: word → rows, most frequent
    first, of columns with a closed set of words; `other_words` counts the rows of words beyond the first 50.
    """

    type: str
    nulls: int
    distinct: int
    is_exact: bool
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
    """What is profiled together: rows, its columns by the names that are shown, and which of them hold words."""

    name: str
    rows: DataFrame
    matched: DataFrame  # the same rows, with which masters they find
    columns: dict[str, Any]  # name → data type
    words: Sequence[str]


def profile(lake: Lake, config: Config, sources: Iterable[str] = (EVENTS, *MASTERS)) -> dict[str, SourceProfile]:
    """Profile these sources of a lake."""
    chosen = list(sources)
    tables = [_silver(lake, config, source) for source in chosen]
    if EVENTS in chosen:
        tables.append(_bronze(lake))
    facts = {table.name: row for table, row in zip(tables, _facts(tables))}
    words = _words(lake, tables, chosen)
    return {
        source: SourceProfile(
            rows=facts[source]["rows"],
            quarantined=dict(words[source, "quarantined"]),
            warnings=dict(words[source, "warnings"]),
            columns=_columns(table, facts[source], words),
            matches=_matches(table, facts[source]),
            dates=_dates(source, facts[source]["dates"]),
            as_written=_columns(tables[-1], facts["as_written"], words) if source == EVENTS else {},
        )
        for source, table in zip(chosen, tables)
    }


def _silver(lake: Lake, config: Config, source: str) -> _Table:
    schema = SILVER_EVENTS if source == EVENTS else SILVER_MASTERS[source]
    rows = matched = lake.read(f"silver/{source}", schema)
    flags = [item.name for item in schema if isinstance(item.dataType, BooleanType)]
    closed = _EVENT_WORDS if source == EVENTS else tuple(config.sources[source].vocabularies)
    # Silver's events carry whether organisation and resource were found; what it does not carry is looked up.
    if source == EVENTS:
        matched = looked_up(lake, rows, "users", "user_id", "user_matched")
    elif source != "customers_orgs":
        matched = looked_up(lake, rows, "customers_orgs", "org_id", "org_matched")
    columns = {item.name: item.dataType for item in schema if item.name != "warnings"}
    return _Table(source, rows, matched, columns, (*closed, *flags))


def looked_up(lake: Lake, rows: DataFrame, master: str, key: str, matched: str) -> DataFrame:
    """The rows with a column `matched`: true where the master holds their key, null where it does not."""
    known = lake.read(f"silver/{master}", SILVER_MASTERS[master]).select(key, F.lit(True).alias(matched))
    return rows.join(F.broadcast(known), key, "left")


def _bronze(lake: Lake) -> _Table:
    names = (*_AS_WRITTEN, *_QUANTITIES)
    columns = {item.name: item.dataType for item in BRONZE_EVENTS if item.name in names}
    rows = lake.read(ledger.TABLE, BRONZE_EVENTS)
    return _Table("as_written", rows, rows, columns, _AS_WRITTEN)


def _facts(tables: Sequence[_Table]) -> list[dict[str, Any]]:
    """Each table's aggregate; all of them in one Spark action."""
    facts = None
    for number, table in enumerate(tables):
        # A master fits one task: its aggregate needs no shuffle, which would be a job of its own.
        rows = table.matched.coalesce(1) if table.name in MASTERS else table.matched
        found = rows.agg(
            F.lit(number).alias("number"),
            F.count("*").alias("rows"),
            F.array(*[_figures(table, name) for name in table.columns]).alias("columns"),
            F.sort_array(F.collect_set(_date(table))).alias("dates"),
            F.array(*[F.struct(F.lit(n).alias("name"), *counts) for n, counts in _keys(table).items()])
            .cast("array<struct<name:string,matched:bigint,of:bigint>>")
            .alias("matches"),
        )
        facts = _union(facts, found)
    assert facts is not None  # there are tables
    return [row.asDict(recursive=True) for row in sorted(facts.collect(), key=lambda row: int(row.number))]


def _figures(table: _Table, name: str) -> Column:
    """Nulls, distinct, lowest and highest as text, mean: the same shape for every column."""
    column, kind = F.col(f"`{name}`"), table.columns[name]
    ordered = isinstance(kind, NumericType | DateType | TimestampType)
    nothing = F.lit(None)
    if name in table.words:
        distinct = F.lit(0).cast("bigint")  # `_words` counts them
    elif table.name in MASTERS:
        # The set itself: a dozen `count(distinct)` in one aggregate multiply the rows and take a minute to plan.
        distinct = F.size(F.collect_set(column)).cast("bigint")
    else:
        # A sketch, because exact counts would shuffle every value of every column. (approx_count_distinct keeps its
        # registers as 1,600 columns of the plan for each column.)
        distinct = F.hll_sketch_estimate(F.hll_sketch_agg(column.cast("string"), _SKETCH))
    return F.struct(
        F.lit(name).alias("name"),
        (F.count("*") - F.count(column)).alias("nulls"),
        distinct.alias("distinct"),
        (F.min(column) if ordered else nothing).cast("string").alias("lowest"),
        (F.max(column) if ordered else nothing).cast("string").alias("highest"),
        (F.avg(column.cast("double")) if isinstance(kind, NumericType) else nothing.cast("double")).alias("mean"),
    )


def _date(table: _Table) -> Column:
    if table.name not in _DATES:
        return F.lit(None).cast("date")
    column, step = _DATES[table.name]
    return F.trunc(column, "month") if step == "month" else F.col(column)


def _keys(table: _Table) -> dict[str, tuple[Column, Column]]:
    """master → (rows that match it, rows that name a key of it)."""
    matched = {"customers_orgs": (F.col("org_matched"), F.col("org_id").isNotNull())}
    if table.name == EVENTS:
        matched["resources"] = (F.col("resource_matched"), F.col("resource_id").isNotNull())
        matched["users"] = (F.col("user_matched"), F.col("user_id").isNotNull())
    elif table.name not in MASTERS or table.name == "customers_orgs":
        return {}
    return {
        name: (F.count(F.when(found, 1)).alias("matched"), F.count(F.when(named, 1)).alias("of"))
        for name, (found, named) in matched.items()
    }


def _words(lake: Lake, tables: Sequence[_Table], sources: Sequence[str]) -> dict[tuple[str, str], dict[str, int]]:
    """(source, column) → word → rows, most frequent first; with `warnings` and `quarantined`. One Spark action."""
    written = None
    for table in tables:
        pairs = [_pair(name, F.col(f"`{name}`").cast("string")) for name in table.words]
        if "warnings" in table.rows.columns:
            each = F.transform("warnings", lambda word: _pair("warnings", word))
            exploded = F.explode(F.concat(F.array(*pairs), each))
        else:
            exploded = F.explode(F.array(*pairs))
        written = _union(written, table.rows.select(F.lit(table.name).alias("source"), exploded.alias("pair")))
    for source in sources:
        pair = _pair("quarantined", F.col("error_type")).alias("pair")
        rejects = lake.read(quarantine.table(source), QUARANTINE).select(F.lit(source).alias("source"), pair)
        written = _union(written, rejects)
    assert written is not None  # there are tables
    found_words: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    words = written.where("pair.word is not null").groupBy("source", "pair.column", "pair.word")  # one shuffle for all
    rows = words.count().coalesce(1).collect()
    for row in sorted(rows, key=lambda row: (-row["count"], row.word)):
        found_words[row.source, row.column][row.word] = row["count"]
    return found_words


def _pair(name: str, word: Column) -> Column:
    return F.struct(F.lit(name).alias("column"), word.alias("word"))


def _union(frames: DataFrame | None, frame: DataFrame) -> DataFrame:
    return frame if frames is None else frames.unionByName(frame)


def _columns(
    table: _Table, facts: dict[str, Any], words: dict[tuple[str, str], dict[str, int]]
) -> dict[str, ColumnProfile]:
    found = {}
    for figures in facts["columns"]:
        name = figures["name"]
        vocabulary = words[table.name, name] if name in table.words else None
        shown = None if vocabulary is None else dict(list(vocabulary.items())[:MOST_WORDS])
        kind = table.columns[name]
        found[name] = ColumnProfile(
            type=kind.simpleString(),
            nulls=figures["nulls"],
            distinct=figures["distinct"] if vocabulary is None else len(vocabulary),
            is_exact=vocabulary is not None or table.name in MASTERS,
            lowest=figures["lowest"],
            highest=figures["highest"],
            mean=figures["mean"],
            vocabulary=shown,
            other_words=sum((vocabulary or {}).values()) - sum((shown or {}).values()),
        )
    return found


def _matches(table: _Table, facts: dict[str, Any]) -> dict[str, Match]:
    return {item["name"]: Match(item["matched"], item["of"]) for item in facts["matches"]}


def _dates(source: str, days: list[date]) -> DateProfile:
    column, step = _DATES[source]
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
