"""Which files each partition of a table has, as the last transaction left them.

The transaction stores it together with the files. So it shows when somebody else deleted, added or changed some, for
example by a backup of only a part of the lake.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from cloud_analytics.lake.folder import Document


@dataclass(frozen=True)
class Files:
    """The files of one partition: their number, and the sum of a hash of each one's path and length."""

    number: int = 0
    digest: int = 0


Partitions = Mapping[str, Files]
"""Folder of a partition (see `folder_of`) → its files."""

INVENTORY = Document("_state/files", dict[str, dict[str, Files]])
_MODULUS = 2**48  # every reader of JSON keeps these digits


def folder_of(path: str) -> str:
    """The first folder of a path below a table: `date=2025-06-10`; "" for a file of a table without partitions."""
    folder, inner, _ = path.partition("/")
    return folder if inner else ""


def after(before: Partitions, gone: Mapping[str, int], come: Mapping[str, int]) -> dict[str, Files]:
    """The partitions of a table after some files went and others came; both are path below the table → bytes."""
    found = dict(before)
    for files, sign in ((gone, -1), (come, 1)):
        for path, length in files.items():
            folder = folder_of(path)
            known = found.get(folder, Files())
            found[folder] = Files(known.number + sign, (known.digest + sign * _hash(path, length)) % _MODULUS)
    return {folder: files for folder, files in found.items() if files != Files()}


def differing(left: Partitions, there: Mapping[str, int]) -> dict[str, bool]:
    """The partitions whose files, those that are `there`, are not those that were `left` → whether any is there."""
    found = after({}, {}, there)
    return {folder: folder in found for folder in {*left, *found} if left.get(folder) != found.get(folder)}


def _hash(path: str, length: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{length}/{path}".encode(), digest_size=6).digest(), "big")
