"""What replacing a table changed, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


@dataclass(frozen=True)
class RowChanges:
    """Rows that came, that went, and that stayed under their key with other values."""

    added: int
    removed: int
    changed: int

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


Changes = dict[str, RowChanges]
"""Table → what replacing it changed."""


def row_hash(columns: Sequence[str]) -> Column:
    """A hash of a row's values (BIGINT). Nulls count by their place: Spark's own hash passes over them."""
    names = [f"`{name}`" for name in columns]
    return F.expr(f"xxhash64({', '.join([*names, *(f'isnull({name})' for name in names)])})")


def row_changes(old: DataFrame, new: DataFrame, key: Sequence[str]) -> RowChanges:
    """Compare two states of a table whose rows `key` tells apart; one job, which moves a key and a hash of each row."""
    columns = sorted(new.columns)

    def hashed(frame: DataFrame, side: str) -> DataFrame:
        return frame.select(*key, row_hash(columns).alias("hash"), F.lit(side).alias("side"))

    def of(side: str) -> Column:
        return F.max(F.when(F.col("side") == side, F.col("hash"))).alias(side)

    rows = hashed(old, "old").unionByName(hashed(new, "new")).groupBy(*key).agg(of("old"), of("new"))
    counts = {"added": F.isnull("old"), "removed": F.isnull("new"), "changed": F.col("old") != F.col("new")}
    row = rows.agg(*[F.count(F.when(condition, 1)).alias(name) for name, condition in counts.items()]).first()
    assert row is not None  # an aggregate without groups has one row
    return RowChanges(row.added, row.removed, row.changed)
