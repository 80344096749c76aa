"""What Bronze knows of the landing files: which it took in, as they then were, and the version of each date.

Kept in state documents of the lake, which are committed together with the rows that they describe.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.lake.files import FileInfo
from cloud_analytics.lake.folder import Document, LakeFolder, or_list_of_values
from cloud_analytics.landing.folder import Changes, Contents, KnownFile, changes

COMPACTED = "compacted-"  # how the batch_id of a partition begins that holds the rows of many micro-batches
BEGAN = f"_state/{EVENTS}_began"  # time of the first micro-batch, in milliseconds since 1970; 0 where nobody knows it
CLOCK = f"_state/{EVENTS}_newest"  # newest event time seen, in microseconds since 1970


@dataclass(frozen=True)
class BronzeDate:
    """A date that has rows.

    `version`: the transaction that last changed them. `added`: the micro-batches which only added rows since the
    version `since`, and which Silver has not taken in yet.
    """

    version: int
    since: int | None = None
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """The latest snapshot of a master: its partition, a hash of its files, the transaction that wrote it, the files.

    The files go by their path below landing.
    """

    ingest_date: str
    content: str
    version: int
    files: Annotated[dict[str, _Known], BeforeValidator(lambda found: {} if isinstance(found, list) else found)]


def _version_alone(value: Any) -> Any:
    return {"version": value} if isinstance(value, int) else value


# Values as earlier versions stored them are read as well. Masters whose files they only listed are read again.
_Known = Annotated[KnownFile, or_list_of_values(KnownFile)]
_Date = Annotated[BronzeDate, BeforeValidator(_version_alone)]

FILES = Document(f"_state/{EVENTS}_ledger", dict[str, _Known])
DATES = Document(f"_state/{EVENTS}_bronze_dates", dict[str, _Date])
SNAPSHOTS = Document("_state/masters", dict[str, Snapshot])


def entries(lake: LakeFolder) -> dict[str, KnownFile]:
    """Name of each file of events that was taken in → how it then was."""
    return lake.load(FILES)


def event_changes(lake: LakeFolder, files: Iterable[FileInfo]) -> Changes:
    """What became of the files of events since they were taken in; `files` are those that lie in landing now."""
    return changes(entries(lake), {info.name: info for info in files})


def snapshots(lake: LakeFolder) -> dict[str, Snapshot]:
    """Source → its latest snapshot."""
    return lake.load(SNAPSHOTS)


def master_files(lake: LakeFolder, source: str) -> dict[str, KnownFile]:
    """The files of a master's latest snapshot, by their path below landing."""
    known = snapshots(lake).get(source)
    return known.files if known else {}


def files_if_all_left(lake: LakeFolder, found: Contents) -> int:
    """How many files the lake took in, if none of them lies in landing any more; else 0."""
    known = {source: master_files(lake, source).keys() for source in MASTERS}
    known[EVENTS] = entries(lake).keys()
    here = {**found.masters, EVENTS: found.events}
    if any(names & here[source].keys() for source, names in known.items()):
        return 0
    return sum(map(len, known.values()))


def dates_after(
    lake: LakeFolder, batch_id: str, version: int, written: Collection[str], lost: Mapping[str, bool]
) -> dict[str, BronzeDate]:
    """`DATES` after a micro-batch that wrote rows of some dates, in the transaction `version`.

    `lost`: each date that lost earlier rows → whether other rows are left there.
    """
    known = lake.load(DATES)
    found = {date: entry for date, entry in known.items() if date not in lost}
    for date in written:
        before = found.get(date)
        if before is None:
            found[date] = BronzeDate(version)
        else:
            since = before.since if before.added else before.version
            found[date] = BronzeDate(version, since, (*before.added, batch_id))
    return found | {date: BronzeDate(version) for date, rows_left in lost.items() if rows_left}


def without_added(dates: dict[str, BronzeDate], taken_in: Collection[str]) -> dict[str, BronzeDate]:
    """The same dates and versions, without the micro-batches of those dates that Silver has `taken_in`."""
    return {date: BronzeDate(entry.version) if date in taken_in else entry for date, entry in dates.items()}
