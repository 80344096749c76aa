"""Files that somebody deleted from a lake: `run` and `reconcile` build them again, or say that nothing can."""

from __future__ import annotations

import shutil
from datetime import datetime, timezone
from pathlib import Path

import pytest

from cloud_analytics.engine import marts, usage
from cloud_analytics.engine.lost import forget_missing
from cloud_analytics.errors import PipelineError
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.reading.lake import LakeReader
from tests.conftest import MakePipeline
from tests.integration import hostile
from tests.integration.lakes import audit_of, differing, reject_counts, silver_and_gold, write_landing

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
    rejects = next(path.name for path in (root / "quarantine").iterdir() if path.name != "usage_events")
    some = (day, "silver/users", _first(root, "gold/org_daily_usage_by_service"), f"quarantine/{rejects}")
    for step, gone in ((pipeline.run, ("gold",)), (pipeline.reconcile, some)):
        _delete(root, *gone)
        caplog.clear()
        step()
        assert "others changed" in caplog.text
        assert not differing(before, silver_and_gold(root))
    caplog.clear()
    pipeline.run()
    assert "others changed" not in caplog.text


def test_readers_are_told_of_what_a_killed_command_had_still_to_build_again(
    lake: tuple[Pipeline, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, root = lake
    before = silver_and_gold(root)
    added = root / "gold/org_daily_usage_by_service/usage_date=2031-01-01"
    lost = {
        "gold/org_daily_usage_by_service": _first(root, "gold/org_daily_usage_by_service"),
        "silver/users": "silver/users",
    }
    _delete(root, *lost.values())
    shutil.copytree(root / _first(root, "gold/org_daily_usage_by_service"), added)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(marts, "build", killed)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run()
    assert LakeReader(pipeline.lake.files).changed().keys() == {"gold/org_daily_usage_by_service"}
    pipeline.run()
    assert LakeReader(pipeline.lake.files).changed() == {}
    assert not differing(before, silver_and_gold(root))


def test_readers_are_told_of_a_state_document_of_another_time(lake: tuple[Pipeline, Path]) -> None:
    pipeline, root = lake
    before = (root / "_state/usage_events_ledger.json").read_text()
    pipeline.close("2025-05")
    assert LakeReader(pipeline.lake.files).changed() == {}
    (root / "_state/periods.json").write_text('{"closed": {}, "log": []}')
    assert LakeReader(pipeline.lake.files).changed() == {"_state/periods": "its files"}
    (root / "_state/usage_events_ledger.json").write_bytes(b"\xff" + before.encode())
    assert LakeReader(pipeline.lake.files).changed().keys() == {"_state/periods", "_state/usage_events_ledger"}
    with pytest.raises(PipelineError, match=r"_state/\w+\.json is .*: restore the lake"):
        pipeline.run()


def test_what_has_no_rows_any_more_is_not_missing(lake: tuple[Pipeline, Path]) -> None:
    pipeline, root = lake
    table = "gold/org_daily_usage_by_service"
    folder = _first(root, table).rpartition("/")[2]
    with pipeline.lake.writer(), pipeline.lake.transaction() as transaction:
        transaction.clear(table, [folder])
    assert LakeReader(pipeline.lake.files).changed().keys() == {table}
    with pipeline.lake.writer():
        forget_missing(pipeline.lake)
    assert LakeReader(pipeline.lake.files).changed() == {}


def test_no_step_builds_on_what_others_left(lake: tuple[Pipeline, Path]) -> None:
    pipeline, root = lake
    _delete(root, "silver/support_tickets", _first(root, "silver/usage_events"), _first(root, usage.TABLE.path))
    before = silver_and_gold(root)
    for step in (pipeline.stream, pipeline.silver, pipeline.gold):
        with pytest.raises(PipelineError, match=r"others changed .*: `cloud-analytics run` \(or `reconcile`\) builds"):
            step()
        assert not differing(before, silver_and_gold(root))


def test_what_a_stream_made_of_what_others_left_is_made_again(
    lake: tuple[Pipeline, Path], make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may run when they delete files, and looks for that at its start alone."""
    pipeline, root = lake
    _delete(root, "silver/support_tickets", "silver/users", _first(root, usage.TABLE.path))
    landing = Path(pipeline.landing)
    for source, old, new in (("customers_orgs", "basic", "enterprise"), ("resources", "running", "stopped")):
        for path in landing.rglob(f"{source}*.csv"):
            path.write_text(path.read_text("utf-8").replace(old, new) + "\n", "utf-8")
    more = hostile.event("more", timestamp="2025-06-02T10:00:00Z")
    (landing / "usage_events_stream/zz.jsonl").write_text(more + "\n")
    with monkeypatch.context() as patch:
        patch.setattr("cloud_analytics.pipeline.expect_whole", lambda *_: None)
        pipeline.stream()
    pipeline.run()
    clean = root.parent / "clean"
    make_pipeline(landing, clean).run()
    assert not differing(silver_and_gold(clean), silver_and_gold(root))


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
        with pytest.raises(PipelineError, match=r"others changed .*, files of 2025.*restore the lake from a backup"):
            pipeline.run()
        assert not differing(before, silver_and_gold(root))
        shutil.move(kept, root / gone)
    pipeline.run()


def test_rejects_of_bronze_outlive_the_other_rejects_of_their_date(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    """An event of today and a line that is no JSON have rejects of one date, and Silver can build only one of them."""
    now = datetime.now(timezone.utc).isoformat()
    lines = [hostile.event("good", timestamp=now), hostile.event("bad", timestamp=now, cost_usd_increment=-4)]
    landing, root = write_landing(tmp_path / "landing", {"a.jsonl": [*lines, "not json"]}), tmp_path / "lake"
    pipeline = make_pipeline(landing, root)
    pipeline.run()
    before = reject_counts(root)
    broken, negative = (next(root.glob(f"quarantine/usage_events/*/error_type={name}")) for name in
                        ("malformed_json", "negative_cost"))  # fmt: skip
    for gone in (next(root.glob("silver/usage_events/*/*")), negative):
        _delete(root, str(gone.relative_to(root)))
        pipeline.run()
        assert reject_counts(root) == before
        assert audit_of(pipeline).holds
    _delete(root, str(broken.relative_to(root)))
    with pytest.raises(PipelineError, match="others changed quarantine/usage_events, .*malformed_json, which nothing"):
        pipeline.run()


def test_a_part_of_the_lake_that_is_of_an_older_backup_is_built_again_or_told(lake: tuple[Pipeline, Path]) -> None:
    pipeline, root = lake
    backup = Path(shutil.copytree(root, root.parent / "backup"))
    day = min((root / "bronze/usage_events").iterdir()).name
    more = [hostile.event(f"more-{n}", timestamp=f"{day.partition('=')[2]}T0{n}:00:00Z") for n in range(3)]
    (root.parent / "landing/usage_events_stream/zz.jsonl").write_text("\n".join(more) + "\n", encoding="utf-8")
    pipeline.run()
    whole = Path(shutil.copytree(root, root.parent / "whole"))

    def restore(*parts: str) -> None:
        for part in parts:
            shutil.rmtree(root / part)
            shutil.copytree(backup / part, root / part)

    restore("gold", "silver")
    pipeline.run()
    assert not differing(silver_and_gold(whole), silver_and_gold(root))

    def state_alone() -> None:
        restore("_state")

    def copied_over() -> None:
        shutil.copytree(backup, root, dirs_exist_ok=True)

    def a_batch_is_gone() -> None:
        (batch,) = {path.name for path in (root / "bronze/usage_events" / day).iterdir()} - {
            path.name for path in (backup / "bronze/usage_events" / day).iterdir()
        }
        _delete(root, f"bronze/usage_events/{day}/{batch}")

    def one_document() -> None:
        shutil.copy(backup / "_state/usage_events_ledger.json", root / "_state")

    of_bronze = r"others changed bronze/usage_events, files of .*restore the lake"
    of_state = r"usage_events_ledger.json is not as the last transaction left it.*restore the lake"
    for harm, told in (
        (state_alone, of_bronze),
        (copied_over, of_bronze),
        (a_batch_is_gone, of_bronze),
        (one_document, of_state),
    ):
        shutil.rmtree(root)
        shutil.copytree(whole, root)
        harm()
        before = silver_and_gold(root)
        for step in (pipeline.run, pipeline.stream, pipeline.reconcile, pipeline.silver):
            with pytest.raises(PipelineError, match=told):
                step()
        assert not differing(before, silver_and_gold(root))
