"""The cache of locked jars: filled once from Maven Central, afterwards neither network nor JVM is asked.

A set lies in `<cache>/jars/<set>-<digest of its lock>/`. It is downloaded into a folder beside, checked against the
lock's SHA-256 and renamed, so that a folder under its final name is complete, whoever is killed at whatever moment;
sizes are compared at each use, which finds a file that was truncated or deleted since.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from cloud_analytics.errors import UsageError
from cloud_analytics.runtime.filelock import FileLock
from cloud_analytics.runtime.ivy import DownloadError, download
from cloud_analytics.runtime.lockfile import CASSANDRA, SPARK, JarSet

logger = logging.getLogger(__name__)

Fetch = Callable[[JarSet, Path], None]


def cache_folder() -> Path:
    """`CLOUD_ANALYTICS_CACHE`, else `cloud-analytics` below `XDG_CACHE_HOME` or `~/.cache`."""
    own = os.environ.get("CLOUD_ANALYTICS_CACHE")
    if own:
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "cloud-analytics"


def connector_jars() -> list[Path]:
    """The Spark Cassandra Connector and what it needs beyond Spark, for `spark.jars`; UsageError without network."""
    return ensure(SPARK)


def cassandra_classpath() -> list[Path]:
    """Apache Cassandra and all it needs, for `java -cp`; UsageError without network."""
    return ensure(CASSANDRA)


def folder_of(jar_set: JarSet) -> Path:
    """Where a set lies once it is there."""
    return cache_folder() / "jars" / f"{jar_set.name}-{jar_set.digest()}"


def cached(jar_set: JarSet) -> list[Path] | None:
    """The paths of a set if all its files are there in their size, else None."""
    folder = folder_of(jar_set)
    sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder)} if folder.is_dir() else {}
    jars = jar_set.jars()
    if any(sizes.get(jar.file_name) != jar.size for jar in jars):
        return None
    return [folder / jar.file_name for jar in jars]


def ensure(jar_set: JarSet, fetch: Fetch | None = None) -> list[Path]:
    """The paths of a set, downloaded if the cache lacks it; of several processes one downloads, the others wait."""
    found = cached(jar_set)
    if found is not None:
        return found
    folder = folder_of(jar_set)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{jar_set.name}.lock"):
            found = cached(jar_set)
            if found is None:
                _fill(jar_set, folder, fetch or _fetch)
                found = cached(jar_set)
    except OSError as error:
        raise UsageError(
            f"the jar cache {folder.parent} cannot be written ({error.strerror or error}):"
            " set CLOUD_ANALYTICS_CACHE to a folder that can"
        ) from error
    assert found is not None
    return found


def _fetch(jar_set: JarSet, folder: Path) -> None:
    download(jar_set.jars(), folder)


def _fill(jar_set: JarSet, folder: Path, fetch: Fetch) -> None:
    """Download, check, rename; called under the lock, so every half-filled folder found here is a dead process's."""
    for abandoned in folder.parent.glob(f".{jar_set.name}-*.part"):
        shutil.rmtree(abandoned, ignore_errors=True)
    jars = jar_set.jars()
    megabytes = sum(jar.size for jar in jars) / 1e6
    logger.info("fetching %s from Maven Central: %d jar(s), %.1f MB, this once", jar_set.title, len(jars), megabytes)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{jar_set.name}-", suffix=".part"))
    try:
        try:
            fetch(jar_set, aside)
        except DownloadError as error:
            raise UsageError(
                f"cannot download {jar_set.title} from Maven Central ({error}): run `make setup` where there is a"
                f" network (HTTPS_PROXY and SSL_CERT_FILE are honoured), or copy {folder} from a machine that has it"
            ) from error
        for jar in jars:
            if not jar.matches(aside / jar.file_name):
                raise UsageError(
                    f"{jar.file_name} from Maven Central is not the file that was locked (SHA-256 differs):"
                    " look for a proxy that alters downloads, then run `make setup` again"
                )
        shutil.rmtree(aside / ".ivy", ignore_errors=True)
        aside.chmod(0o755)
        if folder.exists():  # damaged: put aside under a name that the next run cleans up
            os.replace(folder, aside.with_name(f".{jar_set.name}-damaged-{os.getpid()}.part"))
        os.replace(aside, folder)
    finally:
        for left in folder.parent.glob(f".{jar_set.name}-*.part"):
            shutil.rmtree(left, ignore_errors=True)
