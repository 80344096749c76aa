"""Merges the small files of Silver dates to which many micro-batches have added files; the rows do not change."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from cloud_analytics.config import Config
from cloud_analytics.lake.lake import Lake, partition_folder
from cloud_analytics.silver import state as silver_state
from cloud_analytics.tables.zones import QUARANTINED_EVENTS, SILVER_EVENTS


def join_parts(lake: Lake, config: Config) -> list[str]:
    """Merge files of events and rejects on each date that has as many parts as `stream.max_parts`; return the dates.

    A file is merged with the smaller files if these together have at least half its size. So the sizes of the files
    grow exponentially: a date has few files however long its day is, and each row is rewritten only a few times.
    """
    state = lake.load(silver_state.DOCUMENT)
    most = config.pipeline.stream.max_parts
    crowded = sorted(date for date, entry in state.dates.items() if len(entry.parts) >= most)
    if not crowded:
        return []
    with lake.transaction() as transaction:
        for table in (SILVER_EVENTS, QUARANTINED_EVENTS):
            lengths = {date: lake.data_files(f"{table.path}/date={date}") for date in crowded}
            small = {f"date={date}/{path}" for date in crowded for path in small_files(lengths[date])}
            if small:
                folders = set(map(partition_folder, small))
                rows = lake.gathered(lake.rows(table, sorted(small)), table.folders, len(folders))
                transaction.replace(table.path, rows, table.folders, small.__contains__)
        joined = {date: replace(state.dates[date], base=state.dates[date].version, parts=()) for date in crowded}
        transaction.store(silver_state.DOCUMENT, replace(state, dates={**state.dates, **joined}))
    return crowded


def small_files(lengths: dict[str, int]) -> list[str]:
    """The paths of the files to merge with other files of their partition. `lengths`: path → bytes."""
    partitions: dict[str, list[str]] = defaultdict(list)
    for path in sorted(lengths, key=lengths.__getitem__):
        partitions[partition_folder(path)].append(path)
    found = []
    for paths in partitions.values():
        joined, together = 1, lengths[paths[0]]
        while joined < len(paths) and lengths[paths[joined]] <= 2 * together:
            together += lengths[paths[joined]]
            joined += 1
        found += paths[:joined] if joined > 1 else []
    return found
