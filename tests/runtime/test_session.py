"""Settings on which results depend are the same however Spark was started, and whatever the machine says."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyspark
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.java_gateway import ensure_callback_server_started
from pyspark.sql import SparkSession

from cloud_analytics.config import SparkSettings
from cloud_analytics.config.spark import RESULT_SETTINGS
from cloud_analytics.errors import ConfigError
from cloud_analytics.session import build_session
from tests.conftest import REPOSITORY
from tests.integration.lakes import day_lines, reject_counts, silver_and_gold, write_landing

SOURCES = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
WRONG = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "Asia/Tokyo",
    "spark.sql.caseSensitive": "true",
    "spark.sql.legacy.timeParserPolicy": "LEGACY",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
}


@pytest.mark.parametrize("key", [key for key in WRONG if key != "spark.sql.session.timeZone"])
def test_a_setting_that_changes_results_is_refused_in_one_line(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: results depend on it"):
        SparkSettings().overridden(None, [f"{key}={WRONG[key]}"])


def test_what_stays_as_it_is_may_be_said_and_the_drivers_memory_may_be_chosen() -> None:
    settings = SparkSettings().overridden(None, ["spark.sql.ansi.enabled=FALSE", "spark.driver.memory=600m"])
    assert settings.conf == {"spark.sql.ansi.enabled": "FALSE"}
    assert settings.driver_memory_mib == 600
    with pytest.raises(ConfigError, match="512m at least"):
        SparkSettings().overridden(None, ["spark.driver.memory=100m"])


@pytest.mark.spark
def test_a_session_that_exists_already_gets_them_too(spark: SparkSession) -> None:
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    for key, value in WRONG.items():
        spark.conf.set(key, value)
    jvm.java.util.Locale.setDefault(jvm.java.util.Locale("tr", "TR"))
    jvm.java.util.TimeZone.setDefault(jvm.java.util.TimeZone.getTimeZone("Asia/Tokyo"))
    assert spark.range(1).selectExpr("lower('NETWORKİNG I')").collect()[0][0] == "networking ı"
    settings = SparkSettings(master="local[2]", driver_memory="1g", shuffle_partitions=2)
    assert build_session(settings) is spark
    assert {key: spark.conf.get(key) for key in RESULT_SETTINGS} == RESULT_SETTINGS
    assert spark.conf.get("spark.sql.legacy.parquet.nanosAsLong") == "false"
    assert spark.range(1).selectExpr("lower('NETWORKİNG I')").collect()[0][0] != "networking ı"
    shown = spark.sql("SELECT CAST(TIMESTAMP '2025-07-01T00:00:00Z' AS string), CAST('no date' AS date)").collect()[0]
    assert tuple(shown) == ("2025-07-01 00:00:00", None)


@pytest.mark.spark
def test_who_has_no_secret_does_not_talk_to_the_driver(spark: SparkSession) -> None:
    jvm: Any = spark.sparkContext._jvm
    conf = jvm.org.apache.spark.SparkConf(False).set("spark.rpc.lookupTimeout", "20s")
    secret_file = getattr(jvm.org.apache.spark.internal.config, "package$").__getattr__("MODULE$").AUTH_SECRET_FILE()
    security = jvm.org.apache.spark.SecurityManager(conf, jvm.scala.Option.empty(), secret_file)
    stranger = jvm.org.apache.spark.rpc.RpcEnv.create("stranger", "127.0.0.1", 0, conf, security, True)
    driver = jvm.org.apache.spark.rpc.RpcAddress("127.0.0.1", int(spark.conf.get("spark.driver.port") or 0))
    try:
        with pytest.raises(Py4JJavaError, match="(?i)sasl|authenticat"):
            stranger.setupEndpointRef(driver, "BlockManagerMaster")
    finally:
        stranger.shutdown()


@pytest.mark.spark
@pytest.mark.parametrize("verbose", [False, True])
def test_what_java_prints_past_its_log_is_for_verbose_alone(verbose: bool, tmp_path: Path) -> None:
    """As threads do that the end of a session cuts off."""
    code = f"""
from cloud_analytics.config import SparkSettings
from cloud_analytics.session import build_session
session = build_session(SparkSettings(master="local[1]", driver_memory="1g"), verbose={verbose})
session.sparkContext._jvm.java.lang.Exception("cut off").printStackTrace()
session.stop()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=SOURCES, cwd=tmp_path)
    assert done.returncode == 0
    assert ("java.lang.Exception: cut off" in done.stderr) is verbose


@pytest.mark.spark
def test_under_spark_submit_they_are_ours(tmp_path: Path) -> None:
    program = tmp_path / "main.py"
    program.write_text(
        "import sys\n"
        "from cloud_analytics.config import SparkSettings\n"
        "from cloud_analytics.session import build_session\n"
        "spark = build_session(SparkSettings())\n"
        "print([spark.conf.get(key) for key in sys.argv[1:]], spark.sparkContext._jvm.java.util.Locale.getDefault())\n"
    )
    submit = Path(pyspark.__path__[0]) / "bin" / "spark-submit"
    given = [part for key, value in WRONG.items() for part in ("--conf", f"{key}={value}")]
    given += ["--master", "local[1]", "--driver-java-options", "-Duser.language=tr -Duser.country=TR"]
    done = subprocess.run(
        [str(submit), *given, str(program), "spark.sql.ansi.enabled", "spark.sql.session.timeZone"],
        capture_output=True,
        text=True,
        env={**SOURCES, "PYSPARK_PYTHON": sys.executable},
        timeout=120,
    )
    assert done.stdout == "['false', 'UTC'] en_US\n", done.stderr


@pytest.mark.spark
def test_a_run_on_a_machine_with_settings_of_its_own_gives_the_same_lake(
    baseline: tuple[Path, Path], tmp_path: Path
) -> None:
    landing = write_landing(tmp_path / "landing", {"größe.jsonl": day_lines()})
    temporary = tmp_path / "with blank"
    temporary.mkdir()
    machine = {
        "LC_ALL": "C",
        "TZ": "Asia/Tokyo",
        "TMPDIR": str(temporary),
        "_JAVA_OPTIONS": "-Xmx600m -Duser.language=tr -Duser.country=TR",
        "SPARK_ANSI_SQL_MODE": "true",
        "SPARK_LOCAL_IP": "192.0.2.1",
        "SPARK_LOCAL_HOSTNAME": "no.such.host",
        "PYSPARK_SUBMIT_ARGS": "--nonsense",
        "SPARK_REMOTE": "sc://192.0.2.1",
        "SPARK_CONNECT_MODE_ENABLED": "1",
        "PYTHONWARNINGS": "error",
    }
    command = [
        sys.executable,
        "-m",
        "cloud_analytics",
        "--master",
        "local[2]",
        "--spark",
        "spark.driver.memory=512m",
    ]
    command += ["run", "--landing", str(landing), "--lake", str(tmp_path / "lake"), "--serving", "none", "--quiet"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=REPOSITORY, timeout=300, umask=0o077,
        env={name: value for name, value in {**SOURCES, **machine}.items() if name != "LANG"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in ("PYSPARK_SUBMIT_ARGS", "SPARK_REMOTE"):
        assert f"{name} is not read" in done.stderr
    assert silver_and_gold(tmp_path / "lake") == silver_and_gold(baseline[1])
    assert reject_counts(tmp_path / "lake") == reject_counts(baseline[1])
    open_to_others = [
        path for path in (tmp_path / "lake").rglob("*") if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ]
    assert open_to_others == []
    assert list(temporary.iterdir()) == []


@pytest.mark.spark
def test_nothing_of_the_current_folder_is_run_and_its_data_are_found(tmp_path: Path) -> None:
    """It may be a stranger's lake. Spark starts Python by `python -m`, and looks for itself in the folder above."""
    theirs, witness = tmp_path / "their lake" / 'größe "1"', tmp_path / "witness"
    planted = f"import pathlib; pathlib.Path({str(witness)!r}).touch()"
    for package in ("pyspark", "cloud_analytics", "random", "pandas"):
        (theirs / package).mkdir(parents=True)
        (theirs / package / "__init__.py").write_text(planted)
    (theirs.parent / "jars").mkdir()
    (theirs.parent / "bin").mkdir()
    (theirs.parent / "bin" / "spark-submit").write_text(f"#!/bin/sh\ntouch '{witness}'\n")
    (theirs.parent / "bin" / "spark-submit").chmod(0o755)
    (theirs / "x.csv").write_text("1\n2\n")
    program = tmp_path / "program" / "main.py"
    program.parent.mkdir()
    program.write_text(
        "import os\n"
        "from cloud_analytics.config import SparkSettings\n"
        "from cloud_analytics.session import build_session\n"
        "spark = build_session(SparkSettings(master='local[1]', driver_memory='1g'))\n"
        "def here(_):\n"
        "    import random, cloud_analytics, pandas as pd\n"
        "    yield pd.DataFrame({'path': [os.getcwd(), cloud_analytics.__file__]})\n"
        "frame = spark.read.csv('x.csv')\n"
        "frame.coalesce(1).write.csv('out')\n"
        "print(frame.count(), *(row.path for row in frame.limit(1).mapInPandas(here, 'path string').collect()))\n"
    )
    sources = os.path.relpath(REPOSITORY / "src", theirs)
    environment = {**os.environ, "PYTHONPATH": sources}
    environment.pop("SPARK_HOME", None)
    done = subprocess.run(
        [sys.executable, str(program)], cwd=theirs, env=environment, capture_output=True, text=True, timeout=120
    )
    assert not witness.exists()
    assert done.returncode == 0, done.stderr
    count, folder, package = done.stdout.split()
    assert (count, Path(package)) == ("2", REPOSITORY / "src" / "cloud_analytics" / "__init__.py")
    assert Path(folder).name.startswith("cloud-analytics-")
    assert len(list((theirs / "out").glob("*.csv"))) == 1


def test_arrow_returns_what_threads_took_that_have_ended() -> None:
    """A stream that lasts would grow with each micro-batch (`docs/benchmarks.md`, `benchmarks/live.py`)."""
    code = "import cloud_analytics.lake.rows, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    environment = {key: value for key, value in SOURCES.items() if key != "ARROW_DEFAULT_MEMORY_POOL"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "system"


def callback_server(spark: SparkSession) -> Any:
    """The port on which Python waits for Java's calls, opened if it is not open yet."""
    gateway = spark.sparkContext._gateway
    assert gateway is not None
    ensure_callback_server_started(gateway)
    return gateway._callback_server


@pytest.mark.spark
def test_nobody_without_the_secret_calls_what_foreach_batch_calls(spark: SparkSession) -> None:
    server = callback_server(spark)
    called = []

    class Function:
        def call(self) -> None:
            called.append(self)

        class Java:
            implements = ["java.lang.Runnable"]  # noqa: RUF012

    name = server.pool.put(Function())
    for told in (b"", b"A\nwrong\ne\n"):
        with suppress(ConnectionError), socket.create_connection(("127.0.0.1", server.port), timeout=10) as stranger:
            stranger.sendall(told + f"c\n{name}\ncall\ne\n".encode())
            while stranger.recv(1024):
                pass
    assert called == []


@pytest.mark.spark
def test_what_a_stranger_sends_to_foreach_batch_is_not_kept(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line without an end filled the memory: py4j waits for the end before it looks at the secret."""
    monkeypatch.setattr("cloud_analytics.runtime.jvm._SECONDS_FOR_A_SECRET", 1)
    server = callback_server(spark)
    for told in (b"A" * 2**20, b"A\n", b""):
        with suppress(ConnectionError), socket.create_connection(("127.0.0.1", server.port), timeout=10) as stranger:
            stranger.sendall(told)
            assert stranger.recv(1024) == b""  # it is cut off


@pytest.mark.spark
def test_strangers_on_the_port_for_accumulators_are_let_go_without_a_word(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were answered by a traceback, and one who said nothing kept the port for himself."""
    monkeypatch.setattr("cloud_analytics.runtime.jvm._SECONDS_FOR_A_SECRET", 0.1)
    server = spark.sparkContext._accumulatorServer
    for told in (b"\x7f" + 200 * b"\xff", b"short", b"", server.auth_token.encode()):
        # Not through the port: once Java has connected, the server is its own, and everybody else waits.
        client, request = socket.socketpair()
        with client, request:
            client.sendall(told)
            is_known = server.verify_request(request, None)
            assert is_known is (told == server.auth_token.encode())
    seen = spark.sparkContext.accumulator(0)
    spark.sparkContext.parallelize([1, 2, 3], 1).foreach(seen.add)
    assert seen.value == 6
