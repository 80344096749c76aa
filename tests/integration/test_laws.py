"""The laws of contract 2, one class each, on whole pipelines with real Spark.

Law 3 has its processes killed in tests/crash, law 6 its tables read in tests/serving/test_load.py; laws 1 and 2 are
tried on landing folders that nobody thought of in test_properties.py.
"""

from __future__ import annotations

import gzip
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import MakePipeline
from tests.integration import hostile
from tests.integration.agreement import EVENTS, rows_of
from tests.integration.lakes import (
    METADATA,
    SCORES,
    audit_of,
    bag,
    day_lines,
    differing,
    files_of,
    reject_counts,
    silver_and_gold,
    split,
    write_landing,
)

pytestmark = pytest.mark.spark


def assert_equal(lake: Path, baseline: tuple[Path, Path]) -> None:
    """Silver, Gold and the quarantine's counts are those of the clean run."""
    assert differing(silver_and_gold(lake), silver_and_gold(baseline[1])) == []
    assert reject_counts(lake) == reject_counts(baseline[1])


class TestLaw1Conservation:
    def test_every_line_is_accounted_for_once(self, baseline: tuple[Path, Path], make_pipeline: MakePipeline) -> None:
        pipeline = make_pipeline(*baseline)
        counted = audit_of(pipeline)
        assert counted.balanced
        events = counted.sources[EVENTS]
        assert events.landing == len(day_lines())
        assert events.quarantine == {
            "duplicate_event": 5, "conflicting_duplicate": 1, "negative_cost": 1, "invalid_timestamp": 1,
            "unknown_service": 1, "malformed_json": 2,
        }  # fmt: skip

    def test_the_text_of_what_was_rejected_is_kept_and_what_is_left_is_silver(
        self, baseline: tuple[Path, Path]
    ) -> None:
        landed = Counter(day_lines())
        rejected = Counter(row["raw"] for row in rows_of(baseline[1], f"quarantine/{EVENTS}"))
        assert rejected <= landed
        left = [line.split('"event_id": "')[1].split('"')[0] for line in (landed - rejected).elements()
                if '"event_id": "' in line]  # fmt: skip
        silver = [row["event_id"] for row in rows_of(baseline[1], f"silver/{EVENTS}")]
        pair = {"pair"}  # one of its two spellings stays, whichever it is
        assert sorted({*left} - pair) == sorted({*silver} - pair)
        assert landed.total() == rejected.total() + len(silver)


class TestLaw2OrderInvariance:
    @pytest.mark.parametrize(("parts", "max_files", "seed"), [(6, 5, 1), (4, 1, 2)])
    def test_other_files_in_other_order_give_the_same(
        self, parts: int, max_files: int, seed: int, baseline: tuple[Path, Path], make_pipeline: MakePipeline,
        tmp_path: Path,
    ) -> None:  # fmt: skip
        landing = write_landing(tmp_path / "landing", split(day_lines(), parts, seed))
        outcome = make_pipeline(landing, tmp_path / "lake", max_files).run()
        assert len(outcome.batches) == -(-parts // max_files)
        assert_equal(tmp_path / "lake", baseline)

    @pytest.mark.slow
    @pytest.mark.parametrize("max_files", [1, 5, 40, 500])
    @pytest.mark.parametrize(("parts", "seed"), [(1, 11), (45, 12), (90, 13)])
    def test_every_split_at_every_size_of_micro_batch(
        self, parts: int, max_files: int, seed: int, baseline: tuple[Path, Path], make_pipeline: MakePipeline,
        tmp_path: Path,
    ) -> None:  # fmt: skip
        self.test_other_files_in_other_order_give_the_same(parts, max_files, seed, baseline, make_pipeline, tmp_path)

    def test_files_that_come_later_give_the_state_of_one_clean_run(
        self, baseline: tuple[Path, Path], make_pipeline: MakePipeline, tmp_path: Path
    ) -> None:
        files = split(day_lines(), 3, 3)
        landing = write_landing(tmp_path / "landing", dict(list(files.items())[:1]))
        make_pipeline(landing, tmp_path / "lake").run()
        for name, lines in list(files.items())[1:]:
            content = "".join(line + "\n" for line in lines).encode()
            path = landing / "usage_events_stream" / name
            path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        make_pipeline(landing, tmp_path / "lake").run()
        assert_equal(tmp_path / "lake", baseline)


class TestLaw3Replay:
    def test_a_second_run_changes_no_file(self, make_pipeline: MakePipeline, tmp_path: Path) -> None:
        files = {"part.jsonl": day_lines()[:40], "empty.jsonl": (), "odd [1]{x}*.jsonl": (hostile.event("odd"),)}
        landing, lake = write_landing(tmp_path / "landing", files), tmp_path / "lake"
        make_pipeline(landing, lake, 1).run()
        before = files_of(lake)
        assert {row["event_id"] for row in rows_of(lake, "silver/usage_events")} >= {"odd"}
        again = make_pipeline(landing, lake, 1)
        for step in (again.run, again.bronze, again.silver, again.gold, again.reconcile):
            assert not step().changed
        assert files_of(lake) == before

    def test_a_lost_or_damaged_checkpoint_neither_loses_nor_doubles(
        self, baseline: tuple[Path, Path], make_pipeline: MakePipeline, tmp_path: Path
    ) -> None:
        """Each time something else of it is gone or cut short, and there is a new file to be taken in."""
        files = split(day_lines(), 7, 5)
        landing, lake = write_landing(tmp_path / "landing", {}), tmp_path / "lake"
        write_landing(tmp_path / "aside", files)
        waiting = sorted((tmp_path / "aside/usage_events_stream").iterdir())

        def take_in(names: list[Path]) -> None:
            for path in names:
                shutil.copy(path, landing / "usage_events_stream")
            assert sum(batch.files for batch in make_pipeline(landing, lake, 1).bronze().batches) == len(names)

        take_in(waiting[:2])
        (checkpoint,) = lake.glob("_checkpoints/*")
        shutil.rmtree(checkpoint / "commits")
        take_in(waiting[2:3])
        shutil.rmtree(checkpoint / "sources")
        take_in(waiting[3:4])
        newest = max((checkpoint / "offsets").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        newest.write_bytes(newest.read_bytes()[:20])
        take_in(waiting[4:5])
        (checkpoint / "metadata").write_bytes(b"")
        take_in(waiting[5:6])
        (checkpoint / "metadata").write_bytes(b'{"id":')
        (landing / "usage_events_stream" / waiting[0].name).touch()  # nothing new, and one to be read again
        assert sum(batch.files for batch in make_pipeline(landing, lake, 1).bronze().batches) == 1
        shutil.rmtree(lake / "_checkpoints")
        take_in(waiting[6:])
        make_pipeline(landing, lake).run()
        assert_equal(lake, baseline)

    def test_a_file_that_was_archived_before_its_micro_batch_was_acknowledged(
        self, make_pipeline: MakePipeline, tmp_path: Path
    ) -> None:
        """A driver that dies between its commit and Spark's has the same files delivered again: they may have left."""
        landing = write_landing(tmp_path / "landing", {name: [hostile.event(name)] for name in ("a.jsonl", "b.jsonl")})
        lake = tmp_path / "lake"
        make_pipeline(landing, lake, 1).bronze()
        for commit in lake.glob("_checkpoints/*/commits/*1"):
            commit.unlink()
        (landing / "usage_events_stream/b.jsonl").unlink()
        (landing / "usage_events_stream/c.jsonl").write_text(hostile.event("c.jsonl") + "\n")
        make_pipeline(landing, lake, 1).bronze()
        ids = [row["event_id"] for row in rows_of(lake, "bronze/usage_events")]
        assert sorted(ids) == ["a.jsonl", "b.jsonl", "c.jsonl"]


class TestLaw4NoDropByTime:
    def test_late_events_are_counted_flagged_and_processed(self, make_pipeline: MakePipeline, tmp_path: Path) -> None:
        """Files against the order of time, one a micro-batch; one is a month older than the others as a file, too."""
        days = {"a.jsonl": 20, "b.jsonl": 1, "c.jsonl": 19, "d.jsonl": 10}
        moments = {name: [f"2025-06-{day:02}T{hour:02}:00:00Z" for hour in (1, 12, 23)] for name, day in days.items()}
        landing = write_landing(
            tmp_path / "landing",
            {name: [hostile.event(f"{name[0]}{m[11:13]}", timestamp=m) for m in ms] for name, ms in moments.items()},
        )
        stream = landing / "usage_events_stream"
        begin = os.stat(stream / "a.jsonl").st_mtime
        for number, name in enumerate(days):  # the order in which the stream takes them
            age = 40 * 86_400 if name == "d.jsonl" else 0
            os.utime(stream / name, (begin - 100 + number - age,) * 2)
        lake = tmp_path / "lake"
        batches = make_pipeline(landing, lake, 1).run().batches
        assert len(batches) == 4

        silver = rows_of(lake, f"silver/{EVENTS}")
        assert len(silver) == 12
        assert rows_of(lake, f"quarantine/{EVENTS}") == []
        # Late is what lies more than two hours before the newest event up to and including its micro-batch.
        newest, expected, dropped = "", set(), 0
        for batch in batches:
            (name,) = [n for n in days if batch.touched == (f"2025-06-{days[n]:02}",)]
            before, newest = newest, max([newest, *moments[name]])
            edge = f"{newest[:11]}{int(newest[11:13]) - 2:02}{newest[13:]}"
            expected |= {f"{name[0]}{moment[11:13]}" for moment in moments[name] if moment < edge}
            lost = f"{before[:11]}{int(before[11:13]) - 2:02}{before[13:]}" if before else ""
            assert batch.watermark_would_drop == sum(moment < lost for moment in moments[name])
            assert batch.late_rows == sum(moment < edge for moment in moments[name])
            dropped += batch.watermark_would_drop
        assert {row["event_id"] for row in silver if row["is_late"]} == expected
        assert dropped >= 6
        assert sum(row["total_events"] for row in rows_of(lake, "gold/org_daily_usage_by_service")) == 12


class TestLaw5LayersAgree:
    def test_stream_and_reconcile_agree_but_for_scores(
        self, baseline: tuple[Path, Path], make_pipeline: MakePipeline, tmp_path: Path
    ) -> None:
        landing = write_landing(tmp_path / "landing", split(day_lines(), 3, 4))
        lake = tmp_path / "lake"
        outcome = make_pipeline(landing, lake, 2).stream()
        assert len(outcome.batches) == 2
        ignored = {*METADATA, *SCORES, "total_cost_usd_capped"}
        streamed, rejected = silver_and_gold(lake, ignored), reject_counts(lake)
        daily = bag(rows_of(lake, "gold/org_daily_usage_by_service"), {"total_cost_usd_capped"})
        make_pipeline(landing, lake).reconcile()
        reconciled = silver_and_gold(lake, ignored)
        for tables in (streamed, reconciled):
            del tables["gold/cost_anomaly_mart"]  # its rows are those of the anomalous events
            del tables["silver/cost_baselines"]
        assert differing(streamed, reconciled) == []
        assert reject_counts(lake) == rejected
        assert bag(rows_of(lake, "gold/org_daily_usage_by_service"), {"total_cost_usd_capped"}) == daily
        assert_equal(lake, baseline)

    def test_stream_keeps_the_days_without_usage_up_to_the_last_day(
        self, make_pipeline: MakePipeline, tmp_path: Path
    ) -> None:
        """Each organisation has cost windows up to the last usage date of the data: it may move on, and back."""
        early = [
            hostile.event(f"early_{n}", org_id=f"org_{n % 2}", timestamp=f"2025-06-0{n}T10:00Z") for n in range(1, 5)
        ]
        landing, lake = write_landing(tmp_path / "landing", {"a.jsonl": early}), tmp_path / "lake"

        def settled() -> None:
            streamed = silver_and_gold(lake)
            make_pipeline(landing, lake).reconcile()
            assert differing(streamed, silver_and_gold(lake)) == []

        make_pipeline(landing, lake).stream()
        late = hostile.event("late", org_id="org_0", timestamp="2025-06-09T10:00:00Z")
        # A date of nothing but rejects has no usage: it is not the last day.
        beyond = hostile.event("rejected", service="moon", timestamp="2025-06-12T10:00:00Z")
        (landing / "usage_events_stream" / "b.jsonl").write_text(f"{late}\n{beyond}\n")
        make_pipeline(landing, lake).stream()
        summary = rows_of(lake, "gold/org_service_cost_summary")
        assert sorted(row["summary_date"].day for row in summary if row["org_id"] == "org_1") == list(range(1, 10))
        assert sorted(row["summary_date"].day for row in summary if row["org_id"] == "org_0") == list(range(2, 10))
        settled()
        # And back: its file is corrected, and the last day has no usage any more.
        (landing / "usage_events_stream" / "b.jsonl").write_text(f"{beyond}\n")
        make_pipeline(landing, lake).stream()
        summary = rows_of(lake, "gold/org_service_cost_summary")
        assert max(row["summary_date"].day for row in summary) == 4
        settled()
