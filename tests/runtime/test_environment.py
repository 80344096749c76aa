"""What an environment may hold: Spark starts with it all the same, or one line names the variable."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from cloud_analytics.errors import UsageError
from cloud_analytics.runtime import environment
from cloud_analytics.runtime.environment import jvm_flags, problems, require_environment
from tests.conftest import REPOSITORY

FLAGS = ["-Xmx2048m"]


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SPARK_HOME", "/no/such/spark", "SPARK_HOME=/no/such/spark holds no Spark: unset it"),
        ("_JAVA_OPTIONS", "-Xmx256m", "_JAVA_OPTIONS limits Java's heap to 256 MiB, and Spark needs 512"),
        ("_JAVA_OPTIONS", "-Xms3g", "_JAVA_OPTIONS: Java does not start with it"),
        ("JAVA_TOOL_OPTIONS", "-XX:+NoSuchOption", "JAVA_TOOL_OPTIONS: Java does not start with it"),
    ],
)
def test_one_line_names_the_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError) as failure:
        require_environment([*jvm_flags(2048), *FLAGS])
    assert str(failure.value).startswith(told)
    assert "\n" not in str(failure.value)


def test_another_spark_is_refused_by_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("bin/spark-submit", "jars/spark-core_2.13-4.0.1.jar"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    assert [f"SPARK_HOME={tmp_path} is Spark 4.0.1, and this needs 3.5.9: unset it"] == list(problems(FLAGS))


def test_a_user_without_a_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    (told,) = problems(FLAGS)
    assert f"user id {os.getuid()} has no entry in /etc/passwd" in told


def test_names_that_are_not_read_as_utf8_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    monkeypatch.setenv("LC_ALL", "de_DE.ISO-8859-1")
    assert next(problems(FLAGS)) == "LC_ALL=de_DE.ISO-8859-1: file names are read as UTF-8; set LC_ALL=C.UTF-8"


def test_options_of_the_environment_and_ours_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_JAVA_OPTIONS", "-Xmx600m -XX:+UseSerialGC")
    flags = jvm_flags(2048)
    assert "-Xms600m" in flags
    assert not [flag for flag in flags if flag.endswith("GC")]
    assert list(problems([*flags, "-Xmx2048m"])) == []


def test_doctor_names_them_all(tmp_path: Path) -> None:
    nasty = {"SPARK_HOME": "/no/such/spark", "_JAVA_OPTIONS": "-Xmx100m", "CLOUD_ANALYTICS_CACHE": __file__}
    done = subprocess.run(
        [sys.executable, "-m", "cloud_analytics", "doctor", "--landing", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, **nasty},
    )
    assert done.returncode == 2
    lacking = [line for line in done.stdout.splitlines() if line.startswith("LACK")]
    assert [word for word in nasty if any(word in line for line in lacking)] == list(nasty)


def test_python_without_docstrings_is_told() -> None:
    command = [sys.executable, "-OO", "-m", "cloud_analytics", "doctor"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == "error: PYTHONOPTIMIZE=2 leaves docstrings out, and PySpark does not start without: unset it\n"
    )


def test_the_gateway_of_a_spark_submit_that_has_ended_is_named(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "cloud_analytics", "bronze", "--landing", "landing", "--lake", "lake"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY / "src"),
            "PYSPARK_GATEWAY_PORT": "1",
            "PYSPARK_GATEWAY_SECRET": "of a process that has ended",
        },
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: Spark does not start: ")
    assert "PYSPARK_GATEWAY_PORT" in done.stderr


def test_the_locale_c_is_utf8_to_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    environment.utf8_locale()
    assert os.environ["LC_ALL"] == "C.UTF-8"
