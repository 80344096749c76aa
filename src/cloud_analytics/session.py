"""The Spark session: UTC and one language everywhere, exact Parquet dates, quiet logs, settings for small data."""

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
from cloud_analytics.runtime.jvm import ANSI, JVM_RESULTS, driver_options, silence, spare_messages, started
from cloud_analytics.runtime.lock import FILE_SYSTEM, PYSPARK, SPARK
from cloud_analytics.runtime.temporary import temporary_folder

logger = logging.getLogger(__name__)

_DEFAULTS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # By default Spark keeps plans and texts of a thousand queries for the pages of its UI: hundreds of megabytes.
    "spark.sql.ui.retainedExecutions": "1",
    "spark.ui.retainedJobs": "1",
    "spark.ui.retainedStages": "1",
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    # By default S3A buffers uploads on disk through Hadoop's own local file system, which is replaced here.
    "spark.hadoop.fs.s3a.fast.upload.buffer": "bytebuffer",
    "spark.hadoop.fs.s3a.multipart.size": "16M",
    # Otherwise each new file costs a request that finds and deletes the markers of its folders.
    "spark.hadoop.fs.s3a.directory.marker.retention": "keep",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
    "spark.scheduler.mode": "FAIR",
    "spark.cleaner.referenceTracking.cleanCheckpoints": "true",
    "spark.sql.streaming.metricsEnabled": "false",
    # A run has some 650 generated classes. If the cache holds fewer, the next run compiles all again.
    "spark.sql.codegen.cache.maxEntries": "1500",
    # Spark describes the plan of each query for its UI, and again after each stage. Short ones are cheap.
    "spark.sql.ui.explainMode": "simple",
    "spark.sql.debug.maxToStringFields": "2",
    # These texts do not repeat, so Parquet would build a dictionary and then discard it.
    "spark.hadoop.parquet.enable.dictionary#raw": "false",
    "spark.hadoop.parquet.enable.dictionary#event_id": "false",
    # Otherwise Parquet measures its buffers once in 100 rows, and a row may be of 64 MiB.
    "spark.hadoop.parquet.page.size.row.check.min": "1",
    "spark.hadoop.parquet.block.size.row.check.min": "1",
    # Rows are cached for one micro-batch only, so compression costs more than it saves.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    # Medians collect the values of each group. Above the default of 128 groups Spark would fall back to sorting.
    "spark.sql.objectHashAggregate.sortBased.fallbackThreshold": "100000",
}
_ONE_JVM = {
    # Every user of the machine can reach the ports that the driver opens for executors.
    "spark.authenticate": "true",
    # The faster committer is safe: files stay in a staging folder until the lake's own commit, and local mode never
    # runs a task twice.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    # Writes no .crc file beside each file, and forks no process for permissions (see runtime/lock.py).
    "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.NakedLocalFileSystem",
}
_CLUSTER = {
    # A task that died during its commit runs again and may write other files. They must not be added to the first ones.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
    # For a shared folder. Writes the same files as the file system of local mode, and needs no jar on the executors.
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.executor.extraJavaOptions": JVM_RESULTS,
}


# Below this size the JVM's optimising compiler costs more time than it saves: on two cores the 13 MB of the reference
# data take 25 s without it and 31 s with it; 573 MB take 155 s without and 109 s with it.
_LITTLE_BYTES = 64 * 2**20
_LITTLE_PARTITIONS = 2  # of a shuffle: with few rows the tasks cost more than the rows


def holds_little(*folders: str) -> bool:
    """Whether these are local folders with so little data in total that startup takes most of the time."""
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
    """Start (or return) the session that every step uses. `uris`: the folders that it must reach.

    `quick_start`: the JVM uses only its quick compiler, and shuffles have at most two partitions; good for little data
    (`holds_little`). `verbose`: Spark's log goes to standard error.
    Settings of `spark-submit` or of an existing session override `settings`, except the settings on which results
    depend: these are the same in every session. UsageError if the machine has no Java that Spark 3.5 runs on, if a jar
    is missing and cannot be downloaded, or if Spark does not start in this environment.
    """
    logger.debug("starting Spark")
    variables = spark_variables()  # before this function sets some
    os.environ["TZ"] = "UTC"
    time.tzset()
    spare_messages()
    given = submitted() or SparkContext._active_spark_context is not None  # a JVM that others started runs already
    options = {**_DEFAULTS, **(_ONE_JVM if settings.is_local and not submitted() else _CLUSTER)}
    partitions = min(settings.shuffle_partitions, _LITTLE_PARTITIONS) if quick_start else settings.shuffle_partitions
    options["spark.sql.shuffle.partitions"] = str(partitions)
    options["spark.sql.warehouse.dir"] = (temporary_folder() / "warehouse").as_uri()
    umask = os.umask(0o077)  # read the user's umask, since Hadoop has a separate one
    os.umask(umask)
    options["spark.hadoop.fs.permissions.umask-mode"] = f"{umask:03o}"
    # An error inside foreachBatch is raised by the code that waits for the query; py4j would print it a second time.
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
    """Stop a session. Ignores errors if its JVM has died already: the cause of that is the error to report.

    Each thread has its own connection to the JVM. If a signal interrupted a call, the call still occupies this thread's
    connection, and a stop would wait for its end, perhaps for a micro-batch of an hour. So another thread stops it.
    """
    with suppress(Py4JError, OSError), ThreadPoolExecutor(1) as another:
        another.submit(session.stop).result()


def _expect_same_results(session: SparkSession, given: bool) -> None:
    """Set the JVM's language and time zone, on which results depend. UsageError if a setting cannot be changed."""
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
    """The configuration's settings. Its JVM options are appended to ours, and the last one wins."""
    ours = {key: options[key] for key in conf if key.endswith(".extraJavaOptions") and key in options}
    return {**conf, **{key: f"{text} {conf[key]}" for key, text in ours.items()}}


def _class_path(settings: SparkSettings, uris: Sequence[str]) -> dict[str, str]:
    """The classpath settings: the project's jars, then the configuration's. Executors fetch jars from the driver."""
    jars = [*ensure(SPARK), *object_store_jars(uris)]
    # Spark looks up file systems before it loads spark.jars, so their jars must be on the driver's classpath.
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
    if given.contains(executors):  # if an option is given twice, the JVM uses the last one
        left[executors] = f"{given.get(executors)} {JVM_RESULTS}"
    return left
