"""The Spark session: UTC and one language everywhere, exact Parquet dates, quiet logs, sized for small data."""

from __future__ import annotations

import codecs
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hmac import compare_digest
from pathlib import Path
from types import FrameType

import pyspark
from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.accumulators import AccumulatorServer
from pyspark.errors import PySparkException
from pyspark.java_gateway import ensure_callback_server_started, launch_gateway
from pyspark.sql import SparkSession

from cloud_analytics.config import LEGACY, RESULT_SETTINGS, SparkSettings
from cloud_analytics.config.validation import SECRET
from cloud_analytics.errors import UsageError, cause_line
from cloud_analytics.lake.uris import local_folder
from cloud_analytics.runtime.environment import (
    jvm_flags,
    require_environment,
    spark_variables,
    submitted,
    utf8_locale,
)
from cloud_analytics.runtime.jars import ensure, object_store_jars
from cloud_analytics.runtime.java import require_java
from cloud_analytics.runtime.lockfile import FILE_SYSTEM, SPARK
from cloud_analytics.runtime.lookups import remember_lookups
from cloud_analytics.runtime.temporary import temporary_folder
from cloud_analytics.runtime.versions import PYSPARK

logger = logging.getLogger(__name__)

# Of the JVM, results depend on these: `lower` and `upper` follow the language (a Turkish i has no dot).
_JVM_RESULTS = "-Duser.timezone=UTC -Duser.language=en -Duser.country=US"
_ANSI = "SPARK_ANSI_SQL_MODE"  # makes the mode the default of whatever asks outside a session, as threads do
# Other ways of starting Spark: their settings would come past ours, and Spark Connect has no JVM of its own here.
_NOT_READ = ("PYSPARK_SUBMIT_ARGS", "SPARK_REMOTE", "SPARK_LOCAL_REMOTE", "SPARK_CONNECT_MODE_ENABLED")
_SECONDS_FOR_A_SECRET = 5.0  # Java says it as soon as it is connected
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
    # Neither a .crc twin beside each file nor a forked process for its permissions (see runtime/lockfile.py).
    "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.NakedLocalFileSystem",
}
_CLUSTER = {
    # A task that died while it committed is run again, and may write other files: they must not lie beside its first.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
    # For a shared folder. Writes what the file system of local mode writes, and needs no jar on the executors.
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.executor.extraJavaOptions": _JVM_RESULTS,
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
    options["spark.hadoop.fs.permissions.umask-mode"] = f"{_umask():03o}"
    # An error inside foreachBatch is raised where the query is waited for; py4j would print its traceback as well.
    logging.getLogger("py4j.clientserver").setLevel(logging.ERROR if verbose else logging.CRITICAL)
    AccumulatorServer.verify_request = _says_the_secret  # type: ignore[assignment, method-assign]
    with _readable_start(variables):
        if given:
            options = _less_what_was_given({**options, **_added(options, settings.conf)})
        else:
            options |= _driver(settings, quick_start, verbose)
            options |= {**_added(options, settings.conf), **_class_path(settings, uris)}
        session = _started({**options, **RESULT_SETTINGS})
    _ask_for_a_secret(session)
    session.sparkContext.setLogLevel("INFO" if verbose else "OFF")
    if not (verbose or given):
        _silence_what_is_not_logged(session)
    _expect_same_results(session, given)
    return session


def _silence_what_is_not_logged(session: SparkSession) -> None:
    """The end of a session cuts off what other threads of Java do; they print a stack trace past the log for each."""
    jvm = session.sparkContext._jvm
    assert jvm is not None
    jvm.java.lang.System.setErr(jvm.java.io.PrintStream(jvm.java.io.OutputStream.nullOutputStream()))


def _says_the_secret(server: AccumulatorServer, request: socket.socket, _address: object) -> bool:
    """Whether a client of the port for accumulators begins with their secret, which is left to be read.

    PySpark takes one client after the other, waits for each as long as it likes, and prints a traceback for a stranger.
    """
    secret = server.auth_token.encode()
    request.settimeout(_SECONDS_FOR_A_SECRET)
    try:
        said = request.recv(len(secret), socket.MSG_PEEK)
        request.settimeout(None)
    except OSError:
        return False
    return compare_digest(said, secret)


def _ask_for_a_secret(session: SparkSession) -> None:
    """Make the port on which Python waits for Java (`foreachBatch`) ask for the secret that Java asks Python for.

    PySpark opens it without one. Whoever has an account on the machine could call our functions there, and answer in
    the name of Java.
    """
    gateway = session.sparkContext._gateway
    assert gateway is not None
    if gateway.__dict__.get("_callback_server") is None:  # else somebody else has opened it
        secret = gateway.gateway_parameters.auth_token
        gateway.callback_server_parameters.auth_token = secret
        ensure_callback_server_started(gateway)  # type: ignore[no-untyped-call]
        # Java forgets the secret when it is told the port.
        client = JavaObject("GATEWAY_SERVER", gateway._gateway_client).getCallbackClient()
        field = gateway.jvm.java.lang.Class.forName("py4j.CallbackClient").getDeclaredField("authToken")
        field.setAccessible(True)
        field.set(client, secret)


def stop_session(session: SparkSession) -> None:
    """Stop a session. One whose JVM has died already is let go: what led to it is the error to be told.

    Each thread has a connection to the JVM of its own. Where a signal has cut off a call, the one of this thread is
    still taken by it: the stop would wait until the call ends, which may be a micro-batch of an hour.
    """
    with suppress(Py4JError, OSError), ThreadPoolExecutor(1) as another:
        another.submit(session.stop).result()


def _started(options: dict[str, str]) -> SparkSession:
    builder = SparkSession.builder
    for key, value in options.items():
        builder = builder.config(key, value)
    with _stops_wait():
        if SparkContext._gateway is None:
            # Java's arguments are seen by every user of the machine. What is secret is told once it runs.
            shown = [(key, value) for key, value in options.items() if not SECRET.search(key)]
            conf = SparkConf(loadDefaults=False).setAll(shown)
            # Spark's Java starts its Python workers by `python -m` in its own folder, and they would run a `pyspark` or
            # `random.py` that lies there: ours may be a stranger's. Paths are resolved by `user.dir`.
            gateway = launch_gateway(conf, {"cwd": str(temporary_folder())})  # type: ignore[no-untyped-call]
            SparkContext._ensure_initialized(gateway=gateway)
        return builder.getOrCreate()


@contextmanager
def _readable_start(variables: Sequence[str]) -> Iterator[None]:
    """Turn what keeps Spark from starting inside into a UsageError that names the variables it may come from."""
    try:
        yield
    except (PySparkException, Py4JError, OSError, UnicodeError) as error:
        named = f"; {', '.join(variables)} are set here: try without" if variables else ""
        raise UsageError(f"Spark does not start: {cause_line(error)}{named}") from error


@contextmanager
def _stops_wait() -> Iterator[None]:
    """A stop that is asked for inside comes at the end: a JVM that is left alone in its start complains at length."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def wait(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, wait) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is wait:  # PySpark sets one of its own for SIGINT
                signal.signal(number, handler)
        if asked:
            signal.raise_signal(asked[0])


def _umask() -> int:
    """What this user wants files to be hidden from; Hadoop has a mask of its own instead."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _expect_same_results(session: SparkSession, given: bool) -> None:
    """Make the JVM's language and time zone those that results depend on; UsageError for what cannot be changed."""
    if session.version.split(".")[:2] != PYSPARK.split(".")[:2]:
        raise UsageError(f"this session is Spark {session.version}, and this needs {PYSPARK}")
    jvm = session.sparkContext._jvm
    assert jvm is not None
    jvm.java.util.Locale.setDefault(jvm.java.util.Locale.US)
    jvm.java.util.TimeZone.setDefault(jvm.java.util.TimeZone.getTimeZone("UTC"))
    if (jvm.java.lang.System.getenv(_ANSI) or "").lower() == "true":
        raise UsageError(f"results depend on {_ANSI}: start Spark without it")
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
                raise UsageError(f"an executor's language is {row.language}: start its Java with {_JVM_RESULTS}")


def _driver(settings: SparkSettings, quick_start: bool, verbose: bool) -> dict[str, str]:
    """What starting the driver's JVM takes."""
    flags = jvm_flags(settings.driver_memory_mib, settings.conf.get("spark.driver.extraJavaOptions", ""))
    java = require_java().home
    require_environment([*flags, f"-Xmx{settings.driver_memory_mib}m"])
    utf8_locale()
    os.environ["JAVA_HOME"] = str(java.absolute())
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    # Without it Spark is first looked for in the folder above the current one.
    os.environ["SPARK_HOME"] = os.path.abspath(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
    paths = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    os.environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, paths))  # workers have another folder (`_started`)
    os.environ.pop(_ANSI, None)
    for name in _NOT_READ:
        if os.environ.pop(name, "pyspark-shell").strip() != "pyspark-shell":
            logger.warning("%s is not read: give --master and --spark KEY=VALUE", name)
    folder = temporary_folder()
    log4j = Path(__file__).parent / "runtime" / "log4j2.properties"
    options = {
        "spark.master": settings.master,
        "spark.app.name": settings.app_name,
        "spark.driver.memory": settings.driver_memory,
        "spark.local.dir": str(folder),
        "spark.driver.extraJavaOptions": " ".join(
            [
                *(_JVM_RESULTS, *flags),
                *([] if verbose else [f"-Dlog4j2.configurationFile={log4j.as_uri()}"]),
                *(_quoted(f"-D{name}={folder}") for name in ("java.io.tmpdir", "derby.system.home")),
                *map(_quoted, (f"-Duser.dir={os.getcwd()}", f"-XX:ErrorFile={os.getcwd()}/hs_err_pid%p.log")),
                *(["-XX:TieredStopAtLevel=1"] if quick_start else []),
            ]
        ),
    }
    if settings.is_local:
        # Workers must be the interpreter that runs the driver (Colab and pyenv have several).
        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"  # all of it is on this machine
        os.environ.pop("SPARK_LOCAL_HOSTNAME", None)
        options["spark.driver.host"] = "127.0.0.1"
    return options


def _quoted(option: str) -> str:
    """An option of the JVM as one word, whatever blanks it holds."""
    escaped = option.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _added(options: dict[str, str], conf: dict[str, str]) -> dict[str, str]:
    """The configuration's settings; options of a JVM come behind ours, of which the last one wins, not instead."""
    ours = {key: options[key] for key in conf if key.endswith(".extraJavaOptions") and key in options}
    return {**conf, **{key: f"{text} {conf[key]}" for key, text in ours.items()}}


def _class_path(settings: SparkSettings, uris: Sequence[str]) -> dict[str, str]:
    """The project's jars, before those of the configuration. Executors fetch theirs from the driver."""
    jars = [*ensure(SPARK), *object_store_jars(uris)]
    key = "spark.driver.extraClassPath"
    # File systems are looked up before spark.jars are loaded, so the driver's class path has to name them.
    if settings.is_local:
        return {key: _joined(":", [*ensure(FILE_SYSTEM), *jars], settings.conf.get(key))}
    return {
        key: _joined(":", jars, settings.conf.get(key)),
        "spark.jars": _joined(",", jars, settings.conf.get("spark.jars")),
    }


def _joined(separator: str, jars: Sequence[Path], more: str | None) -> str:
    return separator.join([*map(str, jars), *([more] if more else [])])


def _less_what_was_given(options: dict[str, str]) -> dict[str, str]:
    SparkContext._ensure_initialized()  # connects to the JVM, whose properties SparkConf reads
    given, executors = SparkConf(), "spark.executor.extraJavaOptions"
    left = {key: value for key, value in options.items() if not given.contains(key)}
    if given.contains(executors):  # of what is said twice to a JVM the last counts
        left[executors] = f"{given.get(executors)} {_JVM_RESULTS}"
    return left
