"""What a file system offers to readers and to writers, on paths below one root."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import IO, TypeVar

from cloud_analytics.errors import UsageError

_REQUESTS_AT_ONCE = 16

Item = TypeVar("Item")


class Kind(Enum):
    """What a name stands for. OTHER cannot be read like a file: a pipe, a device, a link to nowhere or in a circle."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"


@dataclass(frozen=True, order=True)
class FileInfo:
    """What a name in a folder stands for: a file, unless `kind` says otherwise. A link is described by its target.

    Full path, length in bytes, modification time in milliseconds since 1970.
    """

    path: str
    length: int = 0
    modified: int = 0
    kind: Kind = field(default=Kind.FILE, compare=False)
    leaves_root: bool = field(default=False, compare=False)  # a link that leads out of the root

    @property
    def name(self) -> str:
        """The bare name."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def is_hidden(self) -> bool:
        """Whether its name begins with `_` or `.`, as names of what is not data do."""
        return self.name[0] in "_."

    def checked(self) -> FileInfo:
        """The same. UsageError where the name is no UTF-8: Spark could neither list nor read it."""
        try:
            self.path.encode("utf-8")
        except UnicodeEncodeError:
            shown = self.path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            told = f"{shown}: the name of this file is no UTF-8, and Spark cannot read it; rename it"
            raise UsageError(told.removeprefix("file:")) from None
        return self


class ReadableFiles(ABC):
    """The few operations that a reader needs, on paths below one root."""

    is_object_store = False

    def __init__(self, root: str) -> None:
        self.root = root

    def full(self, relative: str) -> str:
        """The path that Spark readers and writers take."""
        return f"{self.root}/{relative}"

    def _whole(self, path: str) -> str:
        """The full path: one that a listing gave is full already, any other one is relative to the root."""
        return path if "://" in path or path.startswith(("/", "file:/")) else f"{self.root}/{path}".rstrip("/")

    def leads_out(self, path: str) -> bool:
        """Whether a link on the way to a path leads out of the root. Only folders of a machine have links."""
        return False

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""
        return self.entry(path) is not None

    @abstractmethod
    def open(self, path: str) -> IO[bytes]:
        """A file's bytes, from which any part can be read. FileNotFoundError when it is not there."""

    @abstractmethod
    def entries(self, path: str) -> list[FileInfo]:
        """Every name in a folder, hidden ones included; no entries where there is no folder."""

    @abstractmethod
    def entry(self, path: str) -> FileInfo | None:
        """What stands there now; None where there is nothing."""

    def info(self, path: str) -> FileInfo:
        """A file as it is now. FileNotFoundError when it is not there."""
        found = self.entry(path)
        if found is None or found.kind is not Kind.FILE:
            raise FileNotFoundError(path)
        return found.checked()

    def files(self, path: str, recursive: bool = True) -> list[FileInfo]:
        """The data files below a folder (names that begin with `_` or `.` are not data), sorted by path.

        UsageError for a link out of the root.
        """
        found: list[FileInfo] = []
        pending = [path]
        while pending:
            shown = [entry for entry in self.entries(pending.pop()) if not entry.is_hidden]
            for entry in shown:
                if entry.leaves_root:
                    raise UsageError(f"{entry.path} is a link out of {self.root}, which is not followed")
            found += [entry.checked() for entry in shown if entry.kind is Kind.FILE]
            pending += [entry.path for entry in shown if entry.kind is Kind.FOLDER and recursive]
        return sorted(found)

    def folders(self, path: str) -> list[str]:
        """Names of the folders directly below `path`."""
        return sorted(entry.name for entry in self.entries(path) if entry.kind is Kind.FOLDER)

    def read_bytes(self, path: str) -> bytes:
        """All of a file that fits in memory."""
        with self.open(path) as stream:
            return stream.read()

    def read_text(self, path: str) -> str | None:
        """A small UTF-8 file, or None when it is not there."""
        try:
            return self.read_bytes(path).decode("utf-8")
        except FileNotFoundError:
            return None

    def contents(self, found: Iterable[FileInfo]) -> dict[str, bytes]:
        """The bytes of each file by its path, less the files that went meanwhile. They must fit in memory together."""
        contents: dict[str, bytes] = {}

        def read(info: FileInfo) -> None:
            with suppress(FileNotFoundError):
                contents[info.path] = self.read_bytes(info.path)

        self.each(read, found)
        return contents

    def each(self, action: Callable[[Item], None], items: Iterable[Item]) -> None:
        """Call `action` with each item; on an object store, where each call is a round trip, several at a time."""
        if not self.is_object_store:
            for item in items:
                action(item)
            return
        with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
            for _ in pool.map(action, items):
                pass


class FileSystem(ReadableFiles):
    """The few operations that a lake needs, on paths below one root."""

    @abstractmethod
    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        """Write a file in place. Its name is never absent, but the file may be half written except on an object store.

        `durable`: the file outlives a loss of power as soon as this returns.
        """

    def write_text(self, path: str, text: str) -> None:
        """Replace a small file in one step: readers find the old text or the new one, never half of it."""
        content = text.encode("utf-8")
        if self.is_object_store:
            self.write(path, content)
            return
        folder, _, name = path.rpartition("/")
        aside = f"{folder}/.{name}.tmp"  # a hidden name: a stream that watches the folder does not see it
        self.write(aside, content)
        self.move(aside, path)

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Rename one file over another. Where a rename cannot replace a file, the old one is deleted before.

        On an object store a rename is a copy and a delete: the target must not exist, and a death in between leaves
        both files.
        """

    def replace(self, source: str, target: str) -> None:
        """Put a file in the place of another in one step: readers find the old file or the new one."""
        self.move(source, target)

    @abstractmethod
    def delete(self, path: str) -> None:
        """Remove a file, or a folder with everything in it; nothing happens when it is not there."""

    @abstractmethod
    def make_folder(self, path: str) -> None:
        """Create a folder and its parents; nothing happens on an object store, which has no folders."""

    def sync(self, paths: Iterable[str]) -> None:
        """Have these files, and names in these folders, outlive a loss of power. Stores of other machines see to it."""
