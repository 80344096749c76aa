"""Files through Spark's own file-system layer, so that a lake may be a folder, an object store or HDFS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pyspark.sql import SparkSession

# Stores where an object appears whole when its upload ends, replacing the old one, and where a rename is a copy.
_OBJECT_STORES = ("s3a", "s3", "gs")
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


class FileSystem:
    """The few operations the lake needs, on paths below one root."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self._jvm: Any = spark.sparkContext._jvm
        self._conf: Any = spark.sparkContext._jsc.hadoopConfiguration()
        self.root = absolute(root)
        self.is_object_store = self.root.partition("://")[0] in _OBJECT_STORES
        self._fs: Any = self._path("").getFileSystem(self._conf)

    def _path(self, relative: str) -> Any:
        full = relative if "://" in relative or relative.startswith("/") else f"{self.root}/{relative}".rstrip("/")
        return self._jvm.org.apache.hadoop.fs.Path(full)

    def full(self, relative: str) -> str:
        """The path that Spark readers and writers take."""
        return f"{self.root}/{relative}"

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""
        return bool(self._fs.exists(self._path(path)))

    def read_text(self, path: str) -> str | None:
        """A small UTF-8 file, or None when it is not there."""
        target = self._path(path)
        if not self._fs.exists(target):
            return None
        stream = self._fs.open(target)
        try:
            return str(self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
        finally:
            stream.close()

    def write_text(self, path: str, text: str) -> None:
        """Replace a small file in one step: readers find the old text or the new one, never half of it."""
        if self.is_object_store:
            self.overwrite(path, text)
            return
        folder, _, name = path.rpartition("/")
        aside = f"{folder}/.{name}.tmp"  # a hidden name: a stream that watches the folder does not see it
        self.overwrite(aside, text)
        self.move(aside, path)

    def overwrite(self, path: str, text: str) -> None:
        """Write a small file in place: it is never absent, but may be half written where this is no object store."""
        stream = self._fs.create(self._path(path), True)
        try:
            stream.write(bytearray(text.encode("utf-8")))
            if stream.hasCapability("hsync"):
                stream.hsync()
        finally:
            stream.close()

    def move(self, source: str, target: str) -> None:
        """Rename one file over another; on a file system whose rename does not replace, the old file goes first.

        On an object store that is a copy and a delete, the target must not exist, and one that is cut off leaves both.
        """
        destination = self._path(target)
        if self._fs.rename(self._path(source), destination):
            return
        self._fs.mkdirs(destination.getParent())
        if self._fs.exists(destination):
            self._fs.delete(destination, False)
        if not self._fs.rename(self._path(source), destination):
            raise OSError(f"cannot rename {source} to {target}")

    def each(self, action: Callable[[Item], None], items: Iterable[Item]) -> None:
        """Do something with each item; many at once on an object store, where each call is a round trip."""
        if not self.is_object_store:
            for item in items:
                action(item)
            return
        with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
            for _ in pool.map(action, items):
                pass

    def delete(self, path: str) -> None:
        """Remove a file or a folder with all it holds; nothing happens when it is not there."""
        self._fs.delete(self._path(path), True)

    def make_folder(self, path: str) -> None:
        """Create a folder and its parents; on an object store a path needs none."""
        if not self.is_object_store:
            self._fs.mkdirs(self._path(path))

    def files(self, path: str, recursive: bool = True) -> list[FileInfo]:
        """The data files below a folder (names that begin with `_` or `.` are not data), sorted by path."""
        folder = self._path(path)
        if not self._fs.exists(folder):
            return []
        base = self._fs.makeQualified(folder).toString().rstrip("/")
        found: list[FileInfo] = []
        # listStatus level by level: listFiles looks up owner and permissions of each file, which forks a process.
        pending = [folder]
        while pending:
            for status in self._fs.listStatus(pending.pop()):
                full = status.getPath().toString()
                if any(part[0] in "_." for part in full[len(base) + 1 :].split("/") if part):
                    continue
                if not status.isDirectory():
                    found.append(FileInfo(full, int(status.getLen()), int(status.getModificationTime())))
                elif recursive:
                    pending.append(status.getPath())
        return sorted(found)

    def folders(self, path: str) -> list[str]:
        """Names of the folders directly below `path`."""
        folder = self._path(path)
        if not self._fs.exists(folder):
            return []
        return sorted(s.getPath().getName() for s in self._fs.listStatus(folder) if s.isDirectory())


def absolute(root: str) -> str:
    """A URI as it stands; a local path made absolute."""
    return root.rstrip("/") if "://" in root else str(Path(root).expanduser().resolve())
