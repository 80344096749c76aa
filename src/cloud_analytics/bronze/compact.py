"""Merges the many small files of Bronze, one per micro-batch and date, into few files. The rows do not change.

Only `batch_id` changes, since it names the partition. The ledger still says which micro-batch read a `source_file`. The
versions of the dates do not change, so Silver and Gold are not rebuilt.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger, rejects
from cloud_analytics.config import Config
from cloud_analytics.lake.lake import Lake, lies_below, partition_folder, partition_values
from cloud_analytics.tables.zones import BRONZE_EVENTS, QUARANTINED_EVENTS


@dataclass(frozen=True)
class Compaction:
    """What a compaction did: event dates merged; number of files of Bronze and its rejects before and after."""

    dates: int
    files_before: int
    files_after: int


def compact(lake: Lake, config: Config) -> Compaction | None:
    """Merge finished dates that have enough micro-batch files, and partitions of rejects that have enough files.

    All merges are one transaction. Returns None if there is nothing to merge. For a date, files from an earlier
    compaction do not count, so a second compaction finds nothing to do.
    """
    settings = config.pipeline.compaction
    dates = _scattered_dates(lake, config)
    files_of_rejects = Counter(map(partition_folder, lake.data_files(QUARANTINED_EVENTS.path)))
    scattered_rejects = {
        folder for folder in rejects.partitions(lake) if files_of_rejects[folder] >= settings.min_files
    }
    if not dates and not scattered_rejects:
        return None
    folders = {f"date={date}" for date in dates}
    scattered = {BRONZE_EVENTS.path: folders, QUARANTINED_EVENTS.path: scattered_rejects}

    def files() -> int:
        return sum(sum(map(lies_below(found), lake.data_files(table))) for table, found in scattered.items())

    before = files()
    with lake.transaction() as transaction:
        if dates:
            rows = lake.rows(BRONZE_EVENTS, sorted(folders))
            rows = rows.withColumn("batch_id", F.lit(f"{ledger.COMPACTED}{transaction.number}"))
            merged = lake.gathered(rows, ["date"], len(dates))
            transaction.replace(
                BRONZE_EVENTS.path, merged, BRONZE_EVENTS.folders, lies_below(folders), settings.max_rows_per_file
            )
            # The partitions of single micro-batches are gone, so Silver can no longer add their rows alone.
            known = lake.load(ledger.DATES)
            transaction.store(ledger.DATES, ledger.without_added(known, dates))
        if scattered_rejects:
            rows = lake.rows(QUARANTINED_EVENTS, sorted(scattered_rejects))
            merged = lake.gathered(rows, ["date"], len(scattered_rejects))
            going = lies_below(scattered_rejects)
            transaction.replace(QUARANTINED_EVENTS.path, merged, QUARANTINED_EVENTS.folders, going)
    return Compaction(len(dates), before, files())


def _scattered_dates(lake: Lake, config: Config) -> set[str]:
    clock = lake.load(ledger.CLOCK)
    if clock is None:
        return set()
    settings = config.pipeline.compaction
    # A date is finished when the newest event time seen is `finished_after` later than the end of the date.
    end = datetime.fromtimestamp(clock // 1_000_000, timezone.utc) - settings.finished_after - timedelta(days=1)
    values = map(partition_values, map(partition_folder, lake.data_files(BRONZE_EVENTS.path)))
    files = Counter(found["date"] for found in values if not found["batch_id"].startswith(ledger.COMPACTED))
    return {date for date, n in files.items() if n >= settings.min_files and date <= end.date().isoformat()}
