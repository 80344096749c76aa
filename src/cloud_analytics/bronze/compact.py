"""Merges Bronze's many small files, one for each micro-batch and date, into few: the rows stay as they are.

Only `batch_id` changes, since it names the partition; the ledger still says which micro-batch read a `source_file`. The
versions of the dates stay, so that Silver and Gold have nothing to do.
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
    """What a compaction did: event dates merged; files of Bronze and of its rejects before and after."""

    dates: int
    files_before: int
    files_after: int


def compact(lake: Lake, config: Config) -> Compaction | None:
    """Merge the finished dates that have enough files of micro-batches, in one transaction; None when there are none.

    Files that a compaction made do not count, so that a second one finds nothing to do.
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
            # The partitions of the micro-batches that Silver has not taken in are gone.
            known = lake.load(ledger.DATES)
            transaction.store(ledger.DATES, ledger.without_added(known, dates))
        if scattered_rejects:
            rows = lake.rows(QUARANTINED_EVENTS, sorted(scattered_rejects))
            merged = lake.gathered(rows, ["date"], len(scattered_rejects))
            going = lies_below(scattered_rejects)
            transaction.replace(QUARANTINED_EVENTS.path, merged, QUARANTINED_EVENTS.folders, going)
    return Compaction(len(dates), before, files())


def _scattered_dates(lake: Lake, config: Config) -> set[str]:
    clock = lake.state(ledger.CLOCK, None)
    if clock is None:
        return set()
    settings = config.pipeline.compaction
    # A date is finished `finished_after` its last second.
    end = datetime.fromtimestamp(clock // 1_000_000, timezone.utc) - settings.finished_after - timedelta(days=1)
    values = map(partition_values, map(partition_folder, lake.data_files(BRONZE_EVENTS.path)))
    files = Counter(found["date"] for found in values if not found["batch_id"].startswith(ledger.COMPACTED))
    return {date for date, n in files.items() if n >= settings.min_files and date <= end.date().isoformat()}
