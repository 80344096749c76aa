"""The pipeline against the oracle: two readings of one contract that must agree row by row."""

from __future__ import annotations

import pytest

from tests.conftest import REPOSITORY, MakePipeline
from tests.integration import agreement
from tests.integration.conftest import Compared, run_and_compute

pytestmark = pytest.mark.spark

REFERENCE = REPOSITORY.parent / "shared" / "reference_landing"


@pytest.fixture(scope="module", params=["hostile", "reference"])
def compared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    if request.param == "hostile":
        found: Compared = request.getfixturevalue("hostile_run")
        return found
    if not REFERENCE.is_dir():
        pytest.skip("the reference data is not on this machine")
    make_pipeline: MakePipeline = request.getfixturevalue("make_pipeline")
    return run_and_compute(make_pipeline, REFERENCE, tmp_path_factory.mktemp("reference") / "lake")


def test_silver_agrees(compared: Compared) -> None:
    agreement.assert_none(agreement.silver_differences(compared.lake, compared.expected))


def test_quarantine_agrees(compared: Compared) -> None:
    agreement.assert_none(agreement.quarantine_differences(compared.lake, compared.expected))


def test_gold_agrees(compared: Compared) -> None:
    agreement.assert_none(agreement.gold_differences(compared.lake, compared.expected))


def test_audit_agrees_and_balances(compared: Compared) -> None:
    assert compared.audit == compared.expected.audit
    assert compared.audit["balanced"]
