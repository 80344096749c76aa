"""The sets of jars that the project uses, and the files that each consists of, by their hashes."""

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
    """A named set of jars: some packages of Maven (`organisation:name:version`), and everything that they need.

    `provided` are packages that are left out, as `organisation:name`; `*:*` leaves out all but the named ones.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    provided: tuple[str, ...] = ()

    @property
    def lock_path(self) -> Path:
        """The lock file that ships with the package."""
        return _FOLDER / f"{self.name}.lock"

    def jars(self) -> tuple[LockedJar, ...]:
        """The jars of the lock."""
        return _parse(self.lock_path.read_text(encoding="utf-8"))

    def digest(self) -> str:
        """A part of the name of its cache folder. It changes with every jar, so that two versions never mix."""
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
    """Write a lock: sorted, with one jar a line, so that a change of version is a readable diff."""
    lines = [
        f"# {jar_set.title}: {', '.join(jar_set.packages)}",
        "# By `python -m cloud_analytics.runtime.lock`: SHA-256, bytes, organisation:name:revision[:classifier]",
        *(f"{jar.sha256} {jar.size:>9} {jar.coordinate}" for jar in sorted(jars, key=lambda jar: jar.coordinate)),
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


SPARK = JarSet(
    "spark",
    "the Spark Cassandra Connector",
    (f"com.datastax.spark:spark-cassandra-connector_{versions.SCALA}:{versions.CONNECTOR}",),
    # Spark ships these itself, mostly newer, and its class loader asks itself first: a second copy would only confuse.
    provided=(
        "org.scala-lang:*",
        "org.scala-lang.modules:*",
        "org.apache.spark:*",
        "org.apache.commons:commons-lang3",
        "org.slf4j:*",
        "com.thoughtworks.paranamer:*",
        "io.dropwizard.metrics:*",
    ),
)
# Hadoop's own local file system forks `chmod` for each file and folder that it makes (pyspark has no native library).
# This one asks the JVM, which took one reference run from 54 to 47 s.
FILE_SYSTEM = JarSet(
    "file-system",
    "a local file system for Spark",
    (f"com.globalmentor:hadoop-bare-naked-local-fs:{versions.BARE_NAKED_FS}",),
    provided=("*:*",),
)
# hadoop-aws asks for a bundle of all AWS clients (280 MB), and uses a few of them: those that are named here.
S3A = JarSet(
    "s3a",
    "S3A, for object stores",
    (
        f"org.apache.hadoop:hadoop-aws:{versions.HADOOP}",
        *(f"com.amazonaws:aws-java-sdk-{client}:{versions.AWS_SDK}" for client in ("s3", "sts", "dynamodb")),
        f"com.fasterxml.jackson.dataformat:jackson-dataformat-cbor:{versions.JACKSON_CBOR}",
    ),
    provided=(
        "com.amazonaws:aws-java-sdk-bundle",
        "org.wildfly.openssl:*",
        "com.fasterxml.jackson.core:*",
        "org.apache.httpcomponents:*",
        "commons-codec:*",
        "commons-logging:*",
        "joda-time:*",
    ),
)
CASSANDRA = JarSet("cassandra", "Apache Cassandra", (f"org.apache.cassandra:cassandra-all:{versions.CASSANDRA}",))
JAR_SETS = (FILE_SYSTEM, SPARK, S3A, CASSANDRA)
