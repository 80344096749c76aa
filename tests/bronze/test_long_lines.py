"""Lines of a megabyte, as when a producer embeds its payload: a run holds few of them in memory at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cloud_analytics.lake.lake import LONG_LINE, LONG_LINES
from tests.conftest import REPOSITORY, MakePipeline
from tests.integration.agreement import rows_of
from tests.integration.hostile import event
from tests.integration.lakes import audit_of, write_landing

pytestmark = pytest.mark.spark

VECTORS = "spark.sql.parquet.enableVectorizedReader"


def with_payload(name: str, size: int, **fields: object) -> str:
    return json.dumps({**json.loads(event(name, **fields)), "payload": "x" * size})


def test_a_lake_with_long_lines_is_read_row_by_row(
    make_pipeline: MakePipeline, spark: SparkSession, tmp_path: Path
) -> None:
    landing = write_landing(tmp_path / "landing", {"a.jsonl": [event("short")]})
    pipeline = make_pipeline(landing, tmp_path / "lake")
    spark.conf.set(VECTORS, "true")  # a test before may have had such lines
    pipeline.run()
    assert (pipeline.lake.load(LONG_LINES), spark.conf.get(VECTORS)) == (False, "true")
    try:
        lines = [with_payload("long", LONG_LINE), with_payload("moon", 9, service="moon")]
        (landing / "usage_events_stream" / "b.jsonl").write_text("\n".join(lines) + "\n")
        pipeline.run()
        assert (pipeline.lake.load(LONG_LINES), spark.conf.get(VECTORS)) == (True, "false")
    finally:
        spark.conf.set(VECTORS, "true")
    assert {row["event_id"] for row in rows_of(tmp_path / "lake", "silver/usage_events")} == {"short", "long"}
    assert audit_of(pipeline).balanced


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields", [{}, {"service": "moon"}, {"timestamp": "soon"}], ids=["good", "rejected", "no time"]
)
def test_a_hundred_megabytes_of_them_fit_in_the_smallest_memory(fields: dict[str, str], tmp_path: Path) -> None:
    """They are packed to 100 KB, so that the size of a file says nothing."""
    long = [with_payload(f"e{number}", 2**20, **fields) for number in range(100)]
    landing = write_landing(tmp_path / "landing", {"ok.jsonl": [event("ok")], "long.jsonl.gz": long})
    command = [sys.executable, "-m", "cloud_analytics", "--spark", "spark.driver.memory=512m", "run"]
    places = ["--landing", str(landing), "--lake", str(tmp_path / "lake"), "--serving", "none", "--quiet"]
    sources = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run([*command, *places], capture_output=True, text=True, env=sources, timeout=300)
    assert (done.returncode, "error" in done.stderr) == (0, False), done.stderr
    counts = {
        name: len(rows_of(tmp_path / "lake", name)) for name in ("silver/usage_events", "quarantine/usage_events")
    }
    assert counts == {"silver/usage_events": 1 + 100 * (not fields), "quarantine/usage_events": 100 * bool(fields)}
