"""Jars from Maven Central, resolved once into a cache of the project's own; the second start touches no network.

Spark's own `spark.jars.packages` asks the network on each new machine and trips over half-filled `~/.m2` folders; the
Ivy that ships inside pyspark is called here instead, with settings that name Maven Central only.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cloud_analytics.errors import UsageError
from cloud_analytics.runtime.java import require_java
from cloud_analytics.runtime.network import proxy_options, trusted_bundle, truststore_options

_SETTINGS = """\
<ivysettings>
  <settings defaultResolver="central"/>
  <caches defaultCacheDir="{cache}"/>
  <resolvers><ibiblio name="central" m2compatible="true"/></resolvers>
</ivysettings>
"""


@dataclass(frozen=True)
class Artifact:
    """One jar of Maven Central."""

    organisation: str
    module: str
    version: str

    @property
    def file(self) -> str:
        """Name of its jar."""
        return f"{self.module}-{self.version}.jar"


# Hadoop's own local file system forks `chmod` for each file and folder it makes (there is no native library in
# pyspark); this one asks the JVM, which saves about a third of a run that writes hundreds of small partitions.
SPARK_ARTIFACTS = (Artifact("com.globalmentor", "hadoop-bare-naked-local-fs", "0.1.0"),)


def cache_folder() -> Path:
    """`CLOUD_ANALYTICS_CACHE`, else below `XDG_CACHE_HOME` or `~/.cache`."""
    own = os.environ.get("CLOUD_ANALYTICS_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cloud-analytics"


def spark_jars() -> list[Path]:
    """The jars a session needs, resolved when the cache lacks one; UsageError when Maven Central cannot be reached."""
    folder = cache_folder() / "jars"
    lacking = [artifact for artifact in SPARK_ARTIFACTS if not (folder / artifact.file).is_file()]
    if lacking:
        folder.mkdir(parents=True, exist_ok=True)
        for artifact in lacking:
            _resolve(artifact, folder)
    return [folder / artifact.file for artifact in SPARK_ARTIFACTS]


def _resolve(artifact: Artifact, folder: Path) -> None:
    import pyspark

    ivy = next(Path(pyspark.__file__).parent.glob("jars/ivy-*.jar"))
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        settings = Path(aside) / "settings.xml"
        settings.write_text(_SETTINGS.format(cache=Path(aside) / "cache"), encoding="utf-8")
        network = proxy_options()
        bundle = trusted_bundle()
        if bundle is not None:
            network += truststore_options(bundle, Path(aside) / "trusted.jks")
        command = [
            str(require_java().home / "bin" / "java"), *network, "-jar", str(ivy), "-settings", str(settings),
            "-dependency", artifact.organisation, artifact.module, artifact.version,
            "-notransitive", "-retrieve", f"{aside}/[artifact]-[revision].[ext]", "-types", "jar",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
        found = Path(aside) / artifact.file
        if done.returncode != 0 or not found.is_file():
            raise UsageError(
                f"the jar {artifact.file} is not in {folder} and could not be fetched from Maven Central (no network?):"
                " run `make setup` where the network is, or put the jar there"
            )
        # A rename is atomic: two runs that start together cannot see half a jar.
        os.replace(found, folder / artifact.file)
