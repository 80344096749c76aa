"""The speed layer scores with the baselines that are stored, and they are made anew where they have become too old."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakePipeline
from tests.integration import hostile
from tests.integration.agreement import rows_of
from tests.integration.lakes import differing, silver_and_gold, write_landing

pytestmark = pytest.mark.spark


def events(day: int, costs: list[float]) -> str:
    """A file of events of one group on one day, named after what they cost."""
    moment = f"2025-06-{day:02}T10:00:00Z"
    return "".join(hostile.event(f"{day}_{cost}", timestamp=moment, cost_usd_increment=cost) + "\n" for cost in costs)


def group(lake: Path) -> dict[str, Any]:
    """The baseline of the costs of these events."""
    (row,) = [row for row in rows_of(lake, "silver/cost_baselines") if row["org_id"] == "org_a"]
    return row


def score(lake: Path, event_id: str) -> float:
    (row,) = [row for row in rows_of(lake, "silver/usage_events") if row["event_id"] == event_id]
    return float(row["cost_zscore"])


def zscore(cost: float, costs: list[float]) -> Any:
    return pytest.approx((cost - statistics.mean(costs)) / statistics.stdev(costs), rel=1e-12)


def test_a_stream_scores_with_what_is_stored(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    landing, lake = write_landing(tmp_path / "landing", {}), tmp_path / "lake"
    stream = landing / "usage_events_stream"
    first, second, third = [float(n) for n in range(1, 13)], [1000.0, 2.0], [3.0 + n / 8 for n in range(10)]
    (stream / "a.jsonl").write_text(events(1, first))
    make_pipeline(landing, lake).stream()
    assert group(lake)["events"] == 12
    assert score(lake, "1_12.0") == zscore(12.0, first)

    # Two more change no baseline, and are held against the twelve; nothing of the other day is read for it.
    (history,) = lake.glob("silver/usage_events/date=2025-06-01/*/*.parquet")
    content = history.read_bytes()
    history.write_bytes(b"?" * len(content))  # it cannot be read, and is as long as before
    (stream / "b.jsonl").write_text(events(2, second))
    make_pipeline(landing, lake).bronze()
    make_pipeline(landing, lake).silver()
    history.write_bytes(content)
    assert group(lake)["events"] == 12
    assert score(lake, "2_1000.0") == zscore(1000.0, first)

    # With ten more the lake holds twice the twelve: first the baselines are made anew, of all 24.
    (stream / "c.jsonl").write_text(events(3, third))
    make_pipeline(landing, lake).stream()
    everything = [*first, *second, *third]
    assert group(lake)["events"] == 24
    assert group(lake)["median_usd"] == statistics.median(everything)
    assert score(lake, "3_3.0") == zscore(3.0, everything)
    assert score(lake, "2_1000.0") == zscore(1000.0, first)  # what was scored waits for the settling

    make_pipeline(landing, lake).run()
    assert score(lake, "2_1000.0") == zscore(1000.0, everything)
    make_pipeline(landing, tmp_path / "clean").run()
    assert differing(silver_and_gold(lake), silver_and_gold(tmp_path / "clean")) == []


def test_other_rules_make_other_baselines(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    landing, lake = write_landing(tmp_path / "landing", {"a.jsonl": []}), tmp_path / "lake"
    (landing / "usage_events_stream/a.jsonl").write_text(events(1, [1.0] * 3 + [2.0] * 3))
    pipeline = make_pipeline(landing, lake)
    pipeline.stream()
    assert rows_of(lake, "silver/cost_baselines") == []  # ten events make a baseline
    settings = pipeline.config.anomalies.events.model_copy(update={"min_events": 2})
    anomalies = pipeline.config.anomalies.model_copy(update={"events": settings})
    pipeline.config = pipeline.config.model_copy(update={"anomalies": anomalies})
    pipeline.stream()
    assert group(lake)["events"] == 2
    usual = [row for row in rows_of(lake, "silver/cost_baselines") if row["org_id"] is None]
    assert [(row["events"], row["median_price"], row["mean_usd"]) for row in usual] == [(2, 0.015, None)]
