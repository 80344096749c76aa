from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.conftest import MadeOnce, MakePipeline
from tests.integration import hostile, hostile_cases
from tests.integration.lakes import audit_of
from tests.oracle import Result, compute


@dataclass(frozen=True)
class Compared:
    """A lake that the pipeline made, what the oracle expects in it, and the audit of both."""

    lake: Path
    expected: Result
    audit: dict[str, object]


def run_and_compute(make_pipeline: MakePipeline, landing: Path, lake: Path) -> Compared:
    """One clean run over a landing folder, and the oracle's reading of it."""
    started = datetime.now(timezone.utc)
    make_pipeline(landing, lake).run()
    return computed(make_pipeline, landing, lake, started)


def computed(make_pipeline: MakePipeline, landing: Path, lake: Path, started: datetime) -> Compared:
    """The oracle's reading of a lake whose only run began at `started`."""
    return Compared(lake, compute(landing, started), audit_of(make_pipeline(landing, lake)).as_json())


@pytest.fixture(scope="session")
def hostile_run(make_pipeline: MakePipeline, made_once: MadeOnce) -> Compared:
    """A run over every kind of hostile input."""

    def make(folder: Path) -> None:
        hostile.write(folder / "landing")
        hostile_cases.write(folder / "landing")
        (folder / "started").write_text(datetime.now(timezone.utc).isoformat())
        make_pipeline(folder / "landing", folder / "lake").run()

    folder = made_once("hostile [a]{b}", make)  # what would be a glob to Spark
    started = datetime.fromisoformat((folder / "started").read_text())
    return computed(make_pipeline, folder / "landing", folder / "lake", started)
