"""A real Spark standalone cluster, a master and two workers as processes: its lake equals that of local mode."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyspark
import pytest

from cloud_analytics.generate import GeneratorSettings, generate
from cloud_analytics.runtime.java import require_java
from cloud_analytics.runtime.lock import SCALA
from tests.cluster.lakes import differences
from tests.conftest import REPOSITORY, MakePipeline

SPARK_HOME = Path(pyspark.__file__).parent
PATIENCE = 120.0


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    own = {"SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1", "JAVA_HOME": str(require_java().home)}
    # Workers look for it in the folders of a build, which the Spark of pip has not.
    return {**os.environ, **own, "SPARK_SCALA_VERSION": SCALA}


@pytest.fixture(scope="module")
def cluster(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a master with two workers, one core each."""
    folder = tmp_path_factory.mktemp("cluster")
    port, web = _free_port(), _free_port()
    url = f"spark://127.0.0.1:{port}"
    java = [f"{environment['JAVA_HOME']}/bin/java", "-Xmx256m", "-cp", f"{SPARK_HOME}/jars/*"]
    master = [
        "org.apache.spark.deploy.master.Master",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--webui-port",
        str(web),
    ]
    worker = ["org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--cores", "1", "--memory", "1g"]
    processes = []
    try:
        for name, arguments in (
            ("master", master),
            ("one", [*worker, "--webui-port", "0", "--work-dir", str(folder / "one"), url]),
            ("two", [*worker, "--webui-port", "0", "--work-dir", str(folder / "two"), url]),
        ):
            with (folder / f"{name}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen([*java, *arguments], env=environment, stdout=log, stderr=log, cwd=folder)
                )
        _await_workers(f"http://127.0.0.1:{web}/json/", 2)
        yield url
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(30)


def _await_workers(page: str, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(page, timeout=5) as answer:
                if answer.read().count(b'"state" : "ALIVE"') >= count:
                    return
        except OSError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"the cluster did not come up within {PATIENCE:.0f} s")


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    generate(folder, GeneratorSettings(events=300, days=2, orgs=2, files=3, dirty=True, dirt_per_kind=1))
    return folder


@pytest.fixture(scope="module")
def local_lake(landing: Path, make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("local") / "lake"
    make_pipeline(landing, lake).run()
    return lake


@pytest.mark.slow
def test_the_lake_of_a_cluster_equals_that_of_local_mode(
    cluster: str, environment: dict[str, str], landing: Path, local_lake: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "cloud_analytics", "--master", cluster, "--spark", "spark.executor.memory=700m"]
    command += ["run", "--serving", "none", "--landing", str(landing), "--lake", str(tmp_path / "lake")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert differences(local_lake, tmp_path / "lake") == []
    # Spark's own checkpoints have such twins on a cluster; what a lake shows its readers has none.
    zones = [tmp_path / "lake" / zone for zone in ("bronze", "silver", "gold", "quarantine")]
    assert not [path for zone in zones for path in zone.rglob("*.crc")]


@pytest.mark.slow
def test_the_wheel_runs_through_spark_submit_outside_the_repository(
    cluster: str, environment: dict[str, str], landing: Path, local_lake: Path, tmp_path: Path
) -> None:
    wheels = tmp_path / "wheels"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(REPOSITORY)]
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = wheels.glob("cloud_analytics-*.whl")
    main = tmp_path / "main.py"
    main.write_text(
        f"import cloud_analytics\n\nassert {wheel.name!r} in cloud_analytics.__file__, cloud_analytics.__file__\n"
        "from cloud_analytics.cli import main\n\nmain()\n",
        encoding="utf-8",
    )
    command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", cluster, "--executor-memory", "700m"]
    command += ["--conf", "spark.sql.shuffle.partitions=3", "--py-files", str(wheel), str(main)]
    command += ["run", "--serving", "none", "--landing", str(landing), "--lake", str(tmp_path / "lake")]
    outside = {key: value for key, value in environment.items() if key != "PYTHONPATH"}
    outside |= {"PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(command, env=outside, capture_output=True, text=True, timeout=500, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert differences(local_lake, tmp_path / "lake") == []
