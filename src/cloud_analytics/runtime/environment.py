"""Checks the environment of the process for settings with which Spark fails to start or misreads file names."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from cloud_analytics.config.spark import LEAST_HEAP_MIB
from cloud_analytics.errors import CloudAnalyticsError, UsageError
from cloud_analytics.runtime.java import require_java
from cloud_analytics.runtime.lock import PYSPARK
from cloud_analytics.runtime.temporary import expect_place

_UNITS = {"k": 1 / 1024, "m": 1, "g": 1024, "t": 1024 * 1024}
_LOCALE_VARIABLES = ("LC_ALL", "LC_CTYPE", "LANG")
_JAVA_VARIABLES = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
_STARTS_SPARK = (*_JAVA_VARIABLES, "JAVA_HOME", "HADOOP_CONF_DIR", "PYSPARK_GATEWAY_PORT", "PYSPARK_PIN_THREAD")


def submitted() -> bool:
    """Whether `spark-submit` started this process. Then a JVM runs already, with its own master and settings."""
    return {"PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"} <= os.environ.keys()


def require_environment(flags: Sequence[str]) -> None:
    """Raise UsageError with the first of `problems`, if there is any."""
    for problem in problems(flags):
        raise UsageError(problem)


def problems(flags: Sequence[str]) -> Iterator[str]:
    """Every problem of this environment with which Spark would fail: one line each, with the variable and the remedy.

    `flags`: the flags with which the JVM is started (`jvm_flags`).
    """
    looked = (_locale(), _user(), _temporary_folder(), _spark_home(), _heap() or _java_options(flags))
    yield from filter(None, looked)


def jvm_flags(memory_mib: int, more: str = "") -> list[str]:
    """Flags of the driver's JVM for heap and garbage collector. `more`: the JVM's options in the configuration."""
    given = " ".join([more, *(os.environ.get(name, "") for name in _JAVA_VARIABLES)])
    # The JVM does not start if two collectors are given.
    collector = [] if re.search(r"-XX:\+Use\w+GC\b", given) else ["-XX:+UseParallelGC"]
    first = min(1024, memory_mib, _heap_limit_mib() or memory_mib)
    return [f"-Xms{first}m", *collector, "-Xshare:auto", "-XX:ReservedCodeCacheSize=256m", "-XX:MetaspaceSize=256m"]


def _locale() -> str | None:
    """Python and Java decode file names by the locale. Only the locale C is corrected (`utf8_locale`)."""
    if sys.getfilesystemencoding().lower() in ("utf-8", "utf8"):
        return None
    given = (f"{name}={os.environ[name]}" for name in _LOCALE_VARIABLES if os.environ.get(name))
    return f"{next(given, 'the locale')}: file names are read as UTF-8; set LC_ALL=C.UTF-8"


def utf8_locale() -> None:
    """Replace the locale C by C.UTF-8. With C, Python reads names as UTF-8, but Java would not find a file `größe`."""
    given = (os.environ[name] for name in _LOCALE_VARIABLES if os.environ.get(name))
    if "utf" not in next(given, "C").lower():
        os.environ["LC_ALL"] = "C.UTF-8"


def _user() -> str | None:
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return (
            f"user id {os.getuid()} has no entry in /etc/passwd, and Hadoop logs nobody in without a name:"
            " add one, or run as a user that has one"
        )
    return None


def _temporary_folder() -> str | None:
    try:
        place = str(expect_place())
    except UsageError as error:
        return str(error)
    return f"TMPDIR={place}: Spark reads a comma as the end of a folder's name; use another" if "," in place else None


def _spark_home() -> str | None:
    """A problem if SPARK_HOME has no Spark, or another minor version of Spark than the package pyspark."""
    home = os.environ.get("SPARK_HOME")
    if not home:
        return None
    if not (Path(home) / "bin" / "spark-submit").is_file():
        return f"SPARK_HOME={home} holds no Spark: unset it, the package pyspark brings its own"
    found = [jar.stem.rpartition("-")[2] for jar in (Path(home) / "jars").glob("spark-core_*.jar")]
    if found and found[0].split(".")[:2] != PYSPARK.split(".")[:2]:
        return f"SPARK_HOME={home} is Spark {found[0]}, and this needs {PYSPARK}: unset it"
    return None


def _heap_limit_mib() -> int | None:
    """The -Xmx in `_JAVA_OPTIONS`, which overrides the -Xmx on the JVM's command line; None if there is none."""
    found = re.findall(r"-Xmx(\d+)([kmgtKMGT]?)", os.environ.get("_JAVA_OPTIONS", ""))
    if not found:
        return None
    number, unit = found[-1]
    return int(int(number) * _UNITS[unit.lower()]) if unit else int(number) // 2**20


def _heap() -> str | None:
    limit = _heap_limit_mib()
    if limit is None or limit >= LEAST_HEAP_MIB:
        return None
    return f"_JAVA_OPTIONS limits Java's heap to {limit} MiB, and Spark needs {LEAST_HEAP_MIB}: unset it"


def _java_options(flags: Sequence[str]) -> str | None:
    given = [name for name in _JAVA_VARIABLES if os.environ.get(name)]
    if not given:
        return None
    try:
        java = require_java().home / "bin" / "java"
    except CloudAnalyticsError:
        return None  # `require_java` reports it elsewhere
    done = subprocess.run([str(java), *flags, "-version"], capture_output=True, text=True)
    if done.returncode == 0:
        return None
    lines = [line for line in (done.stderr + done.stdout).splitlines() if line and not line.startswith("Picked up")]
    return f"{' and '.join(given)}: Java does not start with it ({lines[0] if lines else 'no reason given'}): unset it"


def spark_variables() -> list[str]:
    """The names of the variables in this environment that influence how Spark starts."""
    return sorted(name for name in os.environ if name in _STARTS_SPARK or name.startswith("SPARK_"))
