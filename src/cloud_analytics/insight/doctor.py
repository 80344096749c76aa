"""Check what a machine has and lacks for a run, with a remedy for each missing thing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cloud_analytics.config import default_conf_dir, load
from cloud_analytics.config.sources import EVENTS_FOLDER
from cloud_analytics.errors import CloudAnalyticsError
from cloud_analytics.lake.uris import local_folder
from cloud_analytics.runtime.environment import jvm_flags, problems
from cloud_analytics.runtime.jars import cached, folder_of
from cloud_analytics.runtime.java import require_java
from cloud_analytics.runtime.lock import CASSANDRA, FILE_SYSTEM, PYSPARK, SPARK, JarSet


@dataclass(frozen=True)
class Finding:
    """The result of one check; `detail` says what was found, or what to do."""

    what: str
    good: bool
    detail: str


def examine(landing: str | None, lake: str | None, conf: Path | None) -> list[Finding]:
    """Check Python, PySpark, Java, configuration, environment, jars, folders, processors and disk, without Spark."""
    findings = [
        Finding(
            "Python",
            (3, 10) <= sys.version_info[:2] <= (3, 13),
            f"{platform.python_version()} (3.10 to 3.13 are supported)",
        )
    ]
    try:
        installed = version("pyspark")
        wanted = f"{installed} ({PYSPARK} is what the connector is released for)"
        findings.append(Finding("PySpark", installed == PYSPARK, wanted))
    except PackageNotFoundError:
        findings.append(Finding("PySpark", False, "not installed: run `make setup`"))
    try:
        java = require_java()
        findings.append(Finding("Java", True, f"{java.version} from {java.source}"))
    except CloudAnalyticsError as error:
        findings.append(Finding("Java", False, str(error)))
    memory, options = 2048, ""
    try:
        config = load(conf)
        memory = config.pipeline.spark.driver_memory_mib
        options = config.pipeline.spark.conf.get("spark.driver.extraJavaOptions", "")
        findings.append(Finding("configuration", True, f"valid, in {conf or default_conf_dir()}"))
        landing, lake = landing or config.pipeline.landing.folder, lake or config.pipeline.lake
    except CloudAnalyticsError as error:
        findings.append(Finding("configuration", False, str(error)))
    flags = [*jvm_flags(memory, options), f"-Xmx{memory}m"]
    found = [Finding("environment", False, problem) for problem in problems(flags)]
    findings += found or [Finding("environment", True, "nothing in it keeps Spark from starting")]
    findings += [_jars(jar_set) for jar_set in (FILE_SYSTEM, SPARK, CASSANDRA)]
    for name, place in (("landing", landing), ("lake", lake)):
        folder = local_folder(place) if place else None
        if folder is not None:
            findings.append(_folder(name, folder))
    findings.append(Finding("processors", True, str(os.cpu_count())))
    disk = _existing(local_folder(lake or ".") or Path.cwd())
    free = shutil.disk_usage(disk).free / 2**30
    findings.append(Finding("free disk", free > 1, f"{free:.1f} GiB at {disk}"))
    return findings


def _jars(jar_set: JarSet) -> Finding:
    what = f"jars of {jar_set.title}"
    try:
        jars = cached(jar_set)
        folder = folder_of(jar_set)
    except CloudAnalyticsError as error:
        return Finding(what, False, str(error))
    if jars is not None:
        return Finding(what, True, f"{len(jars)}, each with the bytes that were locked, in {folder}")
    if folder.exists():
        return Finding(
            what, False, f"one in {folder} is missing, altered or open to others: `make setup` sets that right"
        )
    place = _existing(folder)
    writable = place.is_dir() and os.access(place, os.W_OK)
    told = "fetched from Maven Central when they are needed" if writable else "set CLOUD_ANALYTICS_CACHE to another one"
    return Finding(what, writable, f"not in {folder} yet: {told}")


def _folder(name: str, path: Path) -> Finding:
    if name == "landing" and not (path.is_dir() and (any(path.glob("*.csv")) or (path / EVENTS_FOLDER).is_dir())):
        what = "holds no data" if path.is_dir() else "does not exist"
        return Finding(name, False, f"{path} {what}: `cloud-analytics generate --out {path}` makes data")
    place = _existing(path)
    if not place.is_dir():
        return Finding(name, False, f"{place} is no folder: choose another with --{name}")
    writable = os.access(place, os.W_OK) or name == "landing"
    return Finding(name, writable, f"{path}" if writable else f"{path} is not writable: choose another with --{name}")


def _existing(path: Path) -> Path:
    """The path itself if it exists, else its nearest existing parent folder."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
