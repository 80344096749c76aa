"""Landing files that grow, are rewritten or leave after they were ingested: each line counts once, whatever happens."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from cloud_analytics.bronze import ledger
from cloud_analytics.bronze.events import EventFeed
from cloud_analytics.bronze.ingest import ingest
from cloud_analytics.bronze.ledger import MicroBatch
from cloud_analytics.landing.events import read_lines
from cloud_analytics.landing.folder import event_files
from cloud_analytics.reading.audit import Audit
from tests.bronze import lakes
from tests.conftest import MakePipeline
from tests.integration import hostile
from tests.integration.agreement import rows_of
from tests.integration.lakes import audit_of, differing, reject_counts, silver_and_gold, write_landing

pytestmark = pytest.mark.spark


def audited(make_pipeline: MakePipeline, landing: Path, lake: Path) -> Audit:
    pipeline = make_pipeline(landing, lake)
    return audit_of(pipeline)


def test_changed_files_give_the_state_of_a_clean_run(
    base: Path, clean: Path, make_pipeline: MakePipeline, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    landing, lake = lakes.copy(base, tmp_path)
    assert len(lakes.FILES["b_rewritten.jsonl"]) == len(lakes.LATER["b_rewritten.jsonl"])
    assert reject_counts(lake)["usage_events", "unreadable_file"] == 1
    assert (lake / "bronze/usage_events/date=2025-06-20").is_dir()
    lakes.write(landing, lakes.LATER)
    assert not audited(make_pipeline, landing, lake).balanced
    (batch,) = make_pipeline(landing, lake, 1).run().batches
    assert (batch.files, batch.files_again) == (5, 5)
    assert batch.lines_gone == {"a_grows.jsonl": 1, "b_rewritten.jsonl": 2, "d_fixed.jsonl": 1, "e_moves.jsonl": 2}
    for name, lines in batch.lines_gone.items():
        assert f"{name} changed: {lines} of its earlier lines left it, and so leave the lake" in caplog.messages
    assert batch.touched == tuple(f"2025-06-{day}" for day in (10, 11, 12, 13, 20))

    assert lakes.bronze(lake) == lakes.bronze(clean)
    assert differing(silver_and_gold(lake), silver_and_gold(clean)) == []
    assert reject_counts(lake) == reject_counts(clean)
    assert reject_counts(lake)["usage_events", "unreadable_file"] == 0
    for zone in ("bronze", "silver"):
        assert not (lake / f"{zone}/usage_events/date=2025-06-20").exists()
    assert audited(make_pipeline, landing, lake).balanced
    assert not make_pipeline(landing, lake).run().changed


def test_a_checkpoint_that_is_older_than_the_lake_gives_no_name_twice(
    base: Path, make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    """Backups and copies of a lake in use have such ones. Silver would judge the rows of the earlier one again."""
    landing, lake = lakes.copy(base, tmp_path)
    checkpoints, names = lake / "_checkpoints", []
    for name in ("g", "h", "i"):
        lakes.write(landing, {f"{name}.jsonl": lakes.content(lakes.on(10, name, service="moon"))})
        (batch,) = make_pipeline(landing, lake).stream().batches
        names.append(batch.batch_id)
        if name == "g":
            shutil.copytree(checkpoints, tmp_path / "older")
        shutil.rmtree(checkpoints)
        shutil.copytree(tmp_path / "older", checkpoints)
    assert names[2] == f"{names[1]}-2"
    assert len(list((lake / "_metrics/micro_batches").glob(f"{names[1]}*.json"))) == 2
    assert reject_counts(lake)["usage_events", "unknown_service"] == 1 + len(names)


def test_files_that_become_empty_leave_no_event(base: Path, make_pipeline: MakePipeline, tmp_path: Path) -> None:
    landing, lake = lakes.copy(base, tmp_path)
    lakes.write(landing, dict.fromkeys(lakes.FILES, b""))
    make_pipeline(landing, lake).run()
    assert lakes.bronze(lake) == {"events": {}, "rejects": {}}
    for table in ("silver/usage_events", "gold/org_daily_usage_by_service", "gold/org_service_cost_summary"):
        assert rows_of(lake, table) == []
    assert audited(make_pipeline, landing, lake).balanced
    assert not make_pipeline(landing, lake).run().changed


def test_a_touch_of_all_files_is_one_micro_batch_that_changes_no_figure(
    base: Path, make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    landing, lake = lakes.copy(base, tmp_path)
    before, bronze_before = silver_and_gold(lake), lakes.bronze(lake)
    for name in lakes.FILES:
        os.utime(landing / "usage_events_stream" / name)
    outcome = make_pipeline(landing, lake, 1).run()
    assert [batch.files_again for batch in outcome.batches] == [len(lakes.FILES)]
    assert outcome.gold == {}
    assert lakes.bronze(lake) == bronze_before
    assert differing(silver_and_gold(lake), before) == []


def test_archived_files_keep_their_rows_and_the_audit_counts_them(
    base: Path, make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    landing, lake = lakes.copy(base, tmp_path)
    before = audited(make_pipeline, landing, lake)
    assert before.balanced
    for name in ("b_rewritten.jsonl", "c_truncated.jsonl.gz", "f_stays.jsonl"):
        (landing / "usage_events_stream" / name).unlink()
    assert not make_pipeline(landing, lake).run().changed
    after = audited(make_pipeline, landing, lake)
    assert (after.sources, after.archived) == (before.sources, 3)


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("step", [None, 0, 2, 9])
def test_a_death_while_files_are_read_again_loses_and_doubles_nothing(
    step: int | None, base: Path, make_pipeline: MakePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the commit (None), or at that file operation after it."""
    landing, lake = lakes.copy(base, tmp_path)
    lakes.write(landing, lakes.LATER)
    pipeline = make_pipeline(landing, lake)
    calls = 0

    def dying(original: Any) -> Any:
        def call(*args: Any) -> Any:
            nonlocal calls
            if (lake / "_state/journal.json").exists():
                if calls == (step or 0):
                    raise _Killed
                calls += 1
            elif step is None and args[0] == "_state/journal.json":
                raise _Killed
            return original(*args)

        return call

    with monkeypatch.context() as patched:
        for name in ("delete", "move", "write_text"):
            patched.setattr(pipeline.lake.files, name, dying(getattr(pipeline.lake.files, name)))
        with pytest.raises(_Killed):
            pipeline.bronze()
    assert len(make_pipeline(landing, lake).bronze().batches) == (1 if step is None else 0)

    lines = [line for data in {**lakes.FILES, **lakes.LATER}.values() if not data.startswith(b"\x1f\x8b")
             for line in data.splitlines()]  # fmt: skip
    assert sum(sum(rows.values()) for rows in lakes.bronze(lake).values()) == len(lines) + 40
    assert make_pipeline(landing, lake).lake.load(ledger.DATES).keys() == {f"2025-06-{day}" for day in (10, 11, 12, 13)}


def test_a_following_stream_reads_changed_and_empty_files(
    base: Path, make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    landing, lake = lakes.copy(base, tmp_path)
    pipeline = make_pipeline(landing, lake)
    lakes.write(landing, {"g_new.jsonl": lakes.content(lakes.on(10, "g1"))})
    batches: list[MicroBatch] = []

    def after(batch: MicroBatch) -> None:
        batches.append(batch)
        if "g_new.jsonl" in pipeline.lake.load(ledger.FILES) and not batch.files_again:
            lakes.write(landing, {**lakes.LATER, "h_empty.jsonl": b""})
        if sum(done.files_again for done in batches) == 5:
            raise _Killed

    with pytest.raises(_Killed):
        EventFeed(pipeline.lake, str(landing), pipeline.config, after).follow(timedelta(seconds=1), threading.Event())
    assert not pipeline.lake.spark.streams.active
    assert "h_empty.jsonl" in pipeline.lake.load(ledger.FILES)
    ids = [row["event_id"] for row in rows_of(lake, "bronze/usage_events") if row["source_file"][:2] in ("a_", "g_")]
    assert sorted(ids) == ["a1", "a2", "a3", "g1"]


def test_a_file_that_goes_on_growing_waits_for_the_next_start(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    landing, growing = write_landing(tmp_path / "landing", {"log.jsonl": [hostile.event("0")]}), 0
    pipeline = make_pipeline(landing, tmp_path / "lake")

    def grow(_batch: MicroBatch) -> None:
        nonlocal growing
        growing += 1
        assert growing < 5, "it never ends"
        with (landing / "usage_events_stream" / "log.jsonl").open("a") as log:
            log.write(hostile.event(str(growing)) + "\n")

    with pipeline.lake.feeder(), pipeline.lake.writer():
        EventFeed(pipeline.lake, str(landing), pipeline.config, grow).available()
    make_pipeline(landing, tmp_path / "lake").run()
    ids = {row["event_id"] for row in rows_of(tmp_path / "lake", "silver/usage_events")}
    assert ids == set(map(str, range(growing + 1)))


def test_a_packed_file_that_is_away_is_not_written_off(
    make_pipeline: MakePipeline, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Listed, and gone before it was read: what it holds is not known, so nothing is decided of it."""
    files = {"a.jsonl": [hostile.event("here")], "b.jsonl.gz": [hostile.event("away")]}
    landing = write_landing(tmp_path / "landing", files)
    pipeline = make_pipeline(landing, tmp_path / "lake")
    found, away = event_files(pipeline.lake.reach(str(landing))), landing / "usage_events_stream" / "b.jsonl.gz"
    away.rename(tmp_path / away.name)
    with pipeline.lake.writer():
        first = ingest(pipeline.lake, pipeline.config, found, "first")
        assert first is not None
        assert (first.files, first.unreadable) == (1, {})
        assert ingest(pipeline.lake, pipeline.config, found, "second") is None
    assert "b.jsonl.gz went before it was read: it is passed over until it is there again" in caplog.text
    away.write_bytes(b"half an upload")  # this can be read: it is broken, until it changes
    with pipeline.lake.writer():
        done = ingest(pipeline.lake, pipeline.config, found, "batch")
    assert done is not None
    assert done.rejected_rows == 1
    assert done.unreadable == {"b.jsonl.gz": "it cannot be unpacked to its end"}
    (tmp_path / away.name).rename(away)
    os.utime(away)  # an upload that ends later
    make_pipeline(landing, tmp_path / "lake").run()
    assert {row["event_id"] for row in rows_of(tmp_path / "lake", "silver/usage_events")} == {"here", "away"}
    assert not reject_counts(tmp_path / "lake")["usage_events", "unreadable_file"]


def test_files_that_go_one_after_the_other_stop_no_stream(
    make_pipeline: MakePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a.jsonl", "b.jsonl", "c.jsonl.gz", "d.jsonl"]
    landing = write_landing(tmp_path / "landing", {name: [hostile.event(name)] for name in names})
    pipeline, left = make_pipeline(landing, tmp_path / "lake"), list(names[:3])
    found = event_files(pipeline.lake.reach(str(landing)))

    def read(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
        if left:
            (landing / "usage_events_stream" / left.pop()).unlink()
        return read_lines(spark, paths)

    monkeypatch.setattr("cloud_analytics.bronze.ingest.read_lines", read)
    with pipeline.lake.writer():
        batch = ingest(pipeline.lake, pipeline.config, found, "first")
    assert batch is not None
    assert (batch.files, batch.input_rows, batch.unreadable) == (1, 1, {})


@pytest.mark.parametrize("is_link", [False, True])
def test_a_file_that_is_exchanged_while_it_is_read_and_put_back_is_read_again(
    is_link: bool, make_pipeline: MakePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger would hold length and time of a file of which no line was read."""
    landing = write_landing(tmp_path / "landing", {"f.jsonl": [hostile.event("own")]})
    pipeline, file, aside = make_pipeline(landing, tmp_path / "lake"), "usage_events_stream/f.jsonl", tmp_path / "aside"
    (other := tmp_path / "other").write_text(hostile.event("another one") + "\n")
    if is_link:
        (landing / file).rename(landing / "own")
        (landing / file).symlink_to("../own")

    def read(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
        os.rename(landing / file, aside)
        os.rename(other, landing / file)
        lines = read_lines(spark, paths).localCheckpoint()
        os.rename(landing / file, other)
        os.rename(aside, landing / file)
        return lines

    with monkeypatch.context() as patched:
        patched.setattr("cloud_analytics.bronze.ingest.read_lines", read)
        assert pipeline.bronze().batches
    assert not audited(make_pipeline, landing, tmp_path / "lake").balanced
    (batch,) = make_pipeline(landing, tmp_path / "lake").bronze().batches
    assert (batch.files_again, batch.lines_gone) == (1, {"f.jsonl": 1})
    assert [row["event_id"] for row in rows_of(tmp_path / "lake", "bronze/usage_events")] == ["own"]
    assert not make_pipeline(landing, tmp_path / "lake").bronze().changed


def test_folders_below_are_not_looked_into_and_what_is_no_file_not_read(
    make_pipeline: MakePipeline, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even those called like partitions, of which Spark would make columns."""
    landing = write_landing(tmp_path / "my landing 50%", {"a.jsonl": [hostile.event("first")]})
    for folder in ("date=2025-06-01", "more", "usage_events_stream"):
        (landing / "usage_events_stream" / folder).mkdir()
        (landing / "usage_events_stream" / folder / "x.jsonl").write_text(hostile.event(folder) + "\n")
    stream = landing / "usage_events_stream"
    os.mkfifo(stream / "pipe.jsonl")  # whoever opens it waits for ever
    (stream / "loop.jsonl").symlink_to(stream / "loop.jsonl")
    (stream / "circle").symlink_to(stream)
    (tmp_path / "secret").write_text(hostile.event("secret") + "\n")
    (stream / "out.jsonl").symlink_to(tmp_path / "secret")
    make_pipeline(landing, tmp_path / "lake").run()
    (line,) = [text for text in caplog.messages if text.startswith("passed over")]
    for name in ("circle", "more", "pipe.jsonl", "loop.jsonl", "out.jsonl"):
        assert f"usage_events_stream/{name}" in line
    (stream / "b.jsonl").write_text(hostile.event("second") + "\n")
    (stream / "c.jsonl").write_text(hostile.event("third") + "\n")
    outcome = make_pipeline(landing, tmp_path / "lake", 1).run()
    assert [batch.files for batch in outcome.batches] == [1, 1]
    assert all("sweep" in batch.batch_id for batch in outcome.batches)
    assert {row["event_id"] for row in rows_of(tmp_path / "lake", "silver/usage_events")} == {
        "first",
        "second",
        "third",
    }
    assert audited(make_pipeline, landing, tmp_path / "lake").balanced
