"""The pipeline against the oracle: two readings of one contract that must agree row by row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest

from cloud_analytics.quality.audit import audit
from tests.conftest import REPOSITORY, MakePipeline
from tests.integration import agreement, hostile
from tests.oracle import Result, compute

pytestmark = pytest.mark.spark

REFERENCE = REPOSITORY.parent / "shared" / "reference_landing"


@dataclass(frozen=True)
class Compared:
    """A lake that the pipeline made, what the oracle expects in it, and the audit of both."""

    lake: Path
    expected: Result
    audit: dict[str, object]


@pytest.fixture(scope="module", params=["hostile", "reference"])
def compared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = tmp_path_factory.mktemp(request.param)
    landing = folder / "landing"
    if request.param == "hostile":
        hostile.write(landing)
    elif REFERENCE.is_dir():
        landing = REFERENCE
    else:
        pytest.skip("the reference data is not on this machine")
    make_pipeline: MakePipeline = request.getfixturevalue("make_pipeline")
    pipeline = make_pipeline(landing, folder / "lake")
    started = datetime.now(timezone.utc)
    pipeline.run()
    counted = audit(pipeline.lake, str(landing), pipeline.config).as_json()
    return Compared(folder / "lake", compute(landing, started), counted)


def test_silver_agrees(compared: Compared) -> None:
    agreement.assert_none(agreement.silver_differences(compared.lake, compared.expected))


def test_quarantine_agrees(compared: Compared) -> None:
    agreement.assert_none(agreement.quarantine_differences(compared.lake, compared.expected))


def test_gold_agrees(compared: Compared) -> None:
    agreement.assert_none(agreement.gold_differences(compared.lake, compared.expected))


def test_audit_agrees_and_balances(compared: Compared) -> None:
    assert compared.audit == compared.expected.audit
    assert compared.audit["balanced"]
