"""`make run`: what it does before the command itself, without setting anything up."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile, set up, whose `cloud-analytics` writes down how it was called."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    command = tmp_path / ".venv" / "bin" / "cloud-analytics"
    command.parent.mkdir(parents=True)
    command.write_text('#!/bin/sh\necho "$@" >> calls\n')
    command.chmod(0o755)
    for name in ("pyproject.toml", "requirements.txt", ".venv/.ready"):
        (tmp_path / name).touch()
    return tmp_path


def _calls(checkout: Path) -> list[str]:
    subprocess.run(["make", "run"], cwd=checkout, check=True, capture_output=True)
    return (checkout / "calls").read_text().splitlines()


def test_data_are_made_for_a_new_lake(checkout: Path) -> None:
    assert _calls(checkout) == ["generate --out data/landing", "run"]


@pytest.mark.parametrize(
    "there",
    [
        "data/landing/users.csv",
        "data/landing/usage_events_stream/a.jsonl",
        "data/_state/last_transaction.json",
    ],
)
def test_no_data_are_made_where_there_are_some(checkout: Path, there: str) -> None:
    (checkout / there).parent.mkdir(parents=True)
    (checkout / there).touch()
    assert _calls(checkout) == ["run"]


@pytest.mark.parametrize("there", ["data/landing/README.md", "data/landing/users.csv"])
def test_what_a_killed_generator_left_is_not_taken_for_data(checkout: Path, there: str) -> None:
    """It was killed while it wrote, or while it moved what it had written into place."""
    (checkout / "data/landing/_generating.x").mkdir(parents=True)
    (checkout / there).touch()
    assert _calls(checkout) == ["generate --out data/landing", "run"]
    (checkout / "data/_state").mkdir()
    (checkout / "data/_state/last_transaction.json").touch()
    assert _calls(checkout)[2:] == ["run"]
