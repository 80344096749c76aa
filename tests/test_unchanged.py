"""Spark is there to build: where nothing is new, no command starts it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pyspark.sql import SparkSession

from cloud_analytics import session as sessions
from cloud_analytics.cli import cli
from tests.conftest import REPOSITORY
from tests.integration.lakes import silver_and_gold

pytestmark = pytest.mark.spark

_NOWHERE = ("--serving", "none")


@pytest.fixture
def lake(baseline: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(baseline[1], tmp_path / "lake"))


@pytest.mark.parametrize(
    "command", [("run", *_NOWHERE), ("stream", *_NOWHERE), ("bronze",), ("silver",), ("gold",)], ids=lambda c: c[0]
)
def test_a_command_that_finds_nothing_new_starts_no_spark(
    command: tuple[str, ...], baseline: tuple[Path, Path], lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> SparkSession:
        raise AssertionError("there is nothing to build")

    monkeypatch.setattr(sessions, "build_session", never)
    where = ("--landing", str(baseline[0]), "--lake", str(lake), "--conf", str(REPOSITORY / "conf"))
    done = CliRunner().invoke(cli, [*command, *where, "--quiet"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "Nothing new: every zone is as it was." in done.stdout


def test_one_that_finds_something_new_starts_it_once(
    baseline: tuple[Path, Path], lake: Path, tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = Path(shutil.copytree(baseline[0], tmp_path / "landing"))
    (landing / "usage_events_stream" / "again.jsonl").write_text("no json\n", encoding="utf-8")
    started: list[SparkSession] = []

    def once(*_: Any, **__: Any) -> SparkSession:
        started.append(spark)
        return spark

    monkeypatch.setattr(sessions, "build_session", once)
    monkeypatch.setattr(SparkSession, "stop", lambda _: None)
    where = ("--landing", str(landing), "--lake", str(lake), "--conf", str(REPOSITORY / "conf"))
    done = CliRunner().invoke(cli, ["run", *_NOWHERE, *where, "--quiet"], catch_exceptions=False)
    assert (done.exit_code, len(started)) == (0, 1)
    assert "1 event lines of 1 files" in done.stdout
    assert silver_and_gold(lake) == silver_and_gold(baseline[1])
