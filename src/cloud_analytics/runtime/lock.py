"""Writing the lock files anew after a change in `versions.py`: `python -m cloud_analytics.runtime.lock`."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from cloud_analytics.errors import PipelineError
from cloud_analytics.runtime.ivy import resolve
from cloud_analytics.runtime.lockfile import JAR_SETS, JarSet, LockedJar, write_lock


def relock() -> list[str]:
    """Resolve and write every lock; one line about each."""
    return [f"{jar_set.lock_path.name}: {_relock(jar_set)} jars" for jar_set in JAR_SETS]


def _relock(jar_set: JarSet) -> int:
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "jars"
        folder.mkdir()
        resolve(jar_set.packages, jar_set.provided, folder)
        jars = [_locked(path) for path in folder.glob("*/*/*/*.jar") if ".ivy" not in path.parts]
    names = {jar.file_name for jar in jars}
    if not jars or len(names) < len(jars):
        raise PipelineError(f"{jar_set.name}: nothing was resolved, or two jars share a file name; look at ivy.py")
    write_lock(jar_set, jars, jar_set.lock_path)
    return len(jars)


def _locked(path: Path) -> LockedJar:
    organisation, name, revision = path.parts[-4:-1]
    classifier = path.stem.removeprefix(f"{name}-{revision}").removeprefix("-")
    content = path.read_bytes()
    return LockedJar(organisation, name, revision, classifier, len(content), hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    print("\n".join(relock()))
