"""The JVM of Spark's driver: its options and environment, its start, and its connection to Python."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from hmac import compare_digest
from pathlib import Path
from types import FrameType
from typing import Any

import pyspark
from py4j.clientserver import ClientServerConnection
from py4j.java_collections import ListConverter
from py4j.java_gateway import JavaClass, JavaMember, JavaObject, JavaPackage, JVMView
from py4j.protocol import AUTH_COMMAND_NAME
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

# Results depend on these JVM options: `lower` and `upper` follow the language (`I` becomes a dotless i in Turkish).
JVM_RESULTS = "-Duser.timezone=UTC -Duser.language=en -Duser.country=US"
ANSI = "SPARK_ANSI_SQL_MODE"  # sets the mode for code outside a session, such as threads
# Other ways to start Spark: their settings would bypass ours, and Spark Connect has no JVM in this process's reach.
_NOT_READ = ("PYSPARK_SUBMIT_ARGS", "SPARK_REMOTE", "SPARK_LOCAL_REMOTE", "SPARK_CONNECT_MODE_ENABLED")
_leave = SCCallSiteSync.__exit__
_wait_for_commands = ClientServerConnection.wait_for_commands
_convert = ListConverter.convert
_SECONDS_FOR_A_SECRET = 5.0  # Java sends the secret as soon as it is connected


def driver_options(settings: SparkSettings, quick_start: bool, verbose: bool) -> dict[str, str]:
    """The Spark options to start the driver's JVM. Also sets the environment variables that the start needs.

    UsageError if Java is missing or the environment would make Spark fail.
    """
    flags = jvm_flags(settings.driver_memory_mib, settings.conf.get("spark.driver.extraJavaOptions", ""))
    java = require_java().home
    require_environment([*flags, f"-Xmx{settings.driver_memory_mib}m"])
    utf8_locale()
    os.environ["JAVA_HOME"] = str(java.absolute())
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    # Without SPARK_HOME pyspark looks for Spark first in the folder above the current one.
    os.environ["SPARK_HOME"] = os.path.abspath(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
    paths = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    os.environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, paths))  # workers run in another folder (`started`)
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
        # Workers must use the interpreter of the driver (Colab and pyenv have several).
        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"  # all of Spark runs on this machine
        os.environ.pop("SPARK_LOCAL_HOSTNAME", None)
        options["spark.driver.host"] = "127.0.0.1"
    return options


def _quoted(option: str) -> str:
    """A JVM option, quoted so that it stays one word even with blanks."""
    escaped = option.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def started(options: dict[str, str]) -> SparkSession:
    """A session with these options. Starts a JVM unless one runs already."""
    AccumulatorServer.verify_request = _says_the_secret  # type: ignore[assignment, method-assign]
    ClientServerConnection.wait_for_commands = _wait_for_commands_with_the_secret
    SCCallSiteSync.__exit__ = _left  # type: ignore[method-assign]
    builder = SparkSession.builder
    for key, value in options.items():
        builder = builder.config(key, value)
    with _stops_wait():
        if SparkContext._gateway is None:
            # Every user of the machine can see Java's arguments. So Java gets the secrets only after its start.
            shown = [(key, value) for key, value in options.items() if not SECRET.search(key)]
            conf = SparkConf(loadDefaults=False).setAll(shown)
            # Spark's Java starts its Python workers with `python -m` in Java's own folder. They would run a `pyspark`
            # or `random.py` from there, and the current folder may belong to a stranger. So Java runs in the temporary
            # folder, and `user.dir` resolves relative paths.
            gateway = launch_gateway(conf, {"cwd": str(temporary_folder())})  # type: ignore[no-untyped-call]
            SparkContext._ensure_initialized(gateway=gateway)
        session = builder.getOrCreate()
    _ask_for_a_secret(session)
    return session


@contextmanager
def _stops_wait() -> Iterator[None]:
    """Delay SIGINT and SIGTERM until the end of the block: a JVM that loses Python in its start logs long errors."""
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
            # PySpark sets its own handler for SIGINT, which first asks Java to end all jobs: that suits a notebook, but
            # the failure of these jobs can hide the stop. So it does not replace a handler of this program.
            if signal.getsignal(number) is wait or handler is not signal.default_int_handler:
                signal.signal(number, handler)
        if asked:
            signal.raise_signal(asked[0])


def _left(site: SCCallSiteSync, kind: type[BaseException] | None, error: object, trace: object) -> None:
    """Leave a call of Spark. If a signal interrupted the call, send nothing to Java.

    The interrupted call still occupies this thread's connection, so PySpark would wait until the job ends.
    """
    if kind is None or issubclass(kind, Exception):
        _leave(site, kind, error, trace)  # type: ignore[no-untyped-call]
    else:
        SCCallSiteSync._spark_stack_depth -= 1


def _says_the_secret(server: AccumulatorServer, request: socket.socket, _address: object) -> bool:
    """Whether a client of the accumulator port begins with the secret. The secret stays in the socket's buffer.

    PySpark's own check serves one client after the other, waits for each without a timeout, and prints a traceback for
    a client without the secret.
    """
    return _begins_with(request, server.auth_token.encode())


def _wait_for_commands_with_the_secret(connection: ClientServerConnection) -> None:
    """Serve a connection of the port for Java's calls only if its first bytes are the secret, as Java sends it.

    py4j checks the secret, too, but before that it waits for the end of a line, however much comes before it.
    """
    secret = connection.python_parameters.auth_token
    if secret is None or _begins_with(connection.socket, f"{AUTH_COMMAND_NAME}\n{secret}\n".encode()):
        _wait_for_commands(connection)
    else:
        connection.close(reset=True)


def _begins_with(request: socket.socket, expected: bytes) -> bool:
    """Whether the first bytes from a client are the expected ones. They stay in the socket's buffer."""
    until = time.monotonic() + _SECONDS_FOR_A_SECRET
    request.settimeout(_SECONDS_FOR_A_SECRET)
    try:
        said = request.recv(len(expected), socket.MSG_PEEK)
        while said and said != expected and expected.startswith(said) and time.monotonic() < until:
            time.sleep(0.01)  # a part of them has come
            said = request.recv(len(expected), socket.MSG_PEEK)
        request.settimeout(None)
    except OSError:
        return False
    return compare_digest(said, expected)


def _ask_for_a_secret(session: SparkSession) -> None:
    """Make the port on which Python waits for Java (`foreachBatch`) require the secret that Java requires of Python.

    PySpark opens this port without a secret. Every user of the machine could call our functions there and answer in
    Java's place.
    """
    gateway = session.sparkContext._gateway
    assert gateway is not None
    if gateway.__dict__.get("_callback_server") is None:  # else the port is open already
        secret = gateway.gateway_parameters.auth_token
        gateway.callback_server_parameters.auth_token = secret
        ensure_callback_server_started(gateway)  # type: ignore[no-untyped-call]
        # Java loses the secret when Python tells it the port, so set it again.
        client = JavaObject("GATEWAY_SERVER", gateway._gateway_client).getCallbackClient()
        field = gateway.jvm.java.lang.Class.forName("py4j.CallbackClient").getDeclaredField("authToken")
        field.setAccessible(True)
        field.set(client, secret)


def silence(session: SparkSession) -> None:
    """Close Java's standard error. The end of a session interrupts Java's threads, which print stack traces there."""
    jvm = session.sparkContext._jvm
    assert jvm is not None
    jvm.java.lang.System.setErr(jvm.java.io.PrintStream(jvm.java.io.OutputStream.nullOutputStream()))


@cache
def spare_messages() -> None:
    """Make py4j send fewer messages to the JVM: it remembers what it has looked up, and sends lists in larger parts.

    By itself py4j remembers nothing. For `jvm.functions.col` it asks for `functions` (the JVM searches every imported
    package, jar by jar), then for `col`, and then calls it. 16,500 of 80,000 messages of a reference run were lookups.
    And it sends a list item by item: a quarter of the messages of a run over a few lines.
    """
    for kind in (JVMView, JavaPackage, JavaClass):
        kind.__getattr__ = _remembering(kind.__getattr__)
    ListConverter.convert = _converted


def _converted(converter: ListConverter, items: Iterable[Any], client: Any) -> Any:
    """A Java list of the items. `List.of` takes ten of them in one message, but no null."""
    items = list(items)
    if len(items) < 2 or any(item is None for item in items):
        return _convert(converter, items, client)
    several = client.__dict__.get("_list_of")
    if several is None:
        several = client.__dict__["_list_of"] = JavaClass("java.util.List", client).of
    parts = [several(*items[start : start + 10]) for start in range(0, len(items), 10)]
    if len(parts) == 1:
        return parts[0]
    whole = JavaClass("java.util.ArrayList", client)()
    for part in parts:
        whole.addAll(part)
    return whole


def _remembering(look_up: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def __getattr__(self: Any, name: str) -> Any:
        found = look_up(self, name)
        # Values of static fields are not cached, since they change. Neither are unknown names, which py4j takes for
        # packages: a jar that is added later may hold a class of this name.
        if isinstance(found, JavaClass | JavaMember) or (isinstance(found, JavaPackage) and name.islower()):
            self.__dict__[name] = found  # from now on Python does not call __getattr__ for it
        return found

    return __getattr__
