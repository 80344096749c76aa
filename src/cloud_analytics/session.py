"""The Spark session: UTC and one language everywhere, exact Parquet dates, quiet logs, sized for small data."""

from __future__ import annotations

import codecs
import logging
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from cloud_analytics.config import SparkSettings
from cloud_analytics.config.spark import LEGACY, RESULT_SETTINGS
from cloud_analytics.errors import UsageError, cause_line
from cloud_analytics.lake.uris import local_folder
from cloud_analytics.runtime.environment import spark_variables, submitted
from cloud_analytics.runtime.jars import ensure, object_store_jars
from cloud_analytics.runtime.jvm import ANSI, JVM_RESULTS, driver_options, remember_lookups, silence, started
from cloud_analytics.runtime.lock import FILE_SYSTEM, PYSPARK, SPARK
from cloud_analytics.runtime.temporary import temporary_folder

logger = logging.getLogger(__name__)

_DEFAULTS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # What the pages of the UI would show of the past: plans and texts of a thousand queries, hundreds of megabytes.
    "spark.sql.ui.retainedExecutions": "1",
    "spark.ui.retainedJobs": "1",
    "spark.ui.retainedStages": "1",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    # S3A keeps what it uploads on disk through Hadoop's own local file system, which is not the one that is used here.
    "spark.hadoop.fs.s3a.fast.upload.buffer": "bytebuffer",
    "spark.hadoop.fs.s3a.multipart.size": "16M",
    # Else each file that is made costs a request that looks for the markers of its folders and deletes them.
    "spark.hadoop.fs.s3a.directory.marker.retention": "keep",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
    "spark.scheduler.mode": "FAIR",
    "spark.cleaner.referenceTracking.cleanCheckpoints": "true",
    "spark.sql.streaming.metricsEnabled": "false",
    "spark.sql.codegen.cache.maxEntries": "400",
    # Texts that do not come again: a dictionary of them is made and then thrown away.
    "spark.hadoop.parquet.enable.dictionary#raw": "false",
    "spark.hadoop.parquet.enable.dictionary#event_id": "false",
    # Rows are cached for one micro-batch only: packing them tightly costs more than it saves.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    # Medians collect a group's values; there are more groups than the default's 128 before it falls back to sorting.
    "spark.sql.objectHashAggregate.sortBased.fallbackThreshold": "100000",
}
_ONE_JVM = {
    # Everybody with an account on the machine reaches the ports that the driver opens for executors.
    "spark.authenticate": "true",
    # What the pipeline writes lies in a staging folder until its own commit, and local mode never runs a task twice:
    # the faster committer is safe.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    # Neither a .crc twin beside each file nor a forked process for its permissions (see runtime/lock.py).
    "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.NakedLocalFileSystem",
}
_CLUSTER = {
    # A task that died while it committed is run again, and may write other files: they must not lie beside its first.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
    # For a shared folder. Writes what the file system of local mode writes, and needs no jar on the executors.
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.executor.extraJavaOptions": JVM_RESULTS,
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
    What `spark-submit`, or who started a session before, has set wins over `settings`, but for what results depend on:
    that is the same in every session that is handed out. Raises UsageError when the machine has no Java that Spark 3.5
    runs on, lacks a jar and the network, or has an environment in which Spark does not start.
    """
    logger.debug("starting Spark")
    variables = spark_variables()  # those that are set here come below
    os.environ["TZ"] = "UTC"
    time.tzset()
    remember_lookups()
    given = submitted() or SparkContext._active_spark_context is not None  # by somebody else: its JVM runs already
    options = {**_DEFAULTS, **(_ONE_JVM if settings.is_local and not submitted() else _CLUSTER)}
    partitions = min(settings.shuffle_partitions, _LITTLE_PARTITIONS) if quick_start else settings.shuffle_partitions
    options["spark.sql.shuffle.partitions"] = str(partitions)
    options["spark.sql.warehouse.dir"] = (temporary_folder() / "warehouse").as_uri()
    umask = os.umask(0o077)  # what this user wants files to be hidden from; Hadoop has a mask of its own
    os.umask(umask)
    options["spark.hadoop.fs.permissions.umask-mode"] = f"{umask:03o}"
    # An error inside foreachBatch is raised where the query is waited for; py4j would print its traceback as well.
    logging.getLogger("py4j.clientserver").setLevel(logging.ERROR if verbose else logging.CRITICAL)
    try:
        if given:
            options = _less_what_was_given({**options, **_added(options, settings.conf)})
        else:
            options |= driver_options(settings, quick_start, verbose)
            options |= {**_added(options, settings.conf), **_class_path(settings, uris)}
        session = started({**options, **RESULT_SETTINGS})
    except (PySparkException, Py4JError, OSError, UnicodeError) as error:
        named = f"; {', '.join(variables)} are set here: try without" if variables else ""
        raise UsageError(f"Spark does not start: {cause_line(error)}{named}") from error
    session.sparkContext.setLogLevel("INFO" if verbose else "OFF")
    if not (verbose or given):
        silence(session)
    _expect_same_results(session, given)
    return session


def stop_session(session: SparkSession) -> None:
    """Stop a session. One whose JVM has died already is let go: what led to it is the error to be told.

    Each thread has a connection to the JVM of its own. Where a signal has cut off a call, the one of this thread is
    still taken by it: the stop would wait until the call ends, which may be a micro-batch of an hour.
    """
    with suppress(Py4JError, OSError), ThreadPoolExecutor(1) as another:
        another.submit(session.stop).result()


def _expect_same_results(session: SparkSession, given: bool) -> None:
    """Make the JVM's language and time zone those that results depend on; UsageError for what cannot be changed."""
    if session.version.split(".")[:2] != PYSPARK.split(".")[:2]:
        raise UsageError(f"this session is Spark {session.version}, and this needs {PYSPARK}")
    jvm = session.sparkContext._jvm
    assert jvm is not None
    jvm.java.util.Locale.setDefault(jvm.java.util.Locale.US)
    jvm.java.util.TimeZone.setDefault(jvm.java.util.TimeZone.getTimeZone("UTC"))
    if (jvm.java.lang.System.getenv(ANSI) or "").lower() == "true":
        raise UsageError(f"results depend on {ANSI}: start Spark without it")
    encoding = jvm.java.lang.System.getProperty("sun.jnu.encoding")
    if codecs.lookup(encoding).name != "utf-8":
        raise UsageError(f"Spark's Java reads file names as {encoding}: start it with LC_ALL=C.UTF-8")
    if given:
        for key in re.findall(rf"({re.escape(LEGACY)}\S+) -> ", session._jsparkSession.conf().getAll().toString()):
            if key not in RESULT_SETTINGS and session.conf.isModifiable(key):
                session.conf.unset(key)
    if not str(session.sparkContext.master).startswith("local"):
        language = "reflect('java.util.Locale', 'getDefault')"
        tasks = session.sparkContext.defaultParallelism
        for row in session.range(0, tasks, 1, tasks).selectExpr(f"{language} AS language").distinct().collect():
            if not row.language.startswith("en"):
                raise UsageError(f"an executor's language is {row.language}: start its Java with {JVM_RESULTS}")


def _added(options: dict[str, str], conf: dict[str, str]) -> dict[str, str]:
    """The configuration's settings; options of a JVM come behind ours, of which the last one wins, not instead."""
    ours = {key: options[key] for key in conf if key.endswith(".extraJavaOptions") and key in options}
    return {**conf, **{key: f"{text} {conf[key]}" for key, text in ours.items()}}


def _class_path(settings: SparkSettings, uris: Sequence[str]) -> dict[str, str]:
    """The project's jars, before those of the configuration. Executors fetch theirs from the driver."""
    jars = [*ensure(SPARK), *object_store_jars(uris)]
    # File systems are looked up before spark.jars are loaded, so the driver's class path has to name them.
    separators = {"spark.driver.extraClassPath": ":"}
    if settings.is_local:
        jars = [*ensure(FILE_SYSTEM), *jars]
    else:
        separators["spark.jars"] = ","
    return {
        key: separator.join(filter(None, (*map(str, jars), settings.conf.get(key))))
        for key, separator in separators.items()
    }


def _less_what_was_given(options: dict[str, str]) -> dict[str, str]:
    SparkContext._ensure_initialized()  # connects to the JVM, whose properties SparkConf reads
    given, executors = SparkConf(), "spark.executor.extraJavaOptions"
    left = {key: value for key, value in options.items() if not given.contains(key)}
    if given.contains(executors):  # of what is said twice to a JVM the last counts
        left[executors] = f"{given.get(executors)} {JVM_RESULTS}"
    return left
