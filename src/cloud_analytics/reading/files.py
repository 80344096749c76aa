"""Files of a store for DuckDB, which reads them through fsspec."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import IO, Any

from fsspec import AbstractFileSystem

from cloud_analytics.lake.files import FileInfo, ReadableFiles


def as_fsspec(files: ReadableFiles) -> AbstractFileSystem:
    """A file system of fsspec with the same files, under the scheme of their root (`s3a://…`)."""
    return _Files(files)


class _Files(AbstractFileSystem):  # type: ignore[misc]
    """What DuckDB needs of a file system: size, time and bytes of files that it names. Nothing is listed."""

    cachable = False

    def __init__(self, files: ReadableFiles) -> None:
        super().__init__()
        self._files = files
        self.protocol = files.root.partition("://")[0]
        self._opened: dict[str, FileInfo] = {}  # as they were when they were opened last

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path

    def info(self, path: str, **_options: Any) -> dict[str, Any]:
        return {"name": path, "size": self._opened[path].length, "type": "file"}

    def modified(self, path: str) -> datetime:
        return datetime.fromtimestamp(self._opened[path].modified / 1000, timezone.utc)

    def glob(self, path: str, **_options: Any) -> list[str]:
        return [path]

    def open(self, path: str, mode: str = "rb", **_options: Any) -> IO[bytes]:
        if mode != "rb":
            raise PermissionError("the lake is only read")
        self._opened[path] = self._files.info(path)
        return self._files.open(path)
