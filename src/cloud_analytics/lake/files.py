"""Files below one root: Python reads and writes a local folder, Spark's file systems reach anything else.

A reader calls `open_files`: its `ReadableFiles` need no Spark.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cloud_analytics.errors import UsageError
from cloud_analytics.lake.file_system import FileInfo, FileSystem, Kind, ReadableFiles
from cloud_analytics.lake.uris import absolute, local_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# In these stores an object appears whole, and replaces the old one, when its upload ends. A rename is a copy.
_OBJECT_STORES = ("s3a", "s3", "gs")
_MESSAGE = 2**20  # bytes in one answer of the JVM
_NOTHING_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


def _expect_absent(error: OSError | ValueError) -> None:
    """Raise the error unless it says that nothing is there (ValueError: the path has a null character).

    What may not be looked at, or is on a disk or server that fails, must not count as gone.
    """
    if isinstance(error, OSError) and error.errno not in _NOTHING_THERE:
        raise error


class LocalFileSystem(FileSystem):
    """A local folder, reached from Python: through the JVM each call on a file would take several messages."""

    @property
    def folder(self) -> Path:
        """The root as a Python path."""
        return Path(self._path(""))

    def _path(self, path: str) -> str:
        return "/" + self._whole(path).removeprefix("file:").lstrip("/")

    def leads_out(self, path: str) -> bool:
        folder = os.path.realpath(os.path.dirname(self._path(path)))
        return not Path(folder).is_relative_to(os.path.realpath(self.folder))

    def exists(self, path: str) -> bool:
        try:
            os.stat(self._path(path))
        except (OSError, ValueError) as error:
            _expect_absent(error)
            return False
        return True

    def open(self, path: str) -> IO[bytes]:
        return open(self._path(path), "rb")

    def read_text(self, path: str) -> str | None:
        found = self.entry(path)
        if found is not None and (found.kind is not Kind.FILE or found.leaves_root or self.leads_out(path)):
            raise UsageError(
                f"{found.path} is no file of {self.root}, but a link out of it, a folder, a pipe or a device"
            )
        return super().read_text(path)

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        target = self._path(path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with suppress(FileNotFoundError):
            found = os.lstat(target)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                os.unlink(target)  # a link that another user put here would lead to another file
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666), "wb") as stream:
            stream.write(content)
            if durable:
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

    def sync(self, paths: Iterable[str]) -> None:
        def sync(path: str) -> None:
            with suppress(FileNotFoundError):  # a journal applied again may name files that were moved already
                descriptor = os.open(self._path(path), os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

        with ThreadPoolExecutor(8) as pool:  # several times faster: the disk flushes waiting files together
            for _ in pool.map(sync, paths):
                pass

    def entries(self, path: str) -> list[FileInfo]:
        try:
            with os.scandir(self._path(path)) as found:
                return [self._entry(item.path, item.is_symlink(), item.stat) for item in found]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def entry(self, path: str) -> FileInfo | None:
        local = self._path(path)
        try:
            is_link = stat.S_ISLNK(os.lstat(local).st_mode)
        except (OSError, ValueError) as error:
            _expect_absent(error)
            return None
        return self._entry(local, is_link, lambda: os.stat(local))

    def _entry(self, path: str, is_link: bool, look: Callable[[], os.stat_result]) -> FileInfo:
        leaves = is_link and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.folder))
        try:
            status = look()
            changed = max(status.st_ctime_ns, os.lstat(path).st_ctime_ns) if is_link else status.st_ctime_ns
        except OSError as error:  # deleted meanwhile, or a link that is broken, circular or leads out to what is denied
            if not (leaves and isinstance(error, PermissionError)):
                _expect_absent(error)
            return FileInfo(f"file:{path}", kind=Kind.OTHER, leaves_root=leaves)
        kinds = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER}
        kind = kinds.get(stat.S_IFMT(status.st_mode), Kind.OTHER)
        return FileInfo(f"file:{path}", status.st_size, status.st_mtime_ns // 1_000_000, kind, leaves, changed)


class HadoopFileSystem(FileSystem):
    """A store that Spark's file-system layer (Hadoop) reaches: an object store, HDFS."""

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

    def open(self, path: str) -> IO[bytes]:
        with _not_found(path):
            stream = self._fs.open(self._path(path))
        return io.BufferedReader(_HadoopStream(self._jvm.org.apache.commons.io, stream), _MESSAGE)

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        stream = self._fs.create(self._path(path), True)
        try:
            stream.write(bytearray(content))
            if durable and stream.hasCapability("hsync"):
                stream.hsync()
        finally:
            stream.close()

    def move(self, source: str, target: str) -> None:
        destination = self._path(target)
        if self._fs.rename(self._path(source), destination):
            return
        self._fs.mkdirs(destination.getParent())
        if self._fs.rename(self._path(source), destination):
            return
        if not self.exists(source):
            raise FileNotFoundError(f"{source} is gone")  # an earlier rename may have succeeded
        self._fs.delete(destination, False)
        if not self._fs.rename(self._path(source), destination):
            raise OSError(f"cannot rename {source} to {target}")

    def replace(self, source: str, target: str) -> None:
        if not self.is_object_store:
            self.move(source, target)
            return
        copy = self._jvm.org.apache.hadoop.fs.FileUtil.copy  # the copy appears whole; a rename does not replace
        copy(self._fs, self._path(source), self._fs, self._path(target), True, True, self._conf)

    def delete(self, path: str) -> None:
        self._fs.delete(self._path(path), True)

    def entries(self, path: str) -> list[FileInfo]:
        # Not listFiles: it looks up the owner and the permissions of each file, which forks a process.
        try:
            with _not_found(path):
                return [self._entry(status) for status in self._fs.listStatus(self._path(path))]
        except FileNotFoundError:
            return []

    def entry(self, path: str) -> FileInfo | None:
        try:
            with _not_found(path):
                return self._entry(self._fs.getFileStatus(self._path(path)))
        except FileNotFoundError:
            return None

    @staticmethod
    def _entry(status: Any) -> FileInfo:
        kind = Kind.FOLDER if status.isDirectory() else Kind.FILE
        return FileInfo(status.getPath().toString(), int(status.getLen()), int(status.getModificationTime()), kind)


class _HadoopStream(io.RawIOBase):
    """A file opened by a Hadoop file system. Each read is a message to the JVM."""

    def __init__(self, commons_io: Any, stream: Any) -> None:
        self._io = commons_io
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._stream.getPos())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("seek from the end")
        self._stream.seek(offset if whence == io.SEEK_SET else self.tell() + offset)
        return self.tell()

    def readinto(self, buffer: Any) -> int:
        bounded = self._io.input.BoundedInputStream(self._stream, len(buffer))
        part = bytes(self._io.IOUtils.toByteArray(bounded))
        buffer[: len(part)] = part
        return len(part)

    def readall(self) -> bytes:
        return bytes(self._io.IOUtils.toByteArray(self._stream))

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


@contextmanager
def _not_found(path: str) -> Iterator[None]:
    """Turn Java's FileNotFoundException into Python's FileNotFoundError."""
    from py4j.protocol import Py4JJavaError

    try:
        yield
    except Py4JJavaError as error:
        if error.java_exception.getClass().getName() == "java.io.FileNotFoundException":
            raise FileNotFoundError(path) from error
        raise


def file_system(spark: SparkSession, root: str) -> FileSystem:
    """The files below a path or URI. A path without a scheme is in the session's default file system."""
    root = absolute(root)
    scheme = root if "://" in root else spark.sparkContext._jsc.hadoopConfiguration().get("fs.defaultFS")
    return LocalFileSystem(root) if scheme.startswith("file:") else HadoopFileSystem(spark, root)


def is_read_by_python(root: str, conf: Mapping[str, str]) -> bool:
    """Whether `open_files` can read a path or URI with the spark.* settings `conf`."""
    if local_folder(root) is not None:
        return True
    from cloud_analytics.lake import object_store

    scheme, _, rest = root.partition("://")
    return scheme in object_store.SCHEMES and object_store.is_understood(rest.partition("/")[0], conf)


def open_files(root: str, conf: Mapping[str, str] | None = None) -> ReadableFiles:
    """The files below a local path or a URI, read without Spark. `conf`: the spark.* settings for an object store."""
    if local_folder(root) is not None:
        return LocalFileSystem(absolute(root))
    from cloud_analytics.lake.object_store import S3Files

    return S3Files(absolute(root), conf or {})
