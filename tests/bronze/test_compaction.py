"""Compaction: fewer files, the same rows, and no moment at which a reader could count one twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cloud_analytics.bronze.compact import Compaction
from cloud_analytics.config.pipeline import CompactionSettings
from cloud_analytics.pipeline import Pipeline
from tests.bronze import lakes
from tests.conftest import MakePipeline
from tests.integration.agreement import rows_of
from tests.integration.lakes import audit_of, bag, differing, silver_and_gold

pytestmark = pytest.mark.spark


def compacting(make_pipeline: MakePipeline, folder: Path, **settings: Any) -> Pipeline:
    pipeline = make_pipeline(folder / "landing", folder / "lake")
    chosen = CompactionSettings(**{"min_files": 2, "finished_after": timedelta(days=2), **settings})
    parts = pipeline.config.pipeline.model_copy(update={"compaction": chosen})
    pipeline.config = pipeline.config.model_copy(update={"pipeline": parts})
    return pipeline


def events(lake: Path) -> lakes.Bag:
    return bag(rows_of(lake, "bronze/usage_events"), {"batch_id"})


def test_compaction_keeps_every_row_and_shows_none_twice(
    base: Path, clean: Path, make_pipeline: MakePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing, lake = lakes.copy(base, tmp_path)
    before, tables, rejects = events(lake), silver_and_gold(lake), lakes.bronze(lake)["rejects"]
    seen: list[lakes.Bag] = []
    pipeline = compacting(make_pipeline, tmp_path)

    def watched(original: Any) -> Any:
        def call(*args: Any) -> Any:
            seen.append(events(lake))  # a reader between any two steps
            return original(*args)

        return call

    with monkeypatch.context() as patched:
        for name in ("delete", "move"):
            patched.setattr(pipeline.lake.files, name, watched(getattr(pipeline.lake.files, name)))
        outcome = pipeline.reconcile(compaction=True)
    assert len(seen) > 10
    assert all(found <= before for found in seen)
    # The 10th has files of four micro-batches, the 11th of two; the 12th and 20th of one; malformed_json of two.
    assert outcome.compaction == Compaction(2, 8, 3)
    assert (outcome.silver_dates, outcome.gold) == ([], {})
    assert events(lake) == before
    assert lakes.bronze(lake)["rejects"] == rejects
    assert differing(silver_and_gold(lake), tables) == []
    for day in (10, 11):
        (only,) = (lake / f"bronze/usage_events/date=2025-06-{day}").rglob("*.parquet")
        assert only.parent.name.startswith("batch_id=compacted-")
    again = compacting(make_pipeline, tmp_path).reconcile(compaction=True)
    assert not again.changed

    lakes.write(landing, lakes.LATER)  # files whose rows lie in compacted partitions are found there
    pipeline.run()
    assert lakes.bronze(lake) == lakes.bronze(clean)
    assert differing(silver_and_gold(lake), silver_and_gold(clean)) == []
    assert audit_of(pipeline).balanced


def test_what_is_not_finished_or_not_scattered_stays_and_files_have_a_size(
    base: Path, make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    lake = lakes.copy(base, tmp_path)[1]
    before = events(lake)
    # The newest event is of the 20th, 12:00: the 11th ended eight and a half days before, the 10th one more.
    nothing = compacting(make_pipeline, tmp_path, finished_after=timedelta(days=10)).reconcile(compaction=True)
    assert nothing.compaction == Compaction(0, 2, 1)
    assert compacting(make_pipeline, tmp_path, min_files=9).reconcile(compaction=True).compaction is None
    done = compacting(make_pipeline, tmp_path, finished_after=timedelta(days=9), max_rows_per_file=2)
    assert done.reconcile(compaction=True).compaction == Compaction(1, 4, 3)
    assert events(lake) == before
