"""Stages new partitions of a table with a hash of each; only partitions whose content differs are moved in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.lake.lake import Lake, Transaction, lies_below
from cloud_analytics.lake.rows import collected_with_contents, content_hash, row_hash
from cloud_analytics.tables import Table

Contents = dict[str, tuple[str, int]]
"""Partition ("" for a table without partitions) → (hash, number of rows). Partitions without rows are left out."""


@dataclass(frozen=True)
class Staged:
    """Rows of some partitions of a table in a staging folder. A partition without rows has no files there.

    `contents`: None if only a query can find them.
    """

    table: Table
    folder: str
    partitions: frozenset[str] = frozenset()
    contents: Contents | None = None


def stage(transaction: Transaction, table: Table, rows: DataFrame, partitions: Collection[str], little: bool) -> Staged:
    """Stage the rows of some partitions. With `little` input their contents are computed at once."""
    partition_by = [table.partition] if table.partition else []
    if little:
        collected, contents = collected_with_contents(rows, table.partition)
        return Staged(table, transaction.stage(collected, partition_by), frozenset(partitions), contents)
    gathered = transaction.lake.gathered(rows, partition_by, len(partitions))
    return Staged(table, transaction.stage(gathered, partition_by), frozenset(partitions))


def contents(lake: Lake, staged: Sequence[Staged]) -> dict[str, Contents]:
    """Path of each table → the contents of its staged partitions. One query hashes all unknown contents."""
    found = {entry.table.path: dict(entry.contents or {}) for entry in staged}

    def hashes(entry: Staged) -> DataFrame:
        rows, partition = lake.read(entry.folder, entry.table.schema), entry.table.partition
        name = F.col(partition).cast("string") if partition else F.lit("")
        return rows.select(
            F.lit(entry.table.path).alias("path"), name.alias("name"), row_hash(rows.columns).alias("hash")
        )

    unknown = [hashes(entry) for entry in staged if entry.contents is None]
    if unknown:
        groups = reduce(DataFrame.unionByName, unknown).groupBy("path", "name")
        for row in groups.agg(content_hash(F.col("hash")).alias("hash"), F.count("*").alias("rows")).collect():
            found[row.path][row.name] = (row.hash, row.rows)
    return found


def place(
    transaction: Transaction, table: Table, staged: str | None, coming: Collection[str], going: Collection[str]
) -> None:
    """Add the `coming` partitions of a staging folder to the table, and drop the table's `going` partitions."""
    if table.partition is None:
        transaction.place(table.path, staged if coming else None)
        return
    keep, remove = (lies_below([f"{table.partition}={name}" for name in names]) for names in (coming, going))
    transaction.place(table.path, staged, remove if going else None, keep)
