"""Give DuckDB the files of an object store through fsspec."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import IO, Any

from fsspec import AbstractFileSystem

from cloud_analytics.lake.file_system import FileInfo, ReadableFiles


def as_fsspec(files: ReadableFiles) -> AbstractFileSystem:
    """Wrap these files as an fsspec file system for the scheme of their root (`s3a://…`)."""
    return _Files(files)


class _Files(AbstractFileSystem):  # type: ignore[misc]
    """The calls that DuckDB makes: size, modification time and bytes of a named file. Listing is not supported."""

    cachable = False

    def __init__(self, files: ReadableFiles) -> None:
        super().__init__()
        self._files = files
        self.protocol = files.root.partition("://")[0]
        self._opened: dict[str, FileInfo] = {}  # path → the file as it was at its last opening

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
