"""What a file system offers to readers and to writers, on paths below one root."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import IO, TypeVar

from cloud_analytics.errors import UsageError

_REQUESTS_AT_ONCE = 16

Item = TypeVar("Item")


@dataclass(frozen=True, order=True)
class FileInfo:
    """One file: full path, length in bytes, modification time in milliseconds since 1970."""

    path: str
    length: int
    modified: int

    @property
    def name(self) -> str:
        """The bare file name."""
        return self.path.rsplit("/", 1)[-1]


class Kind(Enum):
    """What stands under a name. OTHER has no content of its own: a pipe, a device, a link to nowhere or in a circle."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"


@dataclass(frozen=True)
class Entry:
    """What stands in a folder under one name; a link is what it leads to."""

    path: str
    kind: Kind
    length: int = 0
    modified: int = 0
    leaves_root: bool = False  # a link that leads out of the root

    @property
    def name(self) -> str:
        """The bare name."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def is_hidden(self) -> bool:
        """Whether it is not data: its name begins with `_` or `.`."""
        return self.name[0] in "_."

    def file(self) -> FileInfo:
        """The file. UsageError for a name that is no UTF-8: Spark could neither list nor read it."""
        try:
            self.path.encode("utf-8")
        except UnicodeEncodeError:
            shown = self.path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            told = f"{shown}: the name of this file is no UTF-8, and Spark cannot read it; rename it"
            raise UsageError(told.removeprefix("file:")) from None
        return FileInfo(self.path, self.length, self.modified)


class ReadableFiles(ABC):
    """The few operations that a reader needs, on paths below one root."""

    is_object_store = False

    def __init__(self, root: str) -> None:
        self.root = root

    def full(self, relative: str) -> str:
        """The path that Spark readers and writers take."""
        return f"{self.root}/{relative}"

    def _whole(self, path: str) -> str:
        """A path as it was listed stays as it is, any other one is below the root."""
        return path if "://" in path or path.startswith(("/", "file:")) else f"{self.root}/{path}".rstrip("/")

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""

    @abstractmethod
    def info(self, path: str) -> FileInfo:
        """A file as it is now. FileNotFoundError when it is not there."""

    @abstractmethod
    def open(self, path: str) -> IO[bytes]:
        """A file's bytes, from which any part can be read. FileNotFoundError when it is not there."""

    @abstractmethod
    def entries(self, path: str) -> list[Entry]:
        """What stands in a folder, hidden or not; nothing where there is no folder."""

    @abstractmethod
    def entry(self, path: str) -> Entry | None:
        """What stands there now, or None."""

    def files(self, path: str, recursive: bool = True) -> list[FileInfo]:
        """The data files below a folder (names that begin with `_` or `.` are not data), sorted by path."""
        found: list[FileInfo] = []
        pending = [path]
        while pending:
            shown = [entry for entry in self.entries(pending.pop()) if not entry.is_hidden]
            found += [entry.file() for entry in shown if entry.kind is Kind.FILE]
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
        """The bytes of each file by its path, none of one that went meanwhile; all together they fit in memory."""
        contents: dict[str, bytes] = {}

        def read(info: FileInfo) -> None:
            with suppress(FileNotFoundError):
                contents[info.path] = self.read_bytes(info.path)

        self.each(read, found)
        return contents

    def each(self, action: Callable[[Item], None], items: Iterable[Item]) -> None:
        """Do something with each item; many at once on an object store, where each call is a round trip."""
        if not self.is_object_store:
            for item in items:
                action(item)
            return
        with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
            for _ in pool.map(action, items):
                pass


class FileSystem(ReadableFiles):
    """The few operations the lake needs, on paths below one root."""

    @abstractmethod
    def read_through(self, path: str) -> None:
        """Read a file to its end and keep nothing: an error tells that its bytes cannot be had."""

    def write_text(self, path: str, text: str) -> None:
        """Replace a small file in one step: readers find the old text or the new one, never half of it."""
        folder, _, name = path.rpartition("/")
        aside = f"{folder}/.{name}.tmp"  # a hidden name: a stream that watches the folder does not see it
        self.overwrite(aside, text)
        self.move(aside, path)

    @abstractmethod
    def write_bytes(self, path: str, content: bytes) -> None:
        """Write a file that nobody reads yet; whether it outlives a loss of power is left to the machine."""

    @abstractmethod
    def overwrite(self, path: str, text: str) -> None:
        """Write a small file in place: it is never absent, but may be half written where this is no object store."""

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Rename one file over another; on a file system whose rename does not replace, the old file goes first.

        On an object store that is a copy and a delete, the target must not exist, and one that is cut off leaves both.
        """

    def replace(self, source: str, target: str) -> None:
        """Put a file in the place of another, so that who opens it finds the old one or the new one."""
        self.move(source, target)

    @abstractmethod
    def delete(self, path: str) -> None:
        """Remove a file or a folder with all it holds; nothing happens when it is not there."""

    @abstractmethod
    def make_folder(self, path: str) -> None:
        """Create a folder and its parents; on an object store a path needs none."""
