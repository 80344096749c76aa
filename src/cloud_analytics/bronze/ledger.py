"""What Bronze knows of the landing files: which it took in, as they then were, and the version of each date.

Kept in state documents of the lake, committed together with the rows they speak of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.lake.files import FileInfo
from cloud_analytics.lake.folder import LakeFolder
from cloud_analytics.landing.folder import Changes, Contents, changes

TABLE = f"bronze/{EVENTS}"
PARTITIONS = ("date", "batch_id")
COMPACTED = "compacted-"  # how the batch_id of a partition begins that holds the rows of many micro-batches
LEDGER = f"_state/{EVENTS}_ledger"  # what `entries` returns
DATES = f"_state/{EVENTS}_bronze_dates"  # date that has rows → number of the transaction that last changed them
BEGAN = f"_state/{EVENTS}_began"  # time of the first micro-batch, in milliseconds since 1970; 0 where nobody knows it
PENDING = f"_state/{EVENTS}_pending"  # what `pending` returns
SNAPSHOTS = "_state/masters"  # what `snapshots` returns
CLOCK = f"_state/{EVENTS}_newest"  # newest event time seen, in microseconds since 1970


def entries(lake: LakeFolder) -> dict[str, list[Any]]:
    """File name → [length, modification time in milliseconds, batch_id]."""
    known: dict[str, list[Any]] = lake.state(LEDGER, {})
    return known


def new(lake: LakeFolder, files: Iterable[FileInfo]) -> list[FileInfo]:
    """The files that were never ingested."""
    return _changes(lake, files).new


def changed(lake: LakeFolder, files: Iterable[FileInfo]) -> list[FileInfo]:
    """The files that were ingested, and have another length or modification time since."""
    return _changes(lake, files).changed


def archived(lake: LakeFolder, files: Iterable[FileInfo]) -> list[str]:
    """Names of the files that were ingested and are not among these any more."""
    return _changes(lake, files).left


def _changes(lake: LakeFolder, files: Iterable[FileInfo]) -> Changes:
    return changes(entries(lake), {info.name: info for info in files})


def snapshots(lake: LakeFolder) -> dict[str, dict[str, Any]]:
    """Source → its latest snapshot: `ingest_date`, `content` (a hash), `version` (a transaction), `files`."""
    known: dict[str, dict[str, Any]] = lake.state(SNAPSHOTS, {})
    return known


def master_files(lake: LakeFolder, source: str) -> dict[str, list[Any]]:
    """Path below landing → [length, modification time in milliseconds] of the files of a master's latest snapshot."""
    files = snapshots(lake).get(source, {}).get("files", {})
    # Earlier versions kept a list: such files are read again, and found to be the same.
    return files if isinstance(files, dict) else {}


def knows_nothing_of(lake: LakeFolder, found: Contents) -> int:
    """How many files the ledger knows, if none of them is among these; else 0."""
    known = {source: master_files(lake, source).keys() for source in MASTERS}
    known[EVENTS] = entries(lake).keys()
    here = {**found.masters, EVENTS: found.events}
    if any(names & here[source].keys() for source, names in known.items()):
        return 0
    return sum(map(len, known.values()))


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
