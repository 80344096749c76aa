"""The locked jar sets: which files a set of Maven packages consists of, down to the bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cloud_analytics.runtime import versions

_FOLDER = Path(__file__).with_name("locks")


@dataclass(frozen=True)
class LockedJar:
    """One file of Maven Central."""

    organisation: str
    name: str
    revision: str
    classifier: str
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        """`name-revision[-classifier].jar`, as everywhere."""
        return f"{self.name}-{self.revision}{'-' + self.classifier if self.classifier else ''}.jar"

    @property
    def coordinate(self) -> str:
        """`organisation:name:revision[:classifier]`."""
        return ":".join(filter(None, (self.organisation, self.name, self.revision, self.classifier)))

    def matches(self, path: Path) -> bool:
        """Whether a file is there and holds exactly the locked bytes."""
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


@dataclass(frozen=True)
class JarSet:
    """A named set of jars: the packages that were asked for, and everything they need."""

    name: str
    title: str
    packages: tuple[str, ...]
    provided: tuple[str, ...]

    @property
    def lock_path(self) -> Path:
        """The lock file that ships with the package."""
        return _FOLDER / f"{self.name}.lock"

    def jars(self) -> tuple[LockedJar, ...]:
        """The jars of the lock."""
        return _parse(self.lock_path.read_text(encoding="utf-8"))

    def digest(self) -> str:
        """Changes with every change of a jar: a cache folder's name, so that two versions never mix."""
        return hashlib.sha256("\n".join(sorted(jar.sha256 for jar in self.jars())).encode()).hexdigest()[:12]


@lru_cache
def _parse(text: str) -> tuple[LockedJar, ...]:
    jars = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            sha256, size, coordinate = line.split()
            organisation, name, revision, *classifier = coordinate.split(":")
            jars.append(LockedJar(organisation, name, revision, "".join(classifier), int(size), sha256))
    return tuple(jars)


def write_lock(jar_set: JarSet, jars: list[LockedJar], path: Path) -> None:
    """Write a lock, sorted, one jar a line, so that a change of version is a readable diff."""
    lines = [
        f"# {jar_set.title}: {', '.join(jar_set.packages)}",
        "# By `python -m cloud_analytics.runtime.lock`: SHA-256, bytes, organisation:name:revision[:classifier]",
        *(f"{jar.sha256} {jar.size:>9} {jar.coordinate}" for jar in sorted(jars, key=lambda jar: jar.coordinate)),
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


SPARK = JarSet("spark", "the Spark Cassandra Connector", versions.SPARK_PACKAGES, versions.SPARK_PROVIDED)
FILE_SYSTEM = JarSet(
    "file-system", "a local file system for Spark", versions.FILE_SYSTEM_PACKAGES, versions.FILE_SYSTEM_PROVIDED
)
S3A = JarSet("s3a", "S3A, for object stores", versions.S3A_PACKAGES, versions.S3A_PROVIDED)
CASSANDRA = JarSet("cassandra", "Apache Cassandra", versions.CASSANDRA_PACKAGES, versions.CASSANDRA_PROVIDED)
JAR_SETS = (FILE_SYSTEM, SPARK, S3A, CASSANDRA)
