"""The Spark session: UTC everywhere, exact Parquet dates, quiet logs, sized for small data with adaptive execution."""

from __future__ import annotations

import atexit
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from cloud_analytics.config import SparkSettings
from cloud_analytics.lake.uris import local_folder
from cloud_analytics.runtime.jars import connector_jars, file_system_jars, object_store_jars
from cloud_analytics.runtime.java import require_java
from cloud_analytics.runtime.lookups import remember_lookups
from cloud_analytics.runtime.submit import submitted

_LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
# As loud as the root: Spark announces a difference on every start.
logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer
logger.gateway.level = warn
"""
_QUIET_LOG4J = """\
# A failing task is reported once, by the driver, as one line; its three stack traces help nobody.
logger.task.name = org.apache.spark
logger.task.level = off
logger.hadoop.name = org.apache.hadoop
logger.hadoop.level = off
"""

_DEFAULTS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.legacy.charVarcharAsString": "true",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "true",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    # S3A keeps what it uploads on disk through Hadoop's own local file system, which is not the one that is used here.
    "spark.hadoop.fs.s3a.fast.upload.buffer": "bytebuffer",
    "spark.hadoop.fs.s3a.multipart.size": "16M",
    # Else each file that is made costs a request that looks for the markers of its folders and deletes them.
    "spark.hadoop.fs.s3a.directory.marker.retention": "keep",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.scheduler.mode": "FAIR",
    "spark.cleaner.referenceTracking.cleanCheckpoints": "true",
    "spark.sql.streaming.metricsEnabled": "false",
    "spark.sql.codegen.cache.maxEntries": "400",
    # Rows are cached for one micro-batch only: packing them tightly costs more than it saves.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    # Medians collect a group's values; there are more groups than the default's 128 before it falls back to sorting.
    "spark.sql.objectHashAggregate.sortBased.fallbackThreshold": "100000",
}
_ONE_JVM = {
    # What the pipeline writes lies in a staging folder until its own commit, and local mode never runs a task twice:
    # the faster committer is safe.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    # Neither a .crc twin beside each file nor a forked process for its permissions (see runtime/jars.py).
    "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.NakedLocalFileSystem",
}
_CLUSTER = {
    # A task that died while it committed is run again, and may write other files: they must not lie beside its first.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
    # For a shared folder. Writes what the file system of local mode writes, and needs no jar on the executors.
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.executor.extraJavaOptions": "-Duser.timezone=UTC",
}


# Up to here a run is over before the JVM's optimising compiler has earned what it takes: on two cores the 13 MB of the
# reference data take 25 s without it and 31 s with it, 573 MB take 155 s and 109 s.
_LITTLE_BYTES = 64 * 2**20
_LITTLE_PARTITIONS = 2  # of a shuffle: a task of so few rows costs more than the rows do


def holds_little(*folders: str) -> bool:
    """Whether these are local folders that hold so little together that starting up is most of the work on them."""
    left = _LITTLE_BYTES
    for folder in folders:
        local = local_folder(folder)
        if local is None:
            return False
        for root, _, names in os.walk(local):
            for name in names:
                with suppress(OSError):  # another process moves files
                    left -= os.path.getsize(os.path.join(root, name))
            if left < 0:
                return False
    return True


def build_session(
    settings: SparkSettings, *uris: str, quick_start: bool = False, verbose: bool = False
) -> SparkSession:
    """Start (or return) the session that every step uses; `uris` are the folders it must reach.

    `quick_start`: code is compiled quickly instead of well, and shuffles have two partitions at most; this pays where
    there is little to do (`holds_little`). `verbose`: Spark's log goes to standard error.
    What `spark-submit` was told wins over `settings`. Raises UsageError when the machine has no Java that Spark 3.5
    runs on, or lacks a jar and the network.
    """
    os.environ["TZ"] = "UTC"
    remember_lookups()
    folder = tempfile.mkdtemp(prefix="cloud-analytics-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    log4j = Path(folder) / "log4j2.properties"
    log4j.write_text(_LOG4J if verbose else _LOG4J + _QUIET_LOG4J, encoding="utf-8")
    options = {**_DEFAULTS, **(_ONE_JVM if settings.is_local and not submitted() else _CLUSTER)}
    partitions = min(settings.shuffle_partitions, _LITTLE_PARTITIONS) if quick_start else settings.shuffle_partitions
    options["spark.sql.shuffle.partitions"] = str(partitions)
    options["spark.sql.warehouse.dir"] = (log4j.parent / "warehouse").as_uri()
    if submitted():
        options = _less_what_was_given({**options, **_added(options, settings.conf)})
    else:
        options |= _driver(settings, log4j, quick_start)
        options |= {**_added(options, settings.conf), **_class_path(settings, uris)}
    builder = SparkSession.builder
    for key, value in options.items():
        builder = builder.config(key, value)
    # An error inside foreachBatch is raised where the query is waited for; py4j would print its traceback as well.
    logging.getLogger("py4j.clientserver").setLevel(logging.ERROR if verbose else logging.CRITICAL)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("INFO" if verbose else "OFF")
    return session


def _driver(settings: SparkSettings, log4j: Path, quick_start: bool) -> dict[str, str]:
    """What starting the driver's JVM takes."""
    os.environ["JAVA_HOME"] = str(require_java().home)
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    if settings.is_local:
        # Workers must be the interpreter that runs the driver (Colab and pyenv have several).
        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    own = re.search(r"-XX:\+Use\w+GC\b", settings.conf.get("spark.driver.extraJavaOptions", ""))
    collector = "" if own else " -XX:+UseParallelGC"  # of two the JVM takes neither
    return {
        "spark.master": settings.master,
        "spark.app.name": settings.app_name,
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.extraJavaOptions": (
            f"-Duser.timezone=UTC -Dlog4j2.configurationFile={log4j.as_uri()}{collector}"
            f" -Xms{min(768, settings.driver_memory_mib)}m -Xshare:auto -XX:ReservedCodeCacheSize=256m"
            f" -Dderby.system.home={tempfile.gettempdir()}" + (" -XX:TieredStopAtLevel=1" if quick_start else "")
        ),
    }


def _added(options: dict[str, str], conf: dict[str, str]) -> dict[str, str]:
    """The configuration's settings; options of a JVM come behind ours, of which the last one wins, not instead."""
    ours = {key: options[key] for key in conf if key.endswith(".extraJavaOptions") and key in options}
    return {**conf, **{key: f"{text} {conf[key]}" for key, text in ours.items()}}


def _class_path(settings: SparkSettings, uris: Sequence[str]) -> dict[str, str]:
    """The project's jars, before those of the configuration. Executors fetch theirs from the driver."""
    jars = [*connector_jars(), *object_store_jars(uris)]
    key = "spark.driver.extraClassPath"
    # File systems are looked up before spark.jars are loaded, so the driver's class path has to name them.
    if settings.is_local:
        return {key: _joined(":", [*file_system_jars(), *jars], settings.conf.get(key))}
    return {
        key: _joined(":", jars, settings.conf.get(key)),
        "spark.jars": _joined(",", jars, settings.conf.get("spark.jars")),
    }


def _joined(separator: str, jars: Sequence[Path], more: str | None) -> str:
    return separator.join([*map(str, jars), *([more] if more else [])])


def _less_what_was_given(options: dict[str, str]) -> dict[str, str]:
    SparkContext._ensure_initialized()  # connects to the JVM, whose properties SparkConf reads
    given = SparkConf()
    return {key: value for key, value in options.items() if not given.contains(key)}
