"""Takes back what was read from files that have changed since: their rows in Bronze, and the lines it rejected."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from cloud_analytics.bronze import ledger
from cloud_analytics.config import EVENTS
from cloud_analytics.lake.lake import Lake, Transaction, partition_folder, partition_values
from cloud_analytics.lake.schemas import BRONZE_EVENTS, QUARANTINE
from cloud_analytics.quality import quarantine
from cloud_analytics.quality.events import BRONZE_ERRORS


def lines_gone(lake: Lake, names: Collection[str], lines: DataFrame) -> dict[str, int]:
    """File → how many of its lines in Bronze, accepted or rejected, are not among the `lines` that it holds now.

    Only files that lost some. A line counts as often as it stands there.
    """
    if not names:
        return {}
    written, rejected = _holding(lake, names)
    before = [
        lake.read(ledger.TABLE, BRONZE_EVENTS, written).select("source_file", "raw"),
        lake.read(quarantine.table(EVENTS), QUARANTINE, rejected)
        .where("error_type != 'unreadable_file'")
        .select("source_file", "raw"),
    ]
    signed = [
        frame.select("source_file", F.xxhash64("raw").alias("line"), F.lit(sign).alias("times"))
        for frame, sign in ((before[0], 1), (before[1], 1), (lines, -1))
    ]
    both = reduce(DataFrame.unionByName, signed).where(F.col("source_file").isin(sorted(names)))
    lost = both.groupBy("source_file", "line").agg(F.sum("times").alias("lost")).where("lost > 0")
    return {row.source_file: row.n for row in lost.groupBy("source_file").agg(F.sum("lost").alias("n")).collect()}


def retract(lake: Lake, transaction: Transaction, names: Collection[str]) -> dict[str, bool]:
    """Remove every row of these files, as a part of the transaction.

    Returns the event dates that lose rows, with whether rows of other files are left there.
    """
    if not names:
        return {}
    going = F.col("source_file").isin(sorted(names))
    written, rejected = _holding(lake, names)
    _remove(lake, transaction, quarantine.table(EVENTS), QUARANTINE, quarantine.PARTITIONS, rejected, going)
    partitions = _partitions(lake, ledger.TABLE)
    left = _remove(lake, transaction, ledger.TABLE, BRONZE_EVENTS, ledger.PARTITIONS, written, going)
    full = {values["date"] for folder, values in partitions.items() if left.get(folder, True)}
    return {date: date in full for date in (partitions[folder]["date"] for folder in left)}


def _holding(lake: Lake, names: Collection[str]) -> tuple[list[str], list[str]]:
    """The partitions that may hold rows of these files: of Bronze, and of the lines that it rejected."""
    known = ledger.entries(lake)
    batches = {known[name][2] for name in names}
    written = [
        folder
        for folder, values in _partitions(lake, ledger.TABLE).items()
        if values["batch_id"] in batches or values["batch_id"].startswith(ledger.COMPACTED)
    ]
    rejects = _partitions(lake, quarantine.table(EVENTS))
    return written, [folder for folder, values in rejects.items() if values["error_type"] in BRONZE_ERRORS]


def _remove(
    lake: Lake,
    transaction: Transaction,
    table: str,
    schema: StructType,
    partition_by: Sequence[str],
    among: Sequence[str],
    going: Column,
) -> dict[str, int]:
    """Rewrite those of these partitions that hold going rows without them; returns their folders with the rows left."""
    if not among:
        return {}
    counts = F.count("*").alias("rows"), F.count(F.when(going, True)).alias("going")
    found = lake.read(table, schema, among).groupBy(*partition_by).agg(*counts).where("going > 0").collect()
    left = {"/".join(f"{name}={row[name]}" for name in partition_by): row.rows - row.going for row in found}
    if left:
        rest = lake.read(table, schema, left).where(~going)
        kept = lake.together(rest, ["date"], len(left)) if any(left.values()) else None
        transaction.replace(table, kept, partition_by, lambda path: partition_folder(path) in left)
    return left


def _partitions(lake: Lake, table: str) -> dict[str, dict[str, str]]:
    """Partition folder → its values, for each that holds a file."""
    folders = sorted({partition_folder(path) for path in lake.relative_files(table)})
    return {folder: partition_values(folder) for folder in folders}
