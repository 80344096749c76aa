"""What a person sees when a call is wrong: one line that says what to do, exit status 2, no traceback."""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from click.testing import CliRunner
from pyspark.sql import SparkSession

from cloud_analytics import cli as commands
from cloud_analytics.pipeline import Outcome, Pipeline

REPOSITORY = Path(__file__).resolve().parents[1]


def _call(*arguments: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cloud_analytics", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=180)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--landing", "no/such/folder"), "does not exist; give it with --landing"),
        (("run", "--conf", "no/such/conf"), "cannot be read"),
        (("run", "--nonsense"), "No such option"),
        (("stream", "--trigger", "soon"), "expected a duration"),
        (("generate", "--out", "x", "--events", "0"), "events"),
        (("query", "--org", "x"), "Choose from: anomalies, "),
        (("run", "--landing", ""), "is empty: give a folder"),
        (("audit", "--lake", "no/such/lake"), "holds nothing: `cloud-analytics run` fills it"),
        (("audit", "--landing", "no/such/landing"), "does not exist; give it with --landing"),
        (("reconcile", "--landing", "no/such/landing"), "does not exist; give it with --landing"),
        (("serve", "--check", "--lake", "no/such/lake"), "holds nothing"),
        (("run", "--lake", "README.md", "--serving", "none"), "the lake README.md is no folder"),
        (("cassandra", "start", "--lake", "README.md"), "cannot write to"),
        (("generate", "--out", "s3a://bucket/landing"), "are generated into a local folder"),
        (("generate", "--out", "README.md/x"), "cannot be written"),
        (("trace", "--org", "x", "--date", "20250801", "--service", "genai"), "expected a date YYYY-MM-DD"),
    ],
)
def test_a_bad_call_gets_one_line(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    lake = ("--lake", str(tmp_path / "lake"), "--serving", "none") if arguments[:2] == ("run", "--landing") else ()
    done = _call(*arguments, *lake)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_folder_that_was_deleted_is_told(tmp_path: Path) -> None:
    source = f"PYTHONPATH={REPOSITORY / 'src'} {sys.executable} -m cloud_analytics doctor"
    command = f"mkdir gone && cd gone && rmdir ../gone && {source}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=tmp_path, timeout=180)
    assert (done.returncode, done.stderr) == (2, "error: the current folder was deleted: go to another one\n")


def test_a_command_may_be_called_without_streams(tmp_path: Path) -> None:
    """What opened first would get the number of a stream that was closed, and what is printed would go there."""
    made = tmp_path / "landing"
    command = f"{sys.executable} -m cloud_analytics generate --out '{made}' --events 100 <&- >&- 2>&-"
    subprocess.run(["sh", "-c", command], cwd=REPOSITORY, timeout=180, check=True)
    assert len(list(made.glob("usage_events_stream/*"))) > 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_answer_that_does_not_fit_is_an_error(tmp_path: Path, unbuffered: str) -> None:
    """Python drops what an unbuffered stream does not take, without a word."""
    call = [sys.executable, "-m", "cloud_analytics", "run", "--help"]
    limited = f"ulimit -f 1; exec {shlex.join(call)} > {shlex.quote(str(tmp_path / 'out'))}"
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["sh", "-c", limited], cwd=REPOSITORY, env=environment, timeout=180, capture_output=True)
    assert done.returncode != 0


def test_an_empty_landing_folder_and_a_lacking_column_are_told(tmp_path: Path) -> None:
    lake = ("--lake", str(tmp_path / "lake"), "--serving", "none")
    done = _call("run", "--landing", str(tmp_path), *lake)
    assert done.returncode == 2
    assert "holds no data" in done.stderr
    landing = tmp_path / "landing"
    landing.mkdir()
    (landing / "users.csv").write_text("user_id,org_id\nu1,o1\n", encoding="utf-8")
    done = _call("run", "--landing", str(landing), *lake)
    assert done.returncode == 2
    assert "users.csv: the header lacks the columns email, role, active, created_at, last_login" in done.stderr
    assert not (tmp_path / "lake" / "bronze").exists()


def test_doctor_finds_what_a_run_would_stumble_over(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    done = _call("doctor", "--landing", str(tmp_path / "landing"), "--lake", "README.md")
    assert done.returncode == 2
    lacking = [line for line in done.stdout.splitlines() if line.startswith("LACK")]
    assert [line.split(":")[0] for line in lacking] == ["LACK landing", "LACK lake"]
    assert "holds no data" in lacking[0]
    assert "README.md is no folder" in lacking[1]


def test_a_full_disk_of_whatever_command_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/cache/some.jar")

    monkeypatch.setattr(commands.cli, "main", fail)
    with pytest.raises(SystemExit) as ended:
        commands.main()
    assert ended.value.code == 2
    line = "error: /cache/some.jar cannot be written (No space left on device): make room there\n"
    assert capsys.readouterr().err == line


def test_spark_may_be_started_by_any_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Masters and marts are built by several threads, and one of them may be the first that needs Spark."""
    session, started = MagicMock(spec=SparkSession), []

    def start(*_: object, **options: object) -> SparkSession:
        time.sleep(0.05)
        started.append(options["verbose"])
        return session

    def gold(pipeline: Pipeline) -> Outcome:
        with ThreadPoolExecutor(4) as pool:
            assert {future.result() for future in [pool.submit(lambda: pipeline.lake.spark) for _ in range(4)]} == {
                session
            }
        return Outcome()

    monkeypatch.setattr("cloud_analytics.session.build_session", start)
    monkeypatch.setattr("cloud_analytics.session.stop_session", lambda _: None)
    monkeypatch.setattr("cloud_analytics.pipeline.verify_rules", lambda *_: None)  # a lake that knows these rules
    monkeypatch.setattr(Pipeline, "gold", gold)
    (tmp_path / "lake").mkdir()
    done = CliRunner().invoke(commands.cli, ["gold", "--lake", str(tmp_path / "lake")], catch_exceptions=False)
    assert (done.exit_code, started) == (0, [False])
