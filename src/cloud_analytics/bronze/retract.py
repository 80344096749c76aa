"""Takes back what was read from files that have changed since: their rows in Bronze, and their rejected lines."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger, rejects
from cloud_analytics.lake.lake import Lake, Transaction, lies_below
from cloud_analytics.tables import Table
from cloud_analytics.tables.zones import BRONZE_EVENTS, QUARANTINED_EVENTS


def lines_gone(lake: Lake, names: Collection[str], lines: DataFrame) -> dict[str, int]:
    """File → how many of its lines in Bronze, accepted or rejected, are not among the `lines` that it holds now.

    Only files that lost some. A line counts as often as it occurs.
    """
    if not names:
        return {}
    accepted = lake.rows(BRONZE_EVENTS, _accepted(lake, names))
    rejected = lake.rows(QUARANTINED_EVENTS, rejects.partitions(lake))
    line = ("source_file", F.xxhash64("raw").alias("line"))
    before = accepted.select(*line).unionByName(rejected.where("error_type != 'unreadable_file'").select(*line))
    both = before.withColumn("times", F.lit(1)).unionByName(lines.select(*line, F.lit(-1).alias("times")))
    lost = (
        both.where(F.col("source_file").isin(sorted(names)))
        .groupBy("source_file", "line")
        .agg(F.sum("times").alias("n"))
    )
    found = lost.where("n > 0").groupBy("source_file").agg(F.sum("n").alias("n"))
    return {row.source_file: row.n for row in found.collect()}


def retract(lake: Lake, transaction: Transaction, names: Collection[str]) -> dict[str, bool]:
    """Remove every row of these files, as a part of the transaction.

    Returns the event dates that lose rows, each with whether rows of other files are left there.
    """
    if not names:
        return {}
    going = F.col("source_file").isin(sorted(names))
    _remove(lake, transaction, QUARANTINED_EVENTS, rejects.partitions(lake), going)
    partitions = lake.partitions(BRONZE_EVENTS.path)
    left = _remove(lake, transaction, BRONZE_EVENTS, _accepted(lake, names), going)
    full = {values["date"] for folder, values in partitions.items() if left.get(folder, True)}
    return {date: date in full for date in (partitions[folder]["date"] for folder in left)}


def _accepted(lake: Lake, names: Collection[str]) -> list[str]:
    """The partitions of Bronze that may hold rows of these files."""
    known = ledger.entries(lake)
    batches = {known[name].batch_id for name in names}
    return [
        folder
        for folder, values in lake.partitions(BRONZE_EVENTS.path).items()
        if values["batch_id"] in batches or values["batch_id"].startswith(ledger.COMPACTED)
    ]


def _remove(
    lake: Lake, transaction: Transaction, table: Table, folders: Collection[str], going: Column
) -> dict[str, int]:
    """Rewrite those of the partitions that hold `going` rows without them; returns their folders and the rows left."""
    if not folders:
        return {}
    counts = F.count("*").alias("rows"), F.count(F.when(going, True)).alias("going")
    found = lake.rows(table, folders).groupBy(*table.folders).agg(*counts)
    left = {
        "/".join(f"{name}={row[name]}" for name in table.folders): row.rows - row.going
        for row in found.where("going > 0").collect()
    }
    if left:
        rest = lake.rows(table, left).where(~going)
        kept = lake.gathered(rest, ["date"], len(left)) if any(left.values()) else None
        transaction.replace(table.path, kept, table.folders, lies_below(left))
    return left
