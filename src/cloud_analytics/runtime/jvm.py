"""The JVM of Spark's driver: its options and environment, its start, and how Python talks to it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hmac import compare_digest
from pathlib import Path
from types import FrameType
from typing import Any

import pyspark
from py4j.java_gateway import JavaClass, JavaMember, JavaObject, JavaPackage, JVMView
from pyspark import SparkConf, SparkContext
from pyspark.accumulators import AccumulatorServer
from pyspark.java_gateway import ensure_callback_server_started, launch_gateway
from pyspark.sql import SparkSession
from pyspark.traceback_utils import SCCallSiteSync

from cloud_analytics.config import SparkSettings
from cloud_analytics.config.section import SECRET
from cloud_analytics.runtime.environment import jvm_flags, require_environment, utf8_locale
from cloud_analytics.runtime.java import require_java
from cloud_analytics.runtime.temporary import temporary_folder

logger = logging.getLogger(__name__)

# Of the JVM, results depend on these: `lower` and `upper` follow the language (a Turkish i has no dot).
JVM_RESULTS = "-Duser.timezone=UTC -Duser.language=en -Duser.country=US"
ANSI = "SPARK_ANSI_SQL_MODE"  # makes the mode the default of whatever asks outside a session, as threads do
# Other ways of starting Spark: their settings would come past ours, and Spark Connect has no JVM of its own here.
_NOT_READ = ("PYSPARK_SUBMIT_ARGS", "SPARK_REMOTE", "SPARK_LOCAL_REMOTE", "SPARK_CONNECT_MODE_ENABLED")
_leave = SCCallSiteSync.__exit__
_SECONDS_FOR_A_SECRET = 5.0  # Java says it as soon as it is connected


def driver_options(settings: SparkSettings, quick_start: bool, verbose: bool) -> dict[str, str]:
    """What starting the driver's JVM takes: options of Spark, and variables of this process, which are set here."""
    flags = jvm_flags(settings.driver_memory_mib, settings.conf.get("spark.driver.extraJavaOptions", ""))
    java = require_java().home
    require_environment([*flags, f"-Xmx{settings.driver_memory_mib}m"])
    utf8_locale()
    os.environ["JAVA_HOME"] = str(java.absolute())
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    # Without it Spark is first looked for in the folder above the current one.
    os.environ["SPARK_HOME"] = os.path.abspath(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
    paths = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    os.environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, paths))  # workers have another folder (`started`)
    os.environ.pop(ANSI, None)
    for name in _NOT_READ:
        if os.environ.pop(name, "pyspark-shell").strip() != "pyspark-shell":
            logger.warning("%s is not read: give --master and --spark KEY=VALUE", name)
    folder = temporary_folder()
    log4j = Path(__file__).with_name("log4j2.properties")
    options = {
        "spark.master": settings.master,
        "spark.app.name": settings.app_name,
        "spark.driver.memory": settings.driver_memory,
        "spark.local.dir": str(folder),
        "spark.driver.extraJavaOptions": " ".join(
            [
                *(JVM_RESULTS, *flags),
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


def started(options: dict[str, str]) -> SparkSession:
    """A session with these options, in a JVM that is started unless one runs already."""
    AccumulatorServer.verify_request = _says_the_secret  # type: ignore[assignment, method-assign]
    SCCallSiteSync.__exit__ = _left  # type: ignore[method-assign]
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
        session = builder.getOrCreate()
    _ask_for_a_secret(session)
    return session


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


def _left(site: SCCallSiteSync, kind: type[BaseException] | None, error: object, trace: object) -> None:
    """Leave a call of Spark, without a word to Java where a signal has cut it off.

    That call still has this thread's connection: PySpark would wait there until the job ends.
    """
    if kind is None or issubclass(kind, Exception):
        _leave(site, kind, error, trace)  # type: ignore[no-untyped-call]
    else:
        SCCallSiteSync._spark_stack_depth -= 1


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


def silence(session: SparkSession) -> None:
    """The end of a session cuts off what other threads of Java do; they print a stack trace past the log for each."""
    jvm = session.sparkContext._jvm
    assert jvm is not None
    jvm.java.lang.System.setErr(jvm.java.io.PrintStream(jvm.java.io.OutputStream.nullOutputStream()))


@cache
def remember_lookups() -> None:
    """Make py4j keep packages, classes and static methods that it found, as attributes of where it found them.

    It remembers nothing: for `jvm.functions.col` it asks what `functions` is (the JVM searches every imported package,
    jar by jar), then what `col` is, and then calls it. Of 80,000 messages of a reference run 16,500 asked such things.
    """
    for kind in (JVMView, JavaPackage, JavaClass):
        kind.__getattr__ = _remembering(kind.__getattr__)


def _remembering(look_up: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def __getattr__(self: Any, name: str) -> Any:
        found = look_up(self, name)
        # Not the values of static fields, which change, nor unknown names, which are packages to py4j: such a name may
        # be a class of a jar that comes later.
        if isinstance(found, JavaClass | JavaMember) or (isinstance(found, JavaPackage) and name.islower()):
            self.__dict__[name] = found  # Python finds it there, and does not ask here again
        return found

    return __getattr__
