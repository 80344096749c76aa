"""Reads an S3 store through PyArrow, without Spark, with the credentials of the Spark settings."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import IO, Any, cast

from pyarrow.fs import FileSelector, FileType, S3FileSystem

from cloud_analytics.lake.file_system import FileInfo, Kind, ReadableFiles

SCHEMES = ("s3a", "s3")
_S3A = "spark.hadoop.fs.s3a."
# Credential providers that PyArrow has an equivalent of. With any other one (a role, a user's class) Spark reads.
_PROVIDERS = {
    "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
    "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider",
    "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider",
    "com.amazonaws.auth.EnvironmentVariableCredentialsProvider",
    "com.amazonaws.auth.DefaultAWSCredentialsProviderChain",
}


def is_understood(bucket: str, conf: Mapping[str, str]) -> bool:
    """Whether PyArrow supports all spark.* settings that decide on the access to a bucket."""
    settings = _settings(bucket, conf)
    provider = settings.get("aws.credentials.provider")
    decisive = ("assumed.role", "encryption", "proxy", "delegation", "security.credential")
    return (provider is None or provider in _PROVIDERS) and not any(name.startswith(decisive) for name in settings)


class S3Files(ReadableFiles):
    """The objects below a prefix of a bucket, read only."""

    is_object_store = True

    def __init__(self, root: str, conf: Mapping[str, str]) -> None:
        super().__init__(root.rstrip("/"))
        self._scheme, _, rest = self.root.partition("://")
        settings = _settings(rest.partition("/")[0], conf)
        endpoint = settings.get("endpoint", "")
        secure = settings.get("connection.ssl.enabled", "true").lower() != "false"
        options: dict[str, Any] = {
            "anonymous": settings.get("aws.credentials.provider", "").endswith("AnonymousAWSCredentialsProvider"),
            "scheme": endpoint.partition("://")[0] if "://" in endpoint else "https" if secure else "http",
            "endpoint_override": endpoint.partition("://")[2] or endpoint or None,
            "region": settings.get("endpoint.region"),
            "force_virtual_addressing": False,
            "access_key": settings.get("access.key"),
            "secret_key": settings.get("secret.key"),
            "session_token": settings.get("session.token"),
        }
        self._fs = S3FileSystem(**{name: value for name, value in options.items() if value is not None})

    def _key(self, path: str) -> str:
        return self._whole(path).partition("://")[2]

    def open(self, path: str) -> IO[bytes]:
        return io.BufferedReader(cast(io.RawIOBase, self._fs.open_input_file(self._key(path))))  # lines need a buffer

    def files(self, path: str, recursive: bool = True) -> list[FileInfo]:
        folder = self._key(path)
        listed = self._fs.get_file_info(FileSelector(folder, allow_not_found=True, recursive=recursive))
        return sorted(
            self._entry(found).checked()
            for found in listed
            if found.is_file and not any(part[0] in "_." for part in found.path[len(folder) + 1 :].split("/") if part)
        )

    def entries(self, path: str) -> list[FileInfo]:
        listed = self._fs.get_file_info(FileSelector(self._key(path), allow_not_found=True))
        return [self._entry(found) for found in listed]

    def entry(self, path: str) -> FileInfo | None:
        found = self._fs.get_file_info(self._key(path))
        return None if found.type == FileType.NotFound else self._entry(found)

    def _entry(self, found: Any) -> FileInfo:
        if not found.is_file:
            return FileInfo(f"{self._scheme}://{found.path}", kind=Kind.FOLDER)
        return FileInfo(f"{self._scheme}://{found.path}", found.size, found.mtime_ns // 1_000_000)


def _settings(bucket: str, conf: Mapping[str, str]) -> dict[str, str]:
    """S3A's settings for a bucket. Settings of this bucket override the settings of all buckets."""
    common = {key.removeprefix(_S3A): value for key, value in conf.items() if key.startswith(_S3A)}
    own = f"bucket.{bucket}."
    return {**common, **{key.removeprefix(own): value for key, value in common.items() if key.startswith(own)}}
