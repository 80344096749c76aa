"""A stop that was asked for is one line, whatever it cut off; the next run ends as a clean one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.crash.harness import Driver, Moment, configure, leftovers
from tests.integration.lakes import day_lines, differing, silver_and_gold, split, write_landing

pytestmark = pytest.mark.spark


def to_python(driver: Driver) -> None:
    driver.process.terminate()


def to_all(driver: Driver) -> None:
    """As a service manager does: Python and the JVM at once."""
    driver.signal(signal.SIGTERM)


def from_a_terminal(driver: Driver) -> None:
    """Ctrl-C reaches all processes of a command."""
    driver.signal(signal.SIGINT)


def test_a_stop_is_one_line(baseline: tuple[Path, Path], tmp_path: Path) -> None:
    landing = write_landing(tmp_path / "landing", split(day_lines(), 3, 7))
    lake, conf = tmp_path / "lake", configure(tmp_path / "conf", "2 seconds")
    command = ("run", "--landing", str(landing), "--serving", "none")
    stops: list[tuple[Callable[[Driver], None], Moment]] = [
        (to_python, Moment("seconds", 4)),
        (to_python, Moment("begun", 1, delay=0.3)),
        (from_a_terminal, Moment("begun", 1, delay=0.3)),
        (to_all, Moment("done", 1, delay=0.3)),
    ]
    for stop, moment in stops:
        with Driver(lake, conf, *command, "--quiet") as driver:
            assert driver.until(moment), f"the run ended before {moment}:\n{driver.output}"
            stop(driver)
            status = driver.end()
            assert (status, driver.output) == (
                130 if stop is from_a_terminal else 143,
                "stopped; what was complete stays, and the same command does the rest\n",
            ), f"{stop.__name__} {moment}"
    with Driver(lake, conf, *command) as driver:
        driver.succeed()
    assert leftovers(lake) == []
    assert differing(silver_and_gold(lake), silver_and_gold(baseline[1])) == []


def test_a_stop_does_not_wait_for_what_a_signal_cut_off(tmp_path: Path) -> None:
    code = """
import signal, sys
from cloud_analytics.config import SparkSettings
from cloud_analytics.session import build_session, stop_session
session = build_session(SparkSettings(master="local[1]", driver_memory="1g"))
signal.signal(signal.SIGALRM, lambda *_: sys.exit(7))
signal.alarm(2)
try:
    session.range(10**15).selectExpr("sum(hash(id))").collect()
finally:
    stop_session(session)
"""
    sources = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=sources, cwd=tmp_path, timeout=120
    )
    assert (done.returncode, done.stderr) == (7, "")
