"""The journal of a committed transaction: the file operations that its process, or the next one, still has to do.

Until they are done, old files lie beside new ones, and readers wait.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from cloud_analytics.errors import UsageError
from cloud_analytics.lake.file_system import ReadableFiles
from cloud_analytics.lake.files import LocalFileSystem
from cloud_analytics.lake.folder import Document
from cloud_analytics.runtime.filelock import is_locked

_PATIENCE = 20.0  # seconds that a reader waits for one transaction
_POLL = 0.03


def _inside(path: str) -> str:
    """The path. ValueError if it leads out of the lake, as a forged journal in another user's lake may do."""
    if path.startswith("/") or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise ValueError("leads out of the lake")
    return path


_Path = Annotated[str, AfterValidator(_inside)]


@dataclass(frozen=True)
class Journal:
    """Files and documents that a transaction changes. Paths are relative to the lake.

    `remove`: files to delete. `move`: (staged file, its new path). `replace`: (staged file, the file that it replaces
    atomically). `documents`: path of a document, without `.json` → its content.
    """

    number: int
    remove: list[_Path]
    move: list[tuple[_Path, _Path]]
    documents: dict[_Path, Any]
    replace: list[tuple[_Path, _Path]] = field(default_factory=list)

    def paths(self) -> Iterator[str]:
        """Every path in the journal."""
        yield from itertools.chain(self.remove, *self.move, *self.replace, self.documents)


JOURNAL = Document("_state/journal", Journal, None)


def await_commit(files: ReadableFiles) -> None:
    """Wait until a committed transaction is applied: before that a reader would find old files beside new ones.

    UsageError if the process that applies it was killed or takes too long.
    """
    seen, since, is_left = None, 0.0, False
    while (found := files.entry(f"{JOURNAL.path}.json")) is not None:
        if found != seen:
            seen, since = found, time.monotonic()
        elif is_left:
            raise UsageError(
                f"a command was killed while it put its files in place in {files.root}:"
                " the next `cloud-analytics run` (or `reconcile`) finishes that"
            )
        elif time.monotonic() - since > _PATIENCE:
            raise UsageError(
                f"a command has been putting its files in place in {files.root} for {_PATIENCE:.0f} s, or was killed at"
                " that: ask again later, or let `cloud-analytics run` (or `reconcile`) finish it"
            )
        # The lock is tested after the journal was seen. If it was free and the journal is still there at the next
        # look, the process of the journal was killed.
        is_left = isinstance(files, LocalFileSystem) and _is_free(files.folder / "_state/writer.lock")
        time.sleep(_POLL)


def _is_free(lock: Path) -> bool:
    """Whether no process holds this lock. False if this user may not open the lock file."""
    try:
        return not is_locked(lock)
    except OSError:
        return False
