"""The jars that the project uses, with their hashes, and the command that writes the lock files after a version change.

The versions that are pinned outside pyproject.toml depend on each other: the newest Spark Cassandra Connector is made
for Spark 3.5 and Scala 2.12; Spark 3.5 and Cassandra 5.0 run on Java 17 or 11 (java.py). After a change run
`python -m cloud_analytics.runtime.lock`. Apache Ivy, the resolver inside PySpark, then reads the poms of Maven Central
and checks its downloads. Ivy gets its own settings here, because with Spark's settings it fails on a `~/.m2` that holds
poms without jars. Behind a proxy set Java's proxy options, for example `JAVA_TOOL_OPTIONS=-Dhttps.proxyHost=…`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cloud_analytics.errors import PipelineError
from cloud_analytics.runtime.java import require_java

PYSPARK = "3.5.9"
SCALA = "2.12"
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
        """The usual file name in a Maven repository, `name-revision[-classifier].jar`."""
        return f"{self.name}-{self.revision}{'-' + self.classifier if self.classifier else ''}.jar"

    @property
    def coordinate(self) -> str:
        """The Maven coordinate, `organisation:name:revision[:classifier]`."""
        return ":".join(filter(None, (self.organisation, self.name, self.revision, self.classifier)))

    def matches(self, path: Path) -> bool:
        """Whether the file exists and has the locked SHA-256."""
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


@dataclass(frozen=True)
class JarSet:
    """A named set of jars: some Maven packages (`organisation:name:version`) and their dependencies.

    `provided`: dependencies that are left out, as `organisation:name`; `*:*` leaves out all dependencies.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    provided: str = ""

    @property
    def lock_path(self) -> Path:
        """The path of the lock file, which is part of this package."""
        return _FOLDER / f"{self.name}.lock"

    def jars(self) -> list[LockedJar]:
        """The jars in the lock file."""
        jars = []
        for line in self.lock_path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                sha256, size, coordinate = line.split()
                organisation, name, revision, *classifier = coordinate.split(":")
                jars.append(LockedJar(organisation, name, revision, "".join(classifier), int(size), sha256))
        return jars

    def digest(self) -> str:
        """A digest for the name of the cache folder. It changes if any jar changes, so that versions never mix."""
        return hashlib.sha256("\n".join(sorted(jar.sha256 for jar in self.jars())).encode()).hexdigest()[:12]


SPARK = JarSet(
    "spark",
    "the Spark Cassandra Connector",
    (f"com.datastax.spark:spark-cassandra-connector_{SCALA}:3.5.1",),
    # Spark ships these itself, mostly newer, and its class loader prefers its own copy, so a second copy is useless.
    "org.scala-lang:* org.scala-lang.modules:* org.apache.spark:* org.apache.commons:commons-lang3 org.slf4j:*"
    " com.thoughtworks.paranamer:* io.dropwizard.metrics:*",
)
# Hadoop's own local file system forks `chmod` for each new file and folder (pyspark has no native library). This one
# uses the JVM's functions, which shortened a reference run from 54 to 47 s.
FILE_SYSTEM = JarSet(
    "file-system",
    "a local file system for Spark",
    ("com.globalmentor:hadoop-bare-naked-local-fs:0.1.0",),
    "*:*",
)
# hadoop-aws depends on a bundle of all AWS clients (280 MB) but uses only a few. These are named here, in the version
# that hadoop-aws was built with.
S3A = JarSet(
    "s3a",
    "S3A, for object stores",
    (
        "org.apache.hadoop:hadoop-aws:3.3.4",  # the Hadoop version that pyspark ships
        *(f"com.amazonaws:aws-java-sdk-{client}:1.12.262" for client in ("s3", "sts", "dynamodb")),
        "com.fasterxml.jackson.dataformat:jackson-dataformat-cbor:2.15.2",  # the version of pyspark's jackson
    ),
    "com.amazonaws:aws-java-sdk-bundle org.wildfly.openssl:* com.fasterxml.jackson.core:* org.apache.httpcomponents:*"
    " commons-codec:* commons-logging:* joda-time:*",
)
CASSANDRA = JarSet("cassandra", "Apache Cassandra", ("org.apache.cassandra:cassandra-all:5.0.6",))
JAR_SETS = (FILE_SYSTEM, SPARK, S3A, CASSANDRA)

_PATTERN = "[organisation]/[artifact]/[revision]/[artifact]-[revision](-[classifier]).[ext]"
_SETTINGS = """\
<ivysettings>
  <property name="ivy.checksums" value="sha1,md5"/>
  <property name="ivy.maven.lookup.sources" value="false"/>
  <property name="ivy.maven.lookup.javadoc" value="false"/>
  <settings defaultResolver="central"/>
  <resolvers><ibiblio name="central" m2compatible="true"/></resolvers>
</ivysettings>
"""


def relock(jar_set: JarSet) -> str:
    """Resolve a set and write its lock file. Returns a summary of one line.

    PipelineError if Ivy fails, resolves nothing, or two jars have the same file name.
    """
    with tempfile.TemporaryDirectory() as work:
        _resolve(jar_set, Path(work))
        jars = [_locked(path) for path in Path(work, "jars").glob("*/*/*/*.jar")]
    names = {jar.file_name for jar in jars}
    if not jars or len(names) < len(jars):
        raise PipelineError(f"{jar_set.name}: nothing was resolved, or two jars share a file name")
    write_lock(jar_set, jars)
    return f"{jar_set.lock_path.name}: {len(jars)} jars"


def _resolve(jar_set: JarSet, work: Path) -> None:
    """Download the packages and their dependencies, except the provided ones, into folders below `work/jars`."""
    (work / "settings.xml").write_text(_SETTINGS, encoding="utf-8")
    (work / "ivy.xml").write_text(
        '<ivy-module version="2.0"><info organisation="cloud_analytics" module="jars"/>\n'
        '<configurations><conf name="default"/></configurations>\n'
        f"<dependencies>{''.join(_dependencies(jar_set))}</dependencies></ivy-module>\n",
        encoding="utf-8",
    )
    spec = importlib.util.find_spec("pyspark")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    (ivy,) = Path(spec.submodule_search_locations[0], "jars").glob("ivy-*.jar")
    command = [
        *(str(require_java().home / "bin" / "java"), f"-Divy.default.ivy.user.dir={work}", "-jar", str(ivy)),
        *("-settings", str(work / "settings.xml"), "-ivy", str(work / "ivy.xml"), "-cache", str(work / "cache")),
        *("-confs", "default", "-types", "jar", "bundle", "-retrieve", str(work / "jars" / _PATTERN)),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise PipelineError(f"{jar_set.name} cannot be resolved:\n{done.stdout}{done.stderr}")


def _dependencies(jar_set: JarSet) -> list[str]:
    transitive = jar_set.provided != "*:*"
    excluded = "".join(
        f'<exclude org="{organisation}" module="{module}" matcher="exact"/>'
        for organisation, module in (package.split(":") for package in jar_set.provided.split() if transitive)
    )
    return [
        f'<dependency org="{organisation}" name="{name}" rev="{revision}"'
        f' transitive="{str(transitive).lower()}" conf="default->default">{excluded}</dependency>'
        for organisation, name, revision in (package.split(":") for package in jar_set.packages)
    ]


def _locked(path: Path) -> LockedJar:
    organisation, name, revision = path.parts[-4:-1]
    classifier = path.stem.removeprefix(f"{name}-{revision}").removeprefix("-")
    content = path.read_bytes()
    return LockedJar(organisation, name, revision, classifier, len(content), hashlib.sha256(content).hexdigest())


def write_lock(jar_set: JarSet, jars: list[LockedJar]) -> None:
    """Write a lock file, sorted and with one jar per line, so that a version change gives a readable diff."""
    lines = [
        f"# {jar_set.title}: {', '.join(jar_set.packages)}",
        "# By `python -m cloud_analytics.runtime.lock`: SHA-256, bytes, organisation:name:revision[:classifier]",
        *(f"{jar.sha256} {jar.size:>9} {jar.coordinate}" for jar in sorted(jars, key=lambda jar: jar.coordinate)),
    ]
    jar_set.lock_path.parent.mkdir(exist_ok=True)
    jar_set.lock_path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for each in JAR_SETS:
        print(relock(each))
