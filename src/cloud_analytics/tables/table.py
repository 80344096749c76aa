"""The declaration of a table: what it reads, what it holds, and how it is served."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cloud_analytics.tables.columns import Column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

    from cloud_analytics.config import Config

TTL_DAYS = 90
_KEY = re.compile(r"\(\((?P<partition>[^()]+)\)(?P<clustering>[^()]*)\)")


@dataclass(frozen=True)
class Read:
    """A table that is read, named by its folder in the lake, such as `gold/carbon_impact`.

    The subclasses say which of its dates are read to build one date of a table. A table without a partition column
    reads every other table as `Whole`.
    """

    table: str


class SameDate(Read):
    """Reads the date that is built."""


class Earlier(Read):
    """Reads all dates before the date that is built. A table may read its own earlier dates."""


class History(Read):
    """Reads the date that is built and all dates before it."""


class Whole(Read):
    """Reads all dates, or a table without dates."""


@dataclass(frozen=True)
class Days(Read):
    """Reads the date that is built and the `before` calendar days before it.

    The table that is built has each calendar date whose window is not empty, up to the last date that is read.
    """

    before: int


@dataclass(frozen=True)
class Serving:
    """How a mart is served: the table of the serving store that holds its rows, and the question it answers.

    `question` is the question's name on the command line. `asks` is the question as a sentence, after the role that
    asks it. `key` is the primary key as CQL writes it, with DESC after a column whose newest or largest values come
    first. The options of the question follow from the key:

    * `org_id` in the partition key: the question is about one organisation.
    * A date in the partition key: an answer holds the rows of one date.
    * A month in the partition key and a date as clustering column: the month of the date. It keeps partitions small.
    * Any other column of the partition key has an option of its own (`tag_key`: `--tag-key`).
    * A date or a month as the first clustering column: the question takes a range.

    `shown` are the columns that `run` prints when it shows an answer to each question; `run` skips a question without
    `shown`. `top_by` is the column by which `--top` ranks; without it, `--top` takes the newest rows.
    `newest` belongs to a table that has one partition per organisation and date. It names the table that holds the
    organisation's last date of usage, and the number of days after this date that still have a partition.
    """

    name: str
    question: str
    asks: str
    key: str
    shown: tuple[str, ...] = ()
    top_by: str | None = None
    newest: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"{self.name}: the key {self.key!r} is not like ((org_id), usage_date DESC, service)")

    @cached_property
    def partition_key(self) -> tuple[str, ...]:
        """The columns that a query must give a value for."""
        return tuple(name for name, _ in self._part("partition"))

    @cached_property
    def clustering_order(self) -> tuple[tuple[str, str], ...]:
        """Each clustering column, with `asc` or `desc`."""
        return self._part("clustering")

    def _part(self, name: str) -> tuple[tuple[str, str], ...]:
        match = _KEY.fullmatch(self.key)
        assert match is not None  # __post_init__ has checked it
        words = [part.split() for part in match[name].split(",") if part.strip()]
        return tuple((column, "".join(order).lower() or "asc") for column, *order in words)


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    `columns` are in the order in which people read them; in Parquet, the partition columns come last. `key` names the
    columns that identify a row. `partition` is the date column by which the table is replaced; a table without a
    `partition` is replaced as a whole. `below` are further partition columns: folders below the date.
    `reads` are the tables that its build gets as arguments, in this order. `settings` selects the part of the
    configuration that the build gets after them.

    `write_once`: `run` and `reconcile` add a partition for the newest date of the tables that are read. An existing
    partition is never replaced.
    `closes`: the month column of a table without partitions. Rows of a month that finance has closed do not change. In
    a table with the partition `usage_date` or `summary_date`, partitions of closed months do not change either.
    `of_closed_months`: the table has partitions of closed months only.
    `in_parts`: the lake may hold several rows for one key; a reader has to add their figures (`added`).
    `more_columns`: its files may have more columns than `columns`.
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
    more_columns: bool = False
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
        """Its folder in the lake."""
        return f"{self.zone}/{self.name}"

    @property
    def folders(self) -> tuple[str, ...]:
        """The columns that are folders in the lake."""
        return (self.partition, *self.below) if self.partition else ()

    def is_held(self, partition: str, closed: Collection[str]) -> bool:
        """Whether a partition must not change because finance has closed its month."""
        by_usage = self.partition in ("usage_date", "summary_date") and not self.of_closed_months
        return by_usage and partition[:7] in closed

    def is_final(self, partition: str, closed: Collection[str]) -> bool:
        """Whether a partition may hold rows that no later build would give again.

        Restatements are final, too, once the month in which they are booked is closed.
        """
        if self.of_closed_months:
            return any(month > partition[:7] for month in closed)
        return bool(closed) if self.closes else self.is_held(partition, closed)

    def may_have(self, partition: str, closed: Collection[str]) -> bool:
        """Whether the table may have this partition, and the partition may be built."""
        return partition[:7] in closed if self.of_closed_months else not self.is_held(partition, closed)

    @cached_property
    def stored(self) -> tuple[Column, ...]:
        """The columns in the order of Parquet."""
        folders = self.folders
        return tuple(sorted(self.columns, key=lambda c: folders.index(c.name) if c.name in folders else -1))

    @cached_property
    def schema(self) -> StructType:
        """Its Parquet schema."""
        from cloud_analytics.tables.spark_types import schema  # imports Spark

        return schema({column.name: column.type for column in self.stored})

    @property
    def figures(self) -> tuple[Column, ...]:
        """The columns that have a unit; `added` sums them."""
        return tuple(column for column in self.columns if column.unit)

    def added(self, parts: DataFrame) -> DataFrame:
        """Rows of a table `in_parts` → one row per key, with the sums of its figures. Nulls are ignored."""
        from cloud_analytics.spark import F

        sums = [F.sum(column.name).alias(column.name) for column in self.figures]
        same = [column.name for column in self.columns if column not in self.figures]
        return self.select(parts.groupBy(*same).agg(*sums))

    def select(self, frame: DataFrame) -> DataFrame:
        """Exactly the columns of this table, in the order of Parquet, cast to their types."""
        # SQL takes one message to the JVM per column; a Column that is cast and named takes three.
        return frame.selectExpr(*[f"cast(`{c.name}` as {c.type}) `{c.name}`" for c in self.stored])


@dataclass(frozen=True)
class Mart:
    """A table of Gold with the pure function that builds its rows; `about` says in one line what a row is."""

    table: Table
    build: Callable[..., DataFrame]
    about: str
