"""Writes the lock files again after a change of versions: `python -m cloud_analytics.runtime.lock`.

Apache Ivy, the resolver inside PySpark, reads the poms of Maven Central and checks what it downloads. It gets settings
of its own, because with those of Spark it fails on a `~/.m2` that holds poms without jars. Behind a proxy it needs what
every Java needs, for example `JAVA_TOOL_OPTIONS=-Dhttps.proxyHost=…`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import tempfile
from pathlib import Path
from xml.sax.saxutils import quoteattr

from cloud_analytics.errors import PipelineError
from cloud_analytics.runtime.java import require_java
from cloud_analytics.runtime.lockfile import JAR_SETS, JarSet, LockedJar, write_lock

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


def relock() -> list[str]:
    """Resolve and write every lock; returns one line about each."""
    return [f"{jar_set.lock_path.name}: {_relock(jar_set)} jars" for jar_set in JAR_SETS]


def _relock(jar_set: JarSet) -> int:
    with tempfile.TemporaryDirectory() as work:
        _resolve(jar_set, Path(work))
        jars = [_locked(path) for path in Path(work, "jars").glob("*/*/*/*.jar")]
    names = {jar.file_name for jar in jars}
    if not jars or len(names) < len(jars):
        raise PipelineError(f"{jar_set.name}: nothing was resolved, or two jars share a file name")
    write_lock(jar_set, jars, jar_set.lock_path)
    return len(jars)


def _resolve(jar_set: JarSet, work: Path) -> None:
    """Download the packages and all they need, except what is provided, into folders below `work/jars`."""
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
    """`provided` holds `organisation:name` patterns; `*:*` means that the packages alone are wanted."""
    alone = jar_set.provided == ("*:*",)
    excluded = "".join(
        f'<exclude org={quoteattr(organisation)} module={quoteattr(module)} matcher="exact"/>'
        for organisation, module in (pattern.split(":") for pattern in (() if alone else jar_set.provided))
    )
    return [
        f"<dependency org={quoteattr(organisation)} name={quoteattr(name)} rev={quoteattr(revision)}"
        f' transitive="{str(not alone).lower()}" conf="default->default">{excluded}</dependency>'
        for organisation, name, revision in (package.split(":") for package in jar_set.packages)
    ]


def _locked(path: Path) -> LockedJar:
    organisation, name, revision = path.parts[-4:-1]
    classifier = path.stem.removeprefix(f"{name}-{revision}").removeprefix("-")
    content = path.read_bytes()
    return LockedJar(organisation, name, revision, classifier, len(content), hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    print("\n".join(relock()))
