"""The inventory: the files that each partition of a table has since the last transaction.

It shows when somebody else deleted, added or changed files, for example by restoring only a part of the lake.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from cloud_analytics.config.rules import BRONZE
from cloud_analytics.lake.file_system import ReadableFiles
from cloud_analytics.lake.folder import ZONES, Document, LakeFolder
from cloud_analytics.lake.journal import await_commit
from cloud_analytics.tables.zones import QUARANTINED_EVENTS

_LOOKS = 10  # attempts of a reader to find the same differences twice while writers commit


@dataclass(frozen=True)
class Files:
    """The files of one partition: their number, and the sum of one hash per file (of its path and length)."""

    number: int = 0
    digest: int = 0


Partitions = Mapping[str, Files]
"""Folder of a partition (see `folder_of`) → its files."""

INVENTORY = Document("_state/files", dict[str, dict[str, Files]], None)
"""Table → folder of a partition → its files. None: the lake is new, or its version kept no inventory."""
MISSING = Files()
"""Marks a partition whose files were removed to be built again. Readers are warned until it is built."""
_SNAPSHOT = "ingest_date="  # begins the folder of a master's snapshot in Bronze; each snapshot is a table of its own
_REJECTS_OF_BRONZE = tuple(f"error_type={name}/" for name in BRONZE)
_MODULUS = 2**48  # no reader of JSON rounds a number below this


def folder_of(path: str) -> str:
    """The folder of the partition of a path below a table: `date=2025-06-10`; "" if the table has no partitions.

    Rejects of Bronze have a folder of their own, `date=2025-06-10/error_type=malformed_json`: the other rejects of the
    same date can be built again, and these cannot.
    """
    folder, _, inner = path.partition("/")
    return path.rpartition("/")[0] if inner.startswith(_REJECTS_OF_BRONZE) else _first_folder(path)


def is_of_bronze(table: str, folder: str) -> bool:
    """Whether a partition (see `folder_of`) holds rows that nothing in the lake can build again."""
    return table.startswith("bronze/") or (table == QUARANTINED_EVENTS.path and "/" in folder)


def _first_folder(path: str) -> str:
    folder, inner, _ = path.partition("/")
    return folder if inner else ""


def files_after(
    before: Partitions,
    gone: Mapping[str, int],
    come: Mapping[str, int],
    folder_of: Callable[[str], str] = folder_of,
) -> dict[str, Files]:
    """The partitions of a table after files went (`gone`) and others came (`come`): path below the table → bytes."""
    found = dict(before)
    touched = set(map(folder_of, (*gone, *come)))
    for files, sign in ((gone, -1), (come, 1)):
        for path, length in files.items():
            folder = folder_of(path)
            known = found.get(folder, MISSING)
            digest = int.from_bytes(hashlib.blake2b(f"{length}/{path}".encode(), digest_size=6).digest(), "big")
            found[folder] = Files(known.number + sign, (known.digest + sign * digest) % _MODULUS)
    return {folder: files for folder, files in found.items() if files != MISSING or folder not in touched}


def differing(left: Partitions, there: Mapping[str, int]) -> dict[str, bool]:
    """Partitions whose files now (`there`) differ from those of the inventory (`left`) → whether any file exists."""
    found = files_after({}, {}, there)
    return {folder: folder in found for folder in {*left, *found} if left.get(folder) != found.get(folder)}


def inventory(lake: LakeFolder) -> dict[str, dict[str, Files]]:
    """Table → the files of its partitions, as the last transaction left them."""
    found = lake.load(INVENTORY)
    if found is None:  # trust the files as they are
        return {table: files_after({}, {}, lake.data_files(table)) for table in _tables(lake)}
    # An earlier version listed all snapshots of such a lake as one table, an entry that no transaction updated later.
    outdated = [table for table, folders in found.items() if any(folder.startswith(_SNAPSHOT) for folder in folders)]
    snapshots = [table for table in _tables(lake) if table.rpartition("/")[0] in outdated] if outdated else []
    kept = {table: folders for table, folders in found.items() if table not in outdated}
    # An earlier version listed the rejects of Bronze together with the other rejects of their date.
    rejects = QUARANTINED_EVENTS.path
    if rejects in kept and not any(is_of_bronze(rejects, folder) for folder in kept[rejects]):
        there = lake.data_files(rejects)
        if kept[rejects] == files_after({}, {}, there, _first_folder):
            kept[rejects] = files_after({}, {}, there)
    return {**kept, **{table: files_after({}, {}, lake.data_files(table)) for table in snapshots}}


def _tables(lake: LakeFolder) -> Iterator[str]:
    """The tables of a lake, found by listing its zones."""
    for zone in ZONES:
        for entry in lake.files.entries(zone):
            table = f"{zone}/{entry.name}"
            snapshots = [inner.name for inner in lake.files.entries(table) if inner.name.startswith(_SNAPSHOT)]
            yield from [f"{table}/{name}" for name in snapshots] or [table]


def changed_by_others(lake: LakeFolder, chosen: Callable[[str], bool] | None = None) -> dict[str, dict[str, bool]]:
    """Table → partitions whose files differ from those of the last transaction → whether any file exists.

    If `chosen` is given, only the tables that it accepts are checked.
    """
    if lake.load(INVENTORY) is None:
        return {}
    found: dict[str, dict[str, bool]] = {}

    def compare(table: str) -> None:
        found[table] = differing(left[table], lake.data_files(table))

    left = inventory(lake)
    lake.files.each(compare, filter(chosen, left))
    return {table: found[table] for table in left if found.get(table)}


def changed_for_readers(files: ReadableFiles) -> dict[str, dict[str, bool]]:
    """`changed_by_others` for a reader beside writers: what it finds twice while the inventory stays the same.

    A state document that is not as the last transaction left it is in the result, too: as a table of one partition.
    """
    before = None
    for _ in range(_LOOKS):
        await_commit(files)
        lake = LakeFolder(files)
        found = {**changed_by_others(lake), **{path: {"": True} for path in lake.changed_documents()}}
        now = found, lake.load(INVENTORY)
        if not found or now == before:
            return found
        before = now
    return {}


def told(folders: Collection[str]) -> str:
    """`files of 2025-06-01 and 3 more partitions`; `its files` for a table that is one partition."""
    first, *others = sorted(folder.partition("=")[2] for folder in folders)
    more = f" and {len(others)} more partitions" if others else ""
    return f"files of {first}{more}" if first else "its files"
