"""A settling leaves the days of closed months as they are, unless they changed or share an event with other days."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud_analytics.lake import periods
from cloud_analytics.lake.periods import Closing
from tests.conftest import MakePipeline
from tests.integration import hostile
from tests.integration.agreement import rows_of
from tests.integration.lakes import METADATA, SCORES, differing, reject_counts, silver_and_gold, write_landing

pytestmark = pytest.mark.spark


def files(lake: Path, month: str) -> dict[str, int]:
    """Files of Silver's events of a month, by the time they were written."""
    found = (lake / "silver" / "usage_events").rglob("*.parquet")
    return {str(path): path.stat().st_mtime_ns for path in found if f"date={month}-" in str(path)}


def changed_days(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {path.partition("/date=")[2][:10] for path, _ in before.items() ^ after.items()}


@pytest.mark.slow
def test_days_of_closed_months_keep_their_files_and_scores(
    make_pipeline: MakePipeline, baseline_copy: tuple[Path, Path], tmp_path: Path
) -> None:
    landing, lake = baseline_copy
    pipeline = make_pipeline(landing, lake)
    with pipeline.lake.writer(), pipeline.lake.transaction() as transaction:
        closed = periods.Periods().with_closed("2025-05", Closing("2025-06-20T00:00:00Z", 0, "0"))
        transaction.store(periods.DOCUMENT, closed)
    may = files(lake, "2025-05")
    stream = landing / "usage_events_stream"
    (stream / "b.jsonl").write_text(hostile.event("june", timestamp="2025-06-09T10:00:00Z") + "\n")
    (stream / "c.jsonl").write_text(hostile.event("late", timestamp="2025-05-21T10:00:00Z") + "\n")
    outcome = pipeline.run()
    assert "2025-06-09" in outcome.silver_dates
    assert changed_days(may, files(lake, "2025-05")) == {"2025-05-21"}  # only the day on which something came
    assert not pipeline.run().changed

    # A copy in June of an event of May: both days are judged together, as a clean run judges them.
    first = next(row for row in rows_of(lake, "silver/usage_events") if str(row["date"]) == "2025-05-23")
    copy = hostile.event(first["event_id"], timestamp="2025-06-09T11:00:00Z")
    (stream / "a.jsonl").write_text(copy + "\n")  # it comes before all.jsonl by name, and so survives
    before = files(lake, "2025-05")
    pipeline.run()
    assert changed_days(before, files(lake, "2025-05")) == {"2025-05-23"}
    clean = tmp_path / "clean"
    make_pipeline(landing, clean).run()
    without = METADATA | SCORES | {"is_anomaly", "expected_cost_usd"}
    ours, theirs = silver_and_gold(lake, without), silver_and_gold(clean, without)
    silver = [name for name in theirs if name.startswith("silver/")]
    assert differing({name: ours[name] for name in silver}, {name: theirs[name] for name in silver}) == []
    assert reject_counts(lake) == reject_counts(clean)


@pytest.mark.parametrize("emptied_by_the_stream", [True, False])
@pytest.mark.parametrize("july_is_closed", [True, False])
def test_a_copy_comes_back_when_the_event_it_gave_way_to_leaves(
    make_pipeline: MakePipeline, tmp_path: Path, emptied_by_the_stream: bool, july_is_closed: bool
) -> None:
    """Also where nothing is left of the date on which that event was, and nothing else has changed."""
    files = {
        "a.jsonl": [hostile.event("twice", timestamp="2025-08-01T10:00:00Z")],
        "b.jsonl": [hostile.event(name, timestamp="2025-07-10T10:00:00Z") for name in ("twice", "once")],
    }
    landing, lake = write_landing(tmp_path / "landing", files), tmp_path / "lake"
    pipeline = make_pipeline(landing, lake)
    pipeline.run()
    assert reject_counts(lake)["usage_events", "conflicting_duplicate"] == 1
    if july_is_closed:
        with pipeline.lake.writer(), pipeline.lake.transaction() as transaction:
            closed = periods.Periods().with_closed("2025-07", Closing("2025-08-20T00:00:00Z", 0, "0"))
            transaction.store(periods.DOCUMENT, closed)
    (landing / "usage_events_stream" / "a.jsonl").write_text("")
    if emptied_by_the_stream:
        pipeline.stream()
    pipeline.run()
    found = {(row["event_id"], str(row["date"])) for row in rows_of(lake, "silver/usage_events")}
    assert found == {("twice", "2025-07-10"), ("once", "2025-07-10")}
    assert not reject_counts(lake)["usage_events", "conflicting_duplicate"]
    assert not pipeline.run().changed
