"""The ledger of Bronze: the landing files that were ingested, as they were then, and the version of each date.

State documents of the lake hold the ledger. They are committed together with the rows that they describe.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator

from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.lake.file_system import FileInfo
from cloud_analytics.lake.folder import Document, LakeFolder, or_list_of_values
from cloud_analytics.landing.folder import Changes, Contents, KnownFile, changes

COMPACTED = "compacted-"  # prefix of the batch_id of a partition that holds rows of many micro-batches
BEGAN = Document(f"_state/{EVENTS}_began", int, None)
"""Time of the first micro-batch, in milliseconds since 1970; 0 if it is unknown."""
CLOCK = Document(f"_state/{EVENTS}_newest", int, None)
"""Newest event time seen, in microseconds since 1970."""
METRICS = "_metrics/micro_batches"  # a document `<batch_id>.json` for each `MicroBatch`


@dataclass(frozen=True)
class MicroBatch:
    """What one micro-batch did. Lateness is in seconds.

    `files_again`: files that had been ingested before and changed since. `watermark_would_drop`: rows that a plain
    watermark would have dropped. `late_alert`: the share of these rows is larger than the configured share, and not all
    files are older than the lake. `touched`: the event dates whose rows changed. `unreadable`: file → why none of its
    content is used. `lines_gone`: changed file → number of its earlier lines that it no longer holds.
    """

    batch_id: str
    files: int
    files_again: int
    input_rows: int
    rejected_rows: int
    late_rows: int
    max_lateness_seconds: int | None
    p95_lateness_seconds: float | None
    watermark_would_drop: int
    late_share: float
    late_alert: bool
    duration_seconds: float
    touched: tuple[str, ...]
    unreadable: dict[str, str]
    lines_gone: dict[str, int]


@dataclass(frozen=True)
class BronzeDate:
    """The state of a date that has rows.

    `version`: the transaction that last changed the rows. `added`: the micro-batches that only added rows after the
    version `since`, and that Silver has not processed yet.
    """

    version: int
    since: int | None = None
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """The latest snapshot of a master.

    `ingest_date` is its partition, `content` a hash of its files, `version` the transaction that wrote it, and `files`
    maps paths below landing to files.
    """

    ingest_date: str
    content: str
    version: int
    files: Annotated[dict[str, _Known], BeforeValidator(lambda found: {} if isinstance(found, list) else found)]


# The formats of earlier versions can be read too. Some list only the file names of a master: it is read again then.
_Known = Annotated[KnownFile, or_list_of_values(KnownFile)]
_Date = Annotated[BronzeDate, BeforeValidator(lambda found: {"version": found} if isinstance(found, int) else found)]

FILES = Document(f"_state/{EVENTS}_ledger", dict[str, _Known], {})
"""Name of each ingested event file → its state when it was ingested."""
DATES = Document(f"_state/{EVENTS}_bronze_dates", dict[str, _Date], {})
SNAPSHOTS = Document("_state/masters", dict[str, Snapshot], {})
"""Source → its latest snapshot."""


def event_changes(lake: LakeFolder, files: Iterable[FileInfo]) -> Changes:
    """Compare the event files that are in landing now (`files`) with the ledger."""
    known = lake.load(FILES)
    return changes(known, {info.name: info for info in files})


def master_files(lake: LakeFolder, source: str) -> dict[str, KnownFile]:
    """The files of a master's latest snapshot, by their path below landing."""
    known = lake.load(SNAPSHOTS).get(source)
    return known.files if known else {}


def files_if_all_left(lake: LakeFolder, found: Contents) -> int:
    """The number of ingested files if landing holds none of them any more; otherwise 0."""
    known = {source: master_files(lake, source).keys() for source in MASTERS}
    known[EVENTS] = lake.load(FILES).keys()
    here = {**found.masters, EVENTS: found.events}
    if any(names & here[source].keys() for source, names in known.items()):
        return 0
    return sum(map(len, known.values()))


def unused(lake: LakeFolder, batch_id: str) -> str:
    """The id for a micro-batch; a number is appended if another micro-batch already has this id.

    This happens if the checkpoint is older than the lake (from a backup, or a copy of a lake in use), since the query
    continues with the checkpoint's batch number.
    """
    taken = {file.batch_id for file in lake.load(FILES).values()}
    ids = (batch_id, *(f"{batch_id}-{number}" for number in range(2, len(taken) + 3)))
    return next(one for one in ids if one not in taken and not lake.files.exists(f"{METRICS}/{one}.json"))


def dates_after(
    lake: LakeFolder, batch_id: str, version: int, written: Collection[str], lost: Mapping[str, bool]
) -> dict[str, BronzeDate]:
    """`DATES` after a micro-batch that wrote rows of the dates `written`, in the transaction `version`.

    `lost`: date that lost earlier rows → whether it still has rows of other files.
    """
    found = {date: entry for date, entry in lake.load(DATES).items() if date not in lost}
    for date in written:
        before = found.get(date)
        if before is None:
            found[date] = BronzeDate(version)
        else:
            since = before.since if before.added else before.version
            found[date] = BronzeDate(version, since, (*before.added, batch_id))
    return found | {date: BronzeDate(version) for date, rows_left in lost.items() if rows_left}


def without_added(dates: dict[str, BronzeDate], taken_in: Collection[str]) -> dict[str, BronzeDate]:
    """The same dates and versions, but the dates `taken_in` no longer list added micro-batches."""
    return {date: BronzeDate(entry.version) if date in taken_in else entry for date, entry in dates.items()}
