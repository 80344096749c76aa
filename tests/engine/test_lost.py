"""Files that somebody deleted from a lake: `run` and `reconcile` build them again, or say that nothing can."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cloud_analytics.errors import PipelineError
from cloud_analytics.pipeline import Pipeline
from tests.conftest import MakePipeline
from tests.integration.lakes import differing, silver_and_gold

pytestmark = pytest.mark.spark


@pytest.fixture
def lake(make_pipeline: MakePipeline, baseline_copy: tuple[Path, Path]) -> tuple[Pipeline, Path]:
    """A pipeline over a copy of the baseline, and its lake."""
    landing, lake = baseline_copy
    return make_pipeline(landing, lake), lake


def _delete(lake: Path, *folders: str) -> None:
    for folder in folders:
        assert list((lake / folder).rglob("*.parquet"))
        shutil.rmtree(lake / folder)


def _first(lake: Path, table: str) -> str:
    return f"{table}/{min(path.name for path in (lake / table).iterdir())}"


def test_what_was_deleted_from_silver_and_gold_is_built_again(
    lake: tuple[Pipeline, Path], caplog: pytest.LogCaptureFixture
) -> None:
    pipeline, root = lake
    before = silver_and_gold(root)
    day = _first(root, "silver/usage_events")
    some = (day, "silver/users", _first(root, "gold/org_daily_usage_by_service"))
    for step, gone in ((pipeline.run, ("gold",)), (pipeline.reconcile, some)):
        _delete(root, *gone)
        caplog.clear()
        step()
        assert "has lost" in caplog.text
        assert not differing(before, silver_and_gold(root))
    caplog.clear()
    pipeline.run()
    assert "has lost" not in caplog.text


def test_what_nothing_can_build_again_is_told_before_anything_is_done(lake: tuple[Pipeline, Path]) -> None:
    pipeline, root = lake
    pipeline.close("2025-05")
    kept = root.parent / "kept"
    closed = _first(root, "gold/org_daily_usage_by_service")
    assert "2025-05" in closed
    for gone in (closed, _first(root, "bronze/usage_events")):
        shutil.copytree(root / gone, kept)
        _delete(root, gone)
        before = silver_and_gold(root)
        with pytest.raises(PipelineError, match=r"has lost the files of 2025.*restore the lake from a backup"):
            pipeline.run()
        assert not differing(before, silver_and_gold(root))
        shutil.move(kept, root / gone)
    pipeline.run()
