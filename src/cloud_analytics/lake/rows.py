"""Hashes that tell whether rows or tables differ, and Parquet files of few rows, which this process writes itself.

For few rows Spark needs longer to prepare a write than to write the rows: it shuffles them so that each partition is in
one task, then opens and commits each file. If the input is larger than `LITTLE_BYTES`, Spark's tasks write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from cloud_analytics.lake.folder import NO_VALUE

LITTLE_BYTES = 16 * 2**20
_HASH = "_hash"


@dataclass(frozen=True)
class RowChanges:
    """The number of rows with a new key, with a key that is gone, and with the same key but other values."""

    added: int
    removed: int
    changed: int

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


Changes = dict[str, RowChanges]
"""Table → the row changes when it was replaced."""


def row_hash(columns: Sequence[str]) -> Column:
    """A hash of a row's values (BIGINT). Spark's hash skips nulls, so here `isnull` of each column is hashed too."""
    names = [f"`{name}`" for name in columns]
    return F.expr(f"xxhash64({', '.join([*names, *(f'isnull({name})' for name in names)])})")


def content_hash(hashes: Column) -> Column:
    """The sum of the rows' hashes (`row_hash`), as text; null without rows. The order of rows does not matter."""
    return F.sum(hashes.cast("decimal(20,0)")).cast("string")


def row_changes(old: DataFrame, new: DataFrame, key: Sequence[str]) -> RowChanges:
    """Compare two states of a table whose rows have the key `key`. One Spark job shuffles a key and a hash per row."""
    columns = sorted(new.columns)
    before = old.select(*key, row_hash(columns).alias("old"), F.lit(None).cast("bigint").alias("new"))
    now = new.select(*key, F.lit(None).cast("bigint").alias("old"), row_hash(columns).alias("new"))
    rows = before.unionByName(now).groupBy(*key).agg(F.max("old").alias("old"), F.max("new").alias("new"))
    counts = {"added": F.isnull("old"), "removed": F.isnull("new"), "changed": F.col("old") != F.col("new")}
    row = rows.agg(*[F.count(F.when(condition, 1)).alias(name) for name, condition in counts.items()]).first()
    assert row is not None  # an aggregate without groups has one row
    return RowChanges(row.added, row.removed, row.changed)


def is_little(frames: Iterable[DataFrame]) -> bool:
    """Whether the files behind these DataFrames are so small that one task reads them as fast as many tasks."""

    def size(frame: DataFrame) -> int:
        leaves = frame._jdf.queryExecution().analyzed().collectLeaves()
        return sum(int(leaves.apply(place).stats().sizeInBytes()) for place in range(leaves.size()))

    return sum(map(size, frames)) <= LITTLE_BYTES


def computed_once(until: ExitStack, frame: DataFrame, little: bool) -> DataFrame:
    """The same rows, to be read by several queries: they are computed once, and kept until the stack is closed.

    Otherwise each query would plan again how these rows are made, which for little rows takes longer than to make them.
    So `little` rows are computed at once and lose their plan. On a cluster they keep it: an executor that dies takes
    its rows with it, and Spark must be able to make them again.
    """
    spark = frame.sparkSession.sparkContext._jsc.sc()
    if little and spark.isLocal():
        rows = frame.localCheckpoint()
        until.callback(spark.unpersistRDD, rows._jdf.queryExecution().analyzed().rdd().id(), False)
    else:
        rows = frame.persist(StorageLevel.MEMORY_AND_DISK)
        until.callback(rows.unpersist)
    return rows


def collected(frame: DataFrame) -> pa.Table:
    """The rows of a DataFrame as an Arrow table; runs one Spark job."""
    batches = frame._collect_as_arrow()
    return pa.Table.from_batches(batches) if batches else to_arrow_schema(frame.schema).empty_table()


def collected_with_contents(frame: DataFrame, partition: str | None) -> tuple[pa.Table, dict[str, tuple[str, int]]]:
    """The rows of a DataFrame, and partition ("" if `partition` is None) → (content hash, number of rows).

    The hashes equal those of `content_hash`. Runs one Spark job.
    """
    rows = collected(frame.withColumn(_HASH, row_hash(frame.columns)))
    names = pc.cast(rows[partition], pa.string()) if partition else pa.repeat("", len(rows))
    hashes = pa.table({"name": names, "hash": rows[_HASH].cast(pa.decimal128(20, 0))})
    found = hashes.group_by("name").aggregate([("hash", "sum"), ("hash", "count")]).to_pylist()
    contents = {row["name"]: (str(row["hash_sum"]), row["hash_count"]) for row in found}
    return rows.drop_columns([_HASH]), contents


def parquet_files(rows: pa.Table, partition_by: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """(folder, bytes) of one Parquet file per partition. Without `partition_by` it is one file, even without rows."""
    if not partition_by:
        yield "", _parquet(rows)
        return
    rows = rows.take(pc.sort_indices(rows, [(name, "ascending") for name in partition_by]))
    # A null becomes a character that no value holds, so that it differs from an empty text.
    texts = [pc.fill_null(pc.cast(rows[name], pa.string()), "\0") for name in partition_by]
    runs = pc.run_end_encode(pc.binary_join_element_wise(*texts, "\0").combine_chunks())
    begin = 0
    for end in runs.run_ends.to_pylist():
        part = rows.slice(begin, end - begin)
        begin = end
        folder = "/".join(f"{name}={_folder(part[name][0].as_py())}" for name in partition_by)
        yield folder, _parquet(part.drop_columns(partition_by))


def _parquet(rows: pa.Table) -> bytes:
    stream = BytesIO()
    pq.write_table(rows, stream)
    return stream.getvalue()


def _folder(value: Any) -> str:
    """The folder name of a value, escaped as Hive and Spark do."""
    if value is None or value == "":
        return NO_VALUE
    return "".join(f"%{ord(char):02X}" if char < " " or char in "\"#%'*/:=?\\\x7f{[]^" else char for char in str(value))
