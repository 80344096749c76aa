"""A table as one declaration, and how it is served."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cloud_analytics.tables.columns import Column
from cloud_analytics.tables.reads import Read

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

    from cloud_analytics.config import Config

TTL_DAYS = 90
_KEY = re.compile(r"\(\((?P<partition>[^()]+)\)(?P<clustering>[^()]*)\)")


@dataclass(frozen=True)
class Serving:
    """The table of the serving store that holds a mart row for row, and the question that it answers.

    `key` is the primary key as CQL writes it, with DESC behind a column that is stored newest or largest first. What a
    question can be asked with follows from it:

    * `org_id` in the partition key: the question is about one organisation.
    * a date in the partition key: the answer is that of one date.
    * a month in the partition key, and a clustering date: the date's month, so that no partition grows for ever.
    * any other column of the partition key is an option of its own (`tag_key`: `--tag-key`).
    * a date or a month as the first clustering column: the question takes a range.

    `shown`: the columns that fit a terminal, for the tour of the answers that `run` prints; without them the question
    is not part of it. `top_by`: `--top` asks for the highest values of this column, not for the newest rows.
    `newest`: where the newest date of a table with one partition an organisation and date is found: a table whose
    first clustering column is that date, and how many days the answer may lie after it.
    """

    table: str
    question: str
    asks: str
    key: str
    shown: tuple[str, ...] = ()
    top_by: str | None = None
    newest: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"{self.table}: the key {self.key!r} is not like ((org_id), usage_date DESC, service)")

    @cached_property
    def partition_key(self) -> tuple[str, ...]:
        """The columns that a read must name."""
        return tuple(name for name, _ in self._part("partition"))

    @cached_property
    def clustering_order(self) -> tuple[tuple[str, str], ...]:
        """Each clustering column, with `asc` or `desc`."""
        return self._part("clustering")

    def _part(self, name: str) -> tuple[tuple[str, str], ...]:
        match = _KEY.fullmatch(self.key)
        assert match is not None  # __post_init__ has looked
        words = [part.split() for part in match[name].split(",") if part.strip()]
        return tuple((column, "".join(order).lower() or "asc") for column, *order in words)


@dataclass(frozen=True)
class Table:
    """A table of the lake. Columns stand in the order in which people read them; in Parquet, folders come last.

    `key` tells its rows apart. With `partition` (a date column) the table is replaced date by date, without it as a
    whole; `below` are columns that are folders below the date. With `write_once` a settling adds the partition of the
    newest date of what the table reads, if it is not there yet, and nothing ever replaces it. `reads` are what its
    build is given, in this order, and `settings` picks from the configuration what the build is given after them.

    `closes` is a column of months: rows of a month that finance has closed stay as they are. A table by `usage_date` or
    `summary_date` keeps the partitions of closed months; one `of_closed_months` has no others.

    A table `in_parts` may hold several rows of a key in the lake, whose figures are to be added (`added`).
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    reads: tuple[Read, ...] = ()
    partition: str | None = None
    below: tuple[str, ...] = ()
    settings: Callable[[Config], Any] | None = None
    serving: Serving | None = None
    write_once: bool = False
    in_parts: bool = False
    zone: str = "gold"
    closes: str | None = None
    of_closed_months: bool = False

    def __post_init__(self) -> None:
        names = {column.name for column in self.columns}
        serving = self.serving
        served = {*serving.partition_key, *(name for name, _ in serving.clustering_order)} if serving else set()
        unknown = sorted({*self.key, *served, *([self.partition] if self.partition else [])} - names)
        if unknown:
            raise ValueError(f"{self.name}: no column {', '.join(unknown)}")
        if serving and not served >= set(self.key):
            raise ValueError(f"{self.name}: the key {serving.key} does not tell the rows of {self.key} apart")

    @property
    def path(self) -> str:
        """Its folder below the lake."""
        return f"{self.zone}/{self.name}"

    def is_held(self, partition: str, closed: Collection[str]) -> bool:
        """Whether a partition stays as it is, since finance has closed its month."""
        by_usage = self.partition in ("usage_date", "summary_date") and not self.of_closed_months
        return by_usage and partition[:7] in closed

    def may_have(self, partition: str, closed: Collection[str]) -> bool:
        """Whether the table can have such a partition, and it may be built."""
        return partition[:7] in closed if self.of_closed_months else not self.is_held(partition, closed)

    @cached_property
    def stored(self) -> tuple[Column, ...]:
        """The columns in the order of Parquet."""
        folders = [self.partition, *self.below]
        return tuple(sorted(self.columns, key=lambda c: folders.index(c.name) if c.name in folders else -1))

    @cached_property
    def schema(self) -> StructType:
        """Its Parquet schema."""
        from cloud_analytics.tables.spark_types import columns  # imports Spark

        return columns(", ".join(f"{column.name} {column.type}" for column in self.stored))

    @property
    def figures(self) -> tuple[Column, ...]:
        """The columns that are added where the table is kept in parts: what has a unit."""
        return tuple(column for column in self.columns if column.unit)

    def added(self, parts: DataFrame) -> DataFrame:
        """Rows of a table that is kept in parts → the table, one row a key. Nulls count for nothing."""
        from cloud_analytics.spark import F

        sums = [F.sum(column.name).alias(column.name) for column in self.figures]
        same = [column.name for column in self.columns if column not in self.figures]
        return self.select(parts.groupBy(*same).agg(*sums))

    def select(self, frame: DataFrame) -> DataFrame:
        """Exactly the columns of this table, in the order of Parquet, cast to their types."""
        # As SQL: one message to the JVM a column, where a Column that is cast and named takes three.
        return frame.selectExpr(*[f"cast(`{c.name}` as {c.type}) `{c.name}`" for c in self.stored])


@dataclass(frozen=True)
class Mart:
    """A table of Gold, and the pure function that makes its rows of what it reads; `about` says what a row is."""

    table: Table
    build: Callable[..., DataFrame]
    about: str
