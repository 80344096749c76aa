"""Maven Central through Apache Ivy, the resolver that ships inside PySpark: nothing else to install.

Ivy gets settings of its own, which name Maven Central and nothing else: with Spark's default settings it believes a
`~/.m2` that holds poms without jars and fails. Two ways to call it:

* `download`: the jars of a lock, without reading any pom. The lock holds their SHA-256, so Ivy's own checksum files
  (from the same server) are not fetched: 11 s for Cassandra's 101 jars, where resolving from poms took 83 s.
* `resolve`: from poms, with Ivy's checksums, to write the lock.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

from cloud_analytics.errors import UsageError
from cloud_analytics.runtime.java import require_java
from cloud_analytics.runtime.lockfile import LockedJar
from cloud_analytics.runtime.network import proxy_options, trusted_bundle, truststore_options

_STALL_SECONDS = 60.0
# "https://repo1.maven.org/maven2/" is what m2compatible means without a root.
_SETTINGS = """\
<ivysettings>
  <property name="ivy.checksums" value="{checksums}"/>
  <property name="ivy.maven.lookup.sources" value="false"/>
  <property name="ivy.maven.lookup.javadoc" value="false"/>
  <settings defaultResolver="central"/>
  <timeout-constraints><timeout-constraint name="patience" connectionTimeout="15000" readTimeout="30000"/>
  </timeout-constraints>
  <resolvers>
    <ibiblio name="central" m2compatible="true" usepoms="{poms}" timeoutConstraint="patience"/>
  </resolvers>
</ivysettings>
"""


class DownloadError(UsageError):
    """Maven Central could not be reached, or did not have what was asked for."""


def download(jars: Sequence[LockedJar], folder: Path) -> None:
    """Put the locked jars into `folder` under their file names; DownloadError says in one line why it failed."""
    by_module: dict[tuple[str, str, str], list[LockedJar]] = {}
    for jar in jars:
        by_module.setdefault((jar.organisation, jar.name, jar.revision), []).append(jar)
    lines = []
    for (organisation, name, revision), files in by_module.items():
        artifacts = "".join(
            f'<artifact name={quoteattr(jar.name)} type="jar" ext="jar"'
            + (f" m:classifier={quoteattr(jar.classifier)}" if jar.classifier else "")
            + "/>"
            for jar in files
        )
        lines.append(
            f"<dependency org={quoteattr(organisation)} name={quoteattr(name)} rev={quoteattr(revision)}"
            f' transitive="false" conf="default->*">{artifacts}</dependency>'
        )
    _run(lines, folder, "[artifact]-[revision](-[classifier]).[ext]", _SETTINGS.format(checksums="", poms="false"))


def resolve(packages: Iterable[str], provided: Iterable[str], folder: Path) -> None:
    """Put the packages and all they need, less what is `provided`, into `folder/<organisation>/<name>/<revision>/`.

    `provided` holds `organisation:name` patterns; `*:*` means that the packages alone are wanted.
    """
    provided = list(provided)
    alone = provided == ["*:*"]
    lines = []
    for package in packages:
        organisation, name, revision = package.split(":")
        excludes = "".join(
            f'<exclude org={quoteattr(org)} module={quoteattr(module)} matcher="exact"/>'
            for org, module in (pattern.split(":") for pattern in ([] if alone else provided))
        )
        lines.append(
            f"<dependency org={quoteattr(organisation)} name={quoteattr(name)} rev={quoteattr(revision)}"
            f' transitive="{str(not alone).lower()}" conf="default->default">{excludes}</dependency>'
        )
    _run(
        lines,
        folder,
        "[organisation]/[artifact]/[revision]/[artifact]-[revision](-[classifier]).[ext]",
        _SETTINGS.format(checksums="sha1,md5", poms="true"),
    )


def _run(dependencies: list[str], folder: Path, pattern: str, settings: str) -> None:
    work = folder / ".ivy"
    work.mkdir(parents=True)
    (work / "settings.xml").write_text(settings, encoding="utf-8")
    (work / "ivy.xml").write_text(
        '<ivy-module version="2.0" xmlns:m="http://ant.apache.org/ivy/maven">\n'
        '<info organisation="cloud_analytics" module="jars"/><configurations><conf name="default"/></configurations>\n'
        "<dependencies>\n" + "\n".join(dependencies) + "\n</dependencies></ivy-module>\n",
        encoding="utf-8",
    )
    bundle = trusted_bundle()
    trust = truststore_options(bundle, work / "trust.jks") if bundle else []
    log = _ivy(work, folder / pattern, trust)
    if log and trust and "PKIX path" in log:
        log = _ivy(work, folder / pattern, [])  # the roots that Java brings with it know better
    if log:
        raise DownloadError(_reason(log))


def _ivy(work: Path, pattern: Path, options: list[str]) -> str:
    """One run of Ivy: its log if it failed, else nothing."""
    command = [
        *(str(require_java().home / "bin" / "java"), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        *(f"-Divy.default.ivy.user.dir={work}", "-Djava.net.useSystemProxies=true", *proxy_options(), *options),
        *("-jar", str(_ivy_jar()), "-settings", str(work / "settings.xml"), "-ivy", str(work / "ivy.xml")),
        *("-cache", str(work / "cache"), "-confs", "default", "-types", "jar", "bundle"),
        *("-retrieve", str(pattern), "-overwriteMode", "always"),
    ]
    log = work / "ivy.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            stalled = _wait(process, work.parent)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    text = log.read_text(encoding="utf-8", errors="replace")
    if stalled:
        return text + f"\nServer access error at url x (no answer for {_STALL_SECONDS:.0f} s)"
    return text or "Ivy failed" if process.returncode else ""


def _wait(process: subprocess.Popen[bytes], folder: Path) -> bool:
    """Wait for Ivy as long as it makes progress: where the network swallows packets it would try each jar for hours."""
    seen, since = (0, 0), time.monotonic()
    while True:
        try:
            process.wait(timeout=1.0)
            return False
        except subprocess.TimeoutExpired:
            files = [path for path in folder.rglob("*") if path.is_file()]
            now = (len(files), sum(path.stat().st_size for path in files if path.exists()))
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > _STALL_SECONDS:
                return True


def _ivy_jar() -> Path:
    spec = importlib.util.find_spec("pyspark")
    places = list(spec.submodule_search_locations or []) if spec else []
    jars = [jar for place in places for jar in sorted(Path(place, "jars").glob("ivy-*.jar"))]
    if not jars:
        raise UsageError("PySpark is not installed (its Ivy fetches the jars): run `make setup`")
    return jars[-1]


def _reason(log: str) -> str:
    access = re.search(r"Server access error at url \S+ \((.*)\)", log, re.IGNORECASE)
    if access:
        text = access.group(1)
        known = re.search(r"(\w+)(?:Exception)?: (.{1,120})", text)
        return f"{known.group(1)}: {known.group(2)}" if known else text[:160]
    host = re.search(r"Host (\S+) not found", log)
    if host:
        return f"no address for {host.group(1)}"
    missing = re.search(r"not found: (\S+)", log)
    if missing:
        return f"not found: {missing.group(1)}"
    failure = re.search(r"^.*(?:Exception|Error)\b.*$", log, re.MULTILINE)
    return failure.group(0).strip()[:160] if failure else "Ivy gave no reason"
