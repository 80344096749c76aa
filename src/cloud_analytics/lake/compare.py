"""Whether rows differ: hashes of rows and of whole tables, and what replacing a table changed, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


@dataclass(frozen=True)
class RowChanges:
    """How many rows came, how many went, and how many stayed under their key with other values."""

    added: int
    removed: int
    changed: int

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


Changes = dict[str, RowChanges]
"""Table → what replacing it changed."""


def row_hash(columns: Sequence[str]) -> Column:
    """A hash of a row's values (BIGINT). A null counts with its column, unlike in Spark's own hash."""
    names = [f"`{name}`" for name in columns]
    return F.expr(f"xxhash64({', '.join([*names, *(f'isnull({name})' for name in names)])})")


def content_hash(hashes: Column) -> Column:
    """The sum of rows' hashes (`row_hash`), as text; null without rows. It does not depend on the order of rows."""
    return F.sum(hashes.cast("decimal(20,0)")).cast("string")


def row_changes(old: DataFrame, new: DataFrame, key: Sequence[str]) -> RowChanges:
    """Compare two states of a table whose rows `key` tells apart; one job, which moves a key and a hash of each row."""
    columns = sorted(new.columns)
    before = old.select(*key, row_hash(columns).alias("old"), F.lit(None).cast("bigint").alias("new"))
    now = new.select(*key, F.lit(None).cast("bigint").alias("old"), row_hash(columns).alias("new"))
    rows = before.unionByName(now).groupBy(*key).agg(F.max("old").alias("old"), F.max("new").alias("new"))
    counts = {"added": F.isnull("old"), "removed": F.isnull("new"), "changed": F.col("old") != F.col("new")}
    row = rows.agg(*[F.count(F.when(condition, 1)).alias(name) for name, condition in counts.items()]).first()
    assert row is not None  # an aggregate without groups has one row
    return RowChanges(row.added, row.removed, row.changed)
