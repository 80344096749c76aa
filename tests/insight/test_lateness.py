"""Late data in numbers, and the usual recipe run beside ours on the same files: it loses what ours keeps."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cloud_analytics.bronze.ledger import METRICS
from cloud_analytics.config.pipeline import LandingSettings
from cloud_analytics.errors import PipelineError
from cloud_analytics.insight.recipe import usual_recipe
from cloud_analytics.lake.files import open_files
from cloud_analytics.lake.folder import LakeFolder
from cloud_analytics.reading.lateness import micro_batches
from tests.conftest import MakePipeline
from tests.integration import hostile
from tests.integration.agreement import rows_of
from tests.integration.lakes import write_landing

pytestmark = pytest.mark.spark


def test_what_a_watermark_loses_is_counted_and_the_recipe_loses_it(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    def events(day: int, count: int) -> list[str]:
        return [hostile.event(f"d{day}_{n}", timestamp=f"2025-06-{day:02}T10:00:00Z") for n in range(count)]

    # The files come newest first: behind the first one, every other lies further back than two hours.
    # Two hours behind the newest one, c's, is not late; a millionth of a second more is.
    edge = [
        hostile.event(f"edge_{n}", timestamp=f"2025-06-21T{text}Z")
        for n, text in enumerate(["10:00:00.5", "08:00:00.5", "08:00:00.499999"])
    ]
    files = {"a.jsonl": events(20, 6), "b.jsonl": events(19, 3), "c.jsonl": [*events(18, 2), *edge]}
    landing, lake = write_landing(tmp_path / "landing", files), tmp_path / "lake"
    pipeline = make_pipeline(landing, lake, 1)
    for number, name in enumerate(sorted(files)):  # the order of micro-batches of one file is that of their age
        os.utime(landing / "usage_events_stream" / name, (1_700_000_000 + number, 1_700_000_000 + number))
    pipeline.run()

    batches = micro_batches(pipeline.lake)
    assert list(batches["input_rows"]) == [6, 3, 5]
    assert list(batches["late_rows"]) == [0, 3, 3]
    assert list(batches["watermark_would_drop"]) == [0, 3, 2]
    assert list(batches["late_alert"]) == [False] * 3  # the first load of a lake is a backfill
    assert batches["max_lateness_seconds"][2] == 3 * 86_400 + 1  # and half a second, rounded up
    silver = rows_of(lake, "silver/usage_events")
    assert len(silver) == 14
    assert sorted(row["event_id"] for row in silver if row["is_late"] and "edge" in row["event_id"]) == ["edge_2"]

    outcome = usual_recipe(pipeline.lake.spark, str(landing), 1, timedelta(hours=2), LandingSettings())
    # Spark 3.5 filters late rows by the watermark before the last: b still comes through, old rows of c do not.
    assert (outcome.rows, outcome.kept, outcome.lost_share) == (14, 12, pytest.approx(2 / 14))

    # What comes later is not: the alert is about the share that a watermark would have dropped.
    for name, late in (("half.jsonl", 1), ("most.jsonl", 2)):
        lines = [
            hostile.event(f"{name}_{n}", timestamp=f"2025-06-{17 if n < late else 21}T12:00:00Z") for n in range(3)
        ]
        with (landing / "usage_events_stream" / name).open("w") as file:
            file.write("\n".join(lines))
        make_pipeline(landing, lake, 1).bronze()
    assert [list(micro_batches(pipeline.lake)[name])[3:] for name in ("watermark_would_drop", "late_alert")] == [
        [1, 2],
        [False, True],
    ]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        pytest.param("[" * 200_000, id="nested"),
        "[]",
        '{"files": 1}',
        '{"ingest_ts": "xx26-11-29T10:00:00+00:00"}',
        '{"ingest_ts": "2026-11-29T10:00:00"}',
        '{"ingest_ts": "2026-11-29T10:00:00+00:00", "input_rows": "many"}',
    ],
)
def test_a_damaged_document_of_a_micro_batch_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / METRICS).mkdir(parents=True)
    (tmp_path / METRICS / "one.json").write_text(content)
    with pytest.raises(PipelineError, match=rf"{METRICS}/one.json is damaged: delete it"):
        micro_batches(LakeFolder(open_files(str(tmp_path))))


def test_a_document_of_an_earlier_version_lacks_some_figures(tmp_path: Path) -> None:
    (tmp_path / METRICS).mkdir(parents=True)
    (tmp_path / METRICS / "one.json").write_text('{"ingest_ts": "2026-11-29T10:00:00+00:00", "input_rows": 3}')
    assert list(micro_batches(LakeFolder(open_files(str(tmp_path)))).input_rows) == [3]


def test_the_recipe_reads_what_the_pipeline_reads(spark: SparkSession, tmp_path: Path) -> None:
    """Spark itself would follow a link to anywhere, wait for a pipe, and end at a line that does not fit in memory."""
    lines = [hostile.event(f"e{n}") for n in range(3)]
    files = {"a:b.jsonl": lines[:1], "a{b}*.jsonl.gz": lines[1:2], "c, d.jsonl": lines[2:], "long.jsonl": ["x" * 9_999]}
    folder = write_landing(tmp_path / "landing", files) / "usage_events_stream"
    os.mkfifo(folder / "pipe.jsonl")
    (tmp_path / "elsewhere").write_text("{}\n")
    for name, place in (("link.jsonl", "../../elsewhere"), ("circle.jsonl", "circle.jsonl")):
        (folder / name).symlink_to(place)
    outcome = usual_recipe(spark, str(folder.parent), 2, timedelta(hours=2), LandingSettings(max_line_bytes=5_000))
    assert (outcome.rows, outcome.kept, outcome.micro_batches) == (3, 3, 2)
