"""The jars of Maven Central that the project runs on; `jar_cache` keeps them, `locks/` says which bytes they are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cloud_analytics.runtime.jar_cache import cache_folder, cassandra_classpath, connector_jars, ensure
from cloud_analytics.runtime.lockfile import FILE_SYSTEM, S3A

__all__ = ["cache_folder", "cassandra_classpath", "connector_jars", "file_system_jars", "object_store_jars"]


def file_system_jars() -> list[Path]:
    """A local file system for Spark that forks no processes.

    Hadoop's own forks `chmod` for each file and folder it makes (there is no native library in pyspark); this one asks
    the JVM, which took one reference run from 54 to 47 s.
    """
    return ensure(FILE_SYSTEM)


def object_store_jars(uris: Iterable[str]) -> list[Path]:
    """S3A, when one of the paths needs it (7 MB, downloaded at first use)."""
    return ensure(S3A) if any(uri.startswith("s3a://") for uri in uris) else []
