"""Merges Bronze's many small files, one for each micro-batch and date, into few: the rows stay as they are.

Only `batch_id` changes, since it names the partition; the ledger still says which micro-batch read a `source_file`. The
versions of the dates stay, so that Silver and Gold have nothing to do.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger
from cloud_analytics.config import EVENTS, Config
from cloud_analytics.lake.lake import Lake, Transaction, partition_folder, partition_values
from cloud_analytics.lake.schemas import BRONZE_EVENTS, QUARANTINE
from cloud_analytics.quality import quarantine
from cloud_analytics.quality.events import BRONZE_ERRORS


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
    dates, rejects = _scattered_dates(lake, config), _scattered_rejects(lake, config)
    if not dates and not rejects:
        return None
    before = _files(lake, dates, rejects)
    with lake.transaction() as transaction:
        if dates:
            _merge_events(lake, transaction, config, dates)
            waiting = {date: entry for date, entry in ledger.pending(lake).items() if date not in dates}
            transaction.put(ledger.PENDING, waiting)  # their partitions are gone
        if rejects:
            table = quarantine.table(EVENTS)
            rows = lake.together(lake.read(table, QUARANTINE, sorted(rejects)), ["date"], len(rejects))
            transaction.replace(table, rows, quarantine.PARTITIONS, lambda path: partition_folder(path) in rejects)
    return Compaction(len(dates), before, _files(lake, dates, rejects))


def _files(lake: Lake, dates: set[str], rejects: set[str]) -> int:
    events = sum(_date(path) in dates for path in lake.relative_files(ledger.TABLE))
    return events + sum(partition_folder(path) in rejects for path in lake.relative_files(quarantine.table(EVENTS)))


def _date(path: str) -> str:
    return partition_values(partition_folder(path))["date"]


def _scattered_dates(lake: Lake, config: Config) -> set[str]:
    clock = lake.state(ledger.CLOCK, None)
    if clock is None:
        return set()
    settings = config.pipeline.compaction
    # A date is finished so long after its last second.
    end = datetime.fromtimestamp(clock // 1_000_000, timezone.utc) - settings.finished_after - timedelta(days=1)
    files: dict[str, int] = defaultdict(int)
    for path in lake.relative_files(ledger.TABLE):
        values = partition_values(partition_folder(path))
        files[values["date"]] += not values["batch_id"].startswith(ledger.COMPACTED)
    return {date for date, n in files.items() if n >= settings.min_files and date <= end.date().isoformat()}


def _merge_events(lake: Lake, transaction: Transaction, config: Config, dates: set[str]) -> None:
    rows = lake.read(ledger.TABLE, BRONZE_EVENTS, [f"date={date}" for date in sorted(dates)])
    merged = rows.withColumn("batch_id", F.lit(f"{ledger.COMPACTED}{transaction.number}"))
    transaction.replace(
        ledger.TABLE,
        lake.together(merged, ["date"], len(dates)),
        ledger.PARTITIONS,
        lambda path: _date(path) in dates,
        rows_per_file=config.pipeline.compaction.max_rows_per_file,
    )


def _scattered_rejects(lake: Lake, config: Config) -> set[str]:
    """Partitions of the lines that Bronze rejected, of which each micro-batch adds a file."""
    files: dict[str, int] = defaultdict(int)
    for path in lake.relative_files(quarantine.table(EVENTS)):
        folder = partition_folder(path)
        files[folder] += partition_values(folder)["error_type"] in BRONZE_ERRORS
    return {folder for folder, n in files.items() if n >= config.pipeline.compaction.min_files}
