"""Each row of docs/hostile_input.md, held against what one run made of the case's own files."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

import pytest

from tests.conftest import REPOSITORY
from tests.integration import hostile_cases
from tests.integration.agreement import SILVER_KEYS, rows_of
from tests.integration.conftest import Compared
from tests.integration.hostile_cases import SILVER, Case

pytestmark = pytest.mark.spark

CASES = hostile_cases.cases()

Outcomes = dict[str, Counter[str]]


@pytest.fixture(scope="module")
def outcomes(hostile_run: Compared) -> tuple[Outcomes, Outcomes]:
    """File name → where its lines ended; file name → warnings of its rows in Silver."""
    ends: Outcomes = {}
    warnings: Outcomes = {}
    for source in SILVER_KEYS:
        for row in rows_of(hostile_run.lake, f"silver/{source}"):
            ends.setdefault(row["source_file"], Counter())[SILVER] += 1
            warnings.setdefault(row["source_file"], Counter()).update(row["warnings"])
        for row in rows_of(hostile_run.lake, f"quarantine/{source}"):
            ends.setdefault(row["source_file"], Counter())[row["error_type"]] += 1
    return ends, warnings


@pytest.mark.parametrize("case", CASES, ids=[case.kind for case in CASES])
def test_each_kind_has_its_verdict(case: Case, outcomes: tuple[Outcomes, Outcomes]) -> None:
    ends, warnings = outcomes
    names = [PurePosixPath(path).name for path in case.files]
    assert sum((ends.get(name, Counter()) for name in names), Counter()) == case.verdict
    assert set(sum((warnings.get(name, Counter()) for name in names), Counter())) == set(case.warnings)


def test_no_two_cases_share_a_file() -> None:
    names = [PurePosixPath(path).name for case in CASES for path in case.files]
    assert len(names) == len(set(names))


def test_the_docs_show_these_cases() -> None:
    """`python -m tests.integration.hostile_cases` prints what belongs there."""
    text = (REPOSITORY / "docs" / "hostile_input.md").read_text(encoding="utf-8")
    assert hostile_cases.tables() in text


def test_what_was_rejected_is_kept_whole(hostile_run: Compared) -> None:
    """Also of 5 MB, and also where it is no UTF-8."""
    kept = {
        row["raw_bytes"] or row["raw"].encode()
        for source in SILVER_KEYS
        for row in rows_of(hostile_run.lake, f"quarantine/{source}")
    }
    for case in CASES:
        for path, content in case.files.items():
            if set(case.verdict) == {"malformed_json"}:
                lines = [line for line in content.split(b"\n") if line]
                assert not [line[:60] for line in lines if line not in kept], path
