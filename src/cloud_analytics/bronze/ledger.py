"""What Bronze knows of the event files: which it ingested, as they then were, and the version of each date.

Kept in state documents of the lake, committed together with the rows they speak of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from cloud_analytics.config import EVENTS
from cloud_analytics.lake.files import FileInfo
from cloud_analytics.lake.folder import LakeFolder

TABLE = f"bronze/{EVENTS}"
PARTITIONS = ("date", "batch_id")
COMPACTED = "compacted-"  # how the batch_id of a partition begins that holds the rows of many micro-batches
LEDGER = f"_state/{EVENTS}_ledger"  # what `entries` returns
DATES = f"_state/{EVENTS}_bronze_dates"  # date that has rows → number of the transaction that last changed them
BEGAN = f"_state/{EVENTS}_began"  # time of the first micro-batch, in milliseconds since 1970; 0 where nobody knows it
PENDING = f"_state/{EVENTS}_pending"  # what `pending` returns
CLOCK = f"_state/{EVENTS}_newest"  # newest event time seen, in microseconds since 1970


def entries(lake: LakeFolder) -> dict[str, list[Any]]:
    """File name → [length, modification time in milliseconds, batch_id]."""
    known: dict[str, list[Any]] = lake.state(LEDGER, {})
    return known


def new(lake: LakeFolder, files: Iterable[FileInfo]) -> list[FileInfo]:
    """The files that were never ingested."""
    known = entries(lake)
    return [info for info in files if info.name not in known]


def changed(lake: LakeFolder, files: Iterable[FileInfo]) -> list[FileInfo]:
    """The files that were ingested, and have another length or modification time since."""
    known = entries(lake)
    return [info for info in files if info.name in known and known[info.name][:2] != [info.length, info.modified]]


def archived(lake: LakeFolder, files: Iterable[FileInfo]) -> list[str]:
    """Names of the files that were ingested and are not among these any more."""
    return sorted(set(entries(lake)) - {info.name for info in files})


def pending(lake: LakeFolder) -> dict[str, list[Any]]:
    """Date → [the version that it had, batch_ids]: micro-batches since then that only added rows, not in Silver yet.

    A date that has lost rows meanwhile has another version than the one that is named here, or no entry.
    """
    found: dict[str, list[Any]] = lake.state(PENDING, {})
    return found


def pending_with(
    lake: LakeFolder, batch_id: str, written: Iterable[str], lost: Collection[str]
) -> dict[str, list[Any]]:
    """`pending` after a micro-batch that wrote rows of some dates, and by which some dates lost rows."""
    versions = lake.state(DATES, {})
    found = {date: entry for date, entry in pending(lake).items() if date not in lost}
    for date in set(written).difference(lost):
        since, batches = found.get(date, [versions.get(date), []])
        found[date] = [since, [*batches, batch_id]]
    return found
