"""The operations that a file system offers to readers and to writers, on paths below one root."""

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
    """The kind of a directory entry. OTHER cannot be read like a file: a pipe, a device, a broken or circular link."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"


@dataclass(frozen=True, order=True)
class FileInfo:
    """One entry of a folder: a file, unless `kind` says otherwise. For a link the fields describe its target.

    `path`: the full path. `length`: bytes. `modified`: modification time in milliseconds since 1970.
    """

    path: str
    length: int = 0
    modified: int = 0
    kind: Kind = field(default=Kind.FILE, compare=False)
    leaves_root: bool = field(default=False, compare=False)  # whether it is a link out of the root
    # Nanoseconds since 1970 when its content or name last changed, or the link; nobody can set this back. 0: not known.
    changed: int = field(default=0, compare=False)

    @property
    def name(self) -> str:
        """The bare name."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def is_hidden(self) -> bool:
        """Whether the name begins with `_` or `.`: such files and folders are not data."""
        return self.name[0] in "_."

    def checked(self) -> FileInfo:
        """This entry. UsageError if its name is not UTF-8: Spark could neither list nor read the file."""
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
        """The full path. A path from a listing is full already; any other path is relative to the root."""
        return path if "://" in path or path.startswith(("/", "file:/")) else f"{self.root}/{path}".rstrip("/")

    def leads_out(self, path: str) -> bool:
        """Whether a link on the way to a path leads out of the root. Only a local file system has links."""
        return False

    def exists(self, path: str) -> bool:
        """Whether a file or folder exists."""
        return self.entry(path) is not None

    @abstractmethod
    def open(self, path: str) -> IO[bytes]:
        """A file's bytes as a stream with random access. FileNotFoundError if the file does not exist."""

    @abstractmethod
    def entries(self, path: str) -> list[FileInfo]:
        """Every entry of a folder, including hidden ones; an empty list if the folder does not exist."""

    @abstractmethod
    def entry(self, path: str) -> FileInfo | None:
        """The file or folder at a path as it is now; None if nothing exists there."""

    def info(self, path: str) -> FileInfo:
        """A file as it is now. FileNotFoundError if there is no file at the path."""
        found = self.entry(path)
        if found is None or found.kind is not Kind.FILE:
            raise FileNotFoundError(path)
        return found.checked()

    def files(self, path: str, recursive: bool = True) -> list[FileInfo]:
        """The data files below a folder, sorted by path. Hidden names (`_…`, `.…`) are not data.

        UsageError if a link leads out of the root.
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
        """The whole content of a file, which must fit in memory."""
        with self.open(path) as stream:
            return stream.read()

    def read_text(self, path: str) -> str | None:
        """The text of a small UTF-8 file; None if the file does not exist."""
        try:
            return self.read_bytes(path).decode("utf-8")
        except FileNotFoundError:
            return None

    def contents(self, found: Iterable[FileInfo]) -> dict[str, bytes]:
        """Path of each file → its bytes, which must fit in memory together. Files deleted meanwhile are left out."""
        contents: dict[str, bytes] = {}

        def read(info: FileInfo) -> None:
            with suppress(FileNotFoundError):
                contents[info.path] = self.read_bytes(info.path)

        self.each(read, found)
        return contents

    def each(self, action: Callable[[Item], None], items: Iterable[Item]) -> None:
        """Call `action` with each item. On an object store several calls run at a time: each one is a round trip."""
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
        """Write a file in place. Its name exists at any moment, but except on an object store it may be half written.

        `durable`: once this method has returned, the file survives a loss of power.
        """

    def write_text(self, path: str, text: str) -> None:
        """Replace a small file atomically: readers find the old text or the new text, never half of it."""
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
        """Rename one file over another, in a folder that is created if it is missing.

        If the store's rename cannot replace a file, the old file is deleted first. On an object store a rename is a
        copy and a delete. So the target must not exist, and a process that dies between the two leaves both files.
        """

    def replace(self, source: str, target: str) -> None:
        """Replace one file by another atomically: readers find the old file or the new file."""
        self.move(source, target)

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file, or a folder with everything in it. A path that does not exist is no error."""

    def sync(self, paths: Iterable[str]) -> None:
        """Flush these files, and the names in these folders, to disk. Remote stores do so by themselves."""
