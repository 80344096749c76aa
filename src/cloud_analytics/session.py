"""The Spark session: UTC everywhere, exact Parquet dates, quiet logs, sized for small data with adaptive execution."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession

from cloud_analytics.config import SparkSettings
from cloud_analytics.runtime.jars import spark_jars
from cloud_analytics.runtime.java import require_java

_QUIET_LOG4J = """\
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
    # Everything the pipeline writes lies in a staging folder until its own commit: the faster committer is safe.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    # Neither a .crc twin beside each file nor a forked process for its permissions (see runtime/jars.py).
    "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.NakedLocalFileSystem",
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


def build_session(settings: SparkSettings) -> SparkSession:
    """Start (or return) the session that every step uses.

    Raises UsageError when the machine has no Java that Spark 3.5 runs on, or lacks a jar and the network.
    """
    java = require_java()
    jars = [str(jar) for jar in spark_jars()]
    os.environ["JAVA_HOME"] = str(java.home)
    # Workers must be the interpreter that runs the driver (Colab and pyenv have several).
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["TZ"] = "UTC"
    if settings.master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    log4j = Path(tempfile.mkdtemp(prefix="cloud-analytics-")) / "log4j2.properties"
    log4j.write_text(_QUIET_LOG4J, encoding="utf-8")
    options = {
        **_DEFAULTS,
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.extraJavaOptions": (
            f"-Duser.timezone=UTC -Dlog4j2.configurationFile={log4j.as_uri()} -XX:+UseParallelGC"
            " -Xms768m -Xshare:auto -XX:ReservedCodeCacheSize=256m -Dderby.system.home=" + tempfile.gettempdir()
        ),
        "spark.sql.warehouse.dir": str(log4j.parent / "warehouse"),
        **settings.conf,
    }
    # File systems are looked up before spark.jars are loaded, so the class path has to name them.
    options["spark.driver.extraClassPath"] = ":".join(jars)
    options["spark.executor.extraClassPath"] = ":".join(jars)
    builder = SparkSession.builder.master(settings.master).appName(settings.app_name)
    for key, value in options.items():
        builder = builder.config(key, value)
    # An error inside foreachBatch is raised where the query is waited for; py4j would print its traceback as well.
    logging.getLogger("py4j.clientserver").setLevel(logging.CRITICAL)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session
