from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.conftest import MakePipeline
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
    pipeline = make_pipeline(landing, lake)
    started = datetime.now(timezone.utc)
    pipeline.run()
    counted = audit_of(pipeline).as_json()
    return Compared(lake, compute(landing, started), counted)


@pytest.fixture(scope="session")
def hostile_run(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """A run over every kind of hostile input."""
    folder = tmp_path_factory.mktemp("hostile [a]{b}")  # what would be a glob to Spark
    hostile.write(folder / "landing")
    hostile_cases.write(folder / "landing")
    return run_and_compute(make_pipeline, folder / "landing", folder / "lake")
