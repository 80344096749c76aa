"""Files below one root: a folder of this machine through Python, anything else through Spark's file systems.

What only reads asks for a `ReadableFiles`, and then needs no Spark where the root is local.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cloud_analytics.errors import UsageError
from cloud_analytics.lake.file_system import FileInfo as FileInfo
from cloud_analytics.lake.file_system import FileSystem as FileSystem
from cloud_analytics.lake.file_system import ReadableFiles as ReadableFiles
from cloud_analytics.lake.uris import absolute, local_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Stores where an object appears whole when its upload ends, replacing the old one, and where a rename is a copy.
_OBJECT_STORES = ("s3a", "s3", "gs")


class LocalFileSystem(FileSystem):
    """A folder of this machine. Through the JVM each question about each file would be a message to it and back."""

    @property
    def folder(self) -> Path:
        """The root as Python names it."""
        return Path(self._path(""))

    def _path(self, path: str) -> str:
        return "/" + self._whole(path).removeprefix("file:").lstrip("/")

    def exists(self, path: str) -> bool:
        return os.path.exists(self._path(path))

    def info(self, path: str) -> FileInfo:
        status = os.stat(self._path(path))
        return FileInfo(self._whole(path), status.st_size, status.st_mtime_ns // 1_000_000)

    def open(self, path: str) -> IO[bytes]:
        return open(self._path(path), "rb")

    def read_through(self, path: str) -> None:
        with self.open(path) as stream:
            while stream.read(1 << 20):
                pass

    def overwrite(self, path: str, text: str) -> None:
        target = self._path(path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as stream:
            stream.write(text.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())

    def move(self, source: str, target: str) -> None:
        destination = self._path(target)
        try:
            os.replace(self._path(source), destination)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(destination), exist_ok=True)
            os.replace(self._path(source), destination)

    def delete(self, path: str) -> None:
        target = self._path(path)
        if os.path.isdir(target) and not os.path.islink(target):
            shutil.rmtree(target)
        else:
            with suppress(FileNotFoundError):
                os.unlink(target)

    def make_folder(self, path: str) -> None:
        os.makedirs(self._path(path), exist_ok=True)

    def files(self, path: str, recursive: bool = True) -> list[FileInfo]:
        found: list[FileInfo] = []
        pending = [self._path(path)]
        while pending:
            for entry in self._entries(pending.pop()):
                if entry.name[0] in "_.":
                    continue
                try:
                    if not entry.is_dir():
                        status = entry.stat()
                        found.append(FileInfo(_readable(entry.path), status.st_size, status.st_mtime_ns // 1_000_000))
                    elif recursive:
                        pending.append(entry.path)
                except FileNotFoundError:  # it went meanwhile, or is a link to nowhere
                    continue
        return sorted(found)

    def folders(self, path: str) -> list[str]:
        return sorted(entry.name for entry in self._entries(self._path(path)) if entry.is_dir())

    @staticmethod
    def _entries(folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return []


def _readable(path: str) -> str:
    """The path as Spark names it. UsageError for a name that is no UTF-8: Spark could neither list nor read it."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        raise UsageError(f"{shown}: the name of this file is no UTF-8, and Spark cannot read it; rename it") from None
    return f"file:{path}"


class HadoopFileSystem(FileSystem):
    """Whatever Spark's own file-system layer reaches: an object store, HDFS."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        super().__init__(root)
        self._jvm: Any = spark.sparkContext._jvm
        self._conf: Any = spark.sparkContext._jsc.hadoopConfiguration()
        self.is_object_store = self.root.partition("://")[0] in _OBJECT_STORES
        self._fs: Any = self._path("").getFileSystem(self._conf)

    def _path(self, path: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(self._whole(path))

    def exists(self, path: str) -> bool:
        return bool(self._fs.exists(self._path(path)))

    def info(self, path: str) -> FileInfo:
        with _not_found(path):
            status = self._fs.getFileStatus(self._path(path))
        return FileInfo(status.getPath().toString(), int(status.getLen()), int(status.getModificationTime()))

    def open(self, path: str) -> IO[bytes]:
        with _not_found(path):
            stream = self._fs.open(self._path(path))
        try:
            return io.BytesIO(bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream)))
        finally:
            stream.close()

    def read_through(self, path: str) -> None:
        stream = self._fs.open(self._path(path))
        try:
            self._jvm.org.apache.commons.io.IOUtils.consume(stream)
        finally:
            stream.close()

    def write_text(self, path: str, text: str) -> None:
        if self.is_object_store:
            self.overwrite(path, text)
        else:
            super().write_text(path, text)

    def overwrite(self, path: str, text: str) -> None:
        stream = self._fs.create(self._path(path), True)
        try:
            stream.write(bytearray(text.encode("utf-8")))
            if stream.hasCapability("hsync"):
                stream.hsync()
        finally:
            stream.close()

    def move(self, source: str, target: str) -> None:
        destination = self._path(target)
        if self._fs.rename(self._path(source), destination):
            return
        if not self.exists(source):
            raise FileNotFoundError(f"{source} is gone")  # the target may be what it has become
        self._fs.mkdirs(destination.getParent())
        if self._fs.exists(destination):
            self._fs.delete(destination, False)
        if not self._fs.rename(self._path(source), destination):
            raise OSError(f"cannot rename {source} to {target}")

    def replace(self, source: str, target: str) -> None:
        if not self.is_object_store:
            self.move(source, target)
            return
        copy = self._jvm.org.apache.hadoop.fs.FileUtil.copy  # its upload appears whole; a rename would not replace
        copy(self._fs, self._path(source), self._fs, self._path(target), True, True, self._conf)

    def delete(self, path: str) -> None:
        self._fs.delete(self._path(path), True)

    def make_folder(self, path: str) -> None:
        if not self.is_object_store:
            self._fs.mkdirs(self._path(path))

    def files(self, path: str, recursive: bool = True) -> list[FileInfo]:
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
        folder = self._path(path)
        if not self._fs.exists(folder):
            return []
        return sorted(s.getPath().getName() for s in self._fs.listStatus(folder) if s.isDirectory())


@contextmanager
def _not_found(path: str) -> Iterator[None]:
    """Java's FileNotFoundException as Python's."""
    from py4j.protocol import Py4JJavaError

    try:
        yield
    except Py4JJavaError as error:
        if error.java_exception.getClass().getName() == "java.io.FileNotFoundException":
            raise FileNotFoundError(path) from error
        raise


def file_system(spark: SparkSession, root: str) -> FileSystem:
    """The files below a local path or a URI; a path without a scheme lies where the session's default is."""
    root = absolute(root)
    scheme = root if "://" in root else spark.sparkContext._jsc.hadoopConfiguration().get("fs.defaultFS")
    return LocalFileSystem(root) if scheme.startswith("file:") else HadoopFileSystem(spark, root)


def is_reached_by_python(root: str) -> bool:
    """Whether Python reads and writes a path or URI by itself: a local one."""
    return local_folder(root) is not None


def is_read_by_python(root: str, conf: Mapping[str, str]) -> bool:
    """Whether `open_files` reads a path or URI, by the spark.* settings of a configuration."""
    from cloud_analytics.lake import object_store

    scheme, _, rest = root.partition("://")
    is_s3 = scheme in object_store.SCHEMES and object_store.is_understood(rest.partition("/")[0], conf)
    return is_reached_by_python(root) or is_s3


def open_files(root: str, conf: Mapping[str, str] | None = None) -> ReadableFiles:
    """The files below a local path or a URI for who only reads them, without Spark; `conf` holds spark.* settings."""
    if is_reached_by_python(root):
        return LocalFileSystem(absolute(root))
    from cloud_analytics.lake.object_store import S3Files

    return S3Files(absolute(root), conf or {})
