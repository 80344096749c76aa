"""The laws of SPEC 2 on whole pipelines: order invariance, replay, conservation, layers that agree."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cloud_analytics.quality.audit import audit
from tests.conftest import MakePipeline
from tests.integration import hostile
from tests.integration.agreement import EVENTS, GOLD_KEYS, SILVER_KEYS, comparable, rows_of

pytestmark = pytest.mark.spark

ZONES = ("bronze", "silver", "gold", "quarantine", "_state", "_metrics")
# What a pipeline records about the ingest itself, and so may differ.
METADATA = {"ingest_ts", "source_file", "is_late"}
# What only `reconcile` settles: event scores over the whole history, and what Gold makes of them.
SCORES = {
    "cost_usd_capped", "cost_zscore", "cost_mad_score", "unit_price_ratio", "flag_zscore", "flag_mad",
    "flag_percentile", "flag_unit_price", "is_anomaly", "anomaly_score", "anomaly_reason",
}  # fmt: skip

Tables = dict[str, Counter[tuple[tuple[str, Any], ...]]]


def day_lines() -> list[str]:
    """Regular events, rejects of several kinds, and copies whose outcome does not hang on a file's name."""
    lines = hostile.regular(12)
    return [
        *lines,
        *lines[:5],
        hostile.event("pair", value=5),
        hostile.event("pair", value=5).replace(": ", ":"),  # differs as text, not as data
        hostile.event("negative", cost_usd_increment=-4),
        hostile.event("soon", timestamp="soon"),
        hostile.event("moon", service="moon"),
        "not json",
        "{}{}",
    ]


def write_landing(landing: Path, files: dict[str, Sequence[str]]) -> Path:
    """The hostile masters, and these files of events (compressed where the name says so)."""
    for name, text in hostile.MASTERS.items():
        path = landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    stream = landing / "usage_events_stream"
    stream.mkdir()
    for name, lines in files.items():
        content = "".join(line + "\n" for line in lines).encode()
        (stream / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return landing


def split(lines: Sequence[str], parts: int, seed: int) -> dict[str, Sequence[str]]:
    """The lines in another order over some files, one of them compressed."""
    shuffled = list(lines)
    random.Random(seed).shuffle(shuffled)
    files: dict[str, Sequence[str]] = {f"part_{n}.jsonl": shuffled[n::parts] for n in range(1, parts)}
    return {**files, "part_0.jsonl.gz": shuffled[0::parts]}


def bag(rows: list[dict[str, Any]], without: set[str]) -> Counter[tuple[tuple[str, Any], ...]]:
    """Rows as a multiset, metadata left out."""
    return Counter(
        tuple((name, repr(comparable(value))) for name, value in sorted(row.items()) if name not in without)
        for row in rows
    )


def silver_and_gold(lake: Path, without: set[str] = METADATA) -> Tables:
    tables = {f"silver/{source}": bag(rows_of(lake, f"silver/{source}"), without) for source in SILVER_KEYS}
    return tables | {f"gold/{mart}": bag(rows_of(lake, f"gold/{mart}"), without) for mart in GOLD_KEYS}


def reject_counts(lake: Path) -> Counter[tuple[str, str]]:
    return Counter(
        (source, row["error_type"]) for source in SILVER_KEYS for row in rows_of(lake, f"quarantine/{source}")
    )


def differing(one: Tables, other: Tables) -> list[str]:
    assert one.keys() == other.keys()
    return [f"{name}: {list((one[name] - other[name]) + (other[name] - one[name]))[:2]}" for name in one
            if one[name] != other[name]]  # fmt: skip


def files_of(lake: Path) -> dict[str, tuple[int, int]]:
    """Every file of the zones with its modification time and size."""
    return {
        str(path.relative_to(lake)): (path.stat().st_mtime_ns, path.stat().st_size)
        for zone in ZONES
        for path in (lake / zone).rglob("*")
        if path.is_file() and path.name != "writer.lock"
    }


@pytest.fixture(scope="module")
def baseline(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(landing, lake) of one clean run over one file."""
    folder = tmp_path_factory.mktemp("baseline")
    landing = write_landing(folder / "landing", {"all.jsonl": day_lines()})
    make_pipeline(landing, folder / "lake").run()
    return landing, folder / "lake"


@pytest.mark.parametrize(("parts", "max_files", "seed"), [(6, 5, 1), (4, 1, 2)])
def test_order_and_files_change_nothing(
    parts: int, max_files: int, seed: int, baseline: tuple[Path, Path], make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    landing = write_landing(tmp_path / "landing", split(day_lines(), parts, seed))
    outcome = make_pipeline(landing, tmp_path / "lake", max_files).run()
    assert len(outcome.batches) == -(-parts // max_files)
    assert differing(silver_and_gold(tmp_path / "lake"), silver_and_gold(baseline[1])) == []
    assert reject_counts(tmp_path / "lake") == reject_counts(baseline[1])


def test_files_that_come_later_give_the_state_of_one_clean_run(
    baseline: tuple[Path, Path], make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    files = split(day_lines(), 3, 3)
    landing = write_landing(tmp_path / "landing", dict(list(files.items())[:1]))
    make_pipeline(landing, tmp_path / "lake").run()
    for name, lines in list(files.items())[1:]:
        content = "".join(line + "\n" for line in lines).encode()
        path = landing / "usage_events_stream" / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    make_pipeline(landing, tmp_path / "lake").run()
    assert differing(silver_and_gold(tmp_path / "lake"), silver_and_gold(baseline[1])) == []
    assert reject_counts(tmp_path / "lake") == reject_counts(baseline[1])


def test_a_second_run_changes_no_file(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    files = {"part.jsonl": day_lines()[:40], "empty.jsonl": (), "odd [1]{x}*.jsonl": (hostile.event("odd"),)}
    landing, lake = write_landing(tmp_path / "landing", files), tmp_path / "lake"
    make_pipeline(landing, lake, 1).run()
    before = files_of(lake)
    assert {row["event_id"] for row in rows_of(lake, "silver/usage_events")} >= {"odd"}
    again = make_pipeline(landing, lake, 1).run()
    assert not again.changed
    assert not make_pipeline(landing, lake).reconcile().changed
    assert files_of(lake) == before


def test_every_line_is_accounted_for_once(baseline: tuple[Path, Path], make_pipeline: MakePipeline) -> None:
    landing, lake = baseline
    pipeline = make_pipeline(landing, lake)
    counted = audit(pipeline.lake, str(landing), pipeline.config)
    assert counted.balanced
    events = counted.sources[EVENTS]
    assert events.landing == len(day_lines())
    assert events.quarantine == {
        "duplicate_event": 5, "conflicting_duplicate": 1, "negative_cost": 1, "invalid_timestamp": 1,
        "unknown_service": 1, "malformed_json": 2,
    }  # fmt: skip


def test_stream_and_reconcile_agree_but_for_scores(
    baseline: tuple[Path, Path], make_pipeline: MakePipeline, tmp_path: Path
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
    assert differing(streamed, reconciled) == []
    assert reject_counts(lake) == rejected
    assert bag(rows_of(lake, "gold/org_daily_usage_by_service"), {"total_cost_usd_capped"}) == daily
    assert differing(silver_and_gold(lake), silver_and_gold(baseline[1])) == []


def test_stream_fills_the_days_without_usage_before_a_new_last_day(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    """A new last usage date gives the cost windows of every organisation further dates, not just that one."""
    early = [hostile.event(f"early_{n}", org_id=f"org_{n % 2}", timestamp=f"2025-06-0{n}T10:00Z") for n in range(1, 5)]
    landing, lake = write_landing(tmp_path / "landing", {"a.jsonl": early}), tmp_path / "lake"
    make_pipeline(landing, lake).stream()
    late = hostile.event("late", org_id="org_0", timestamp="2025-06-09T10:00:00Z")
    beyond = hostile.event("rejected", service="moon", timestamp="2025-06-12T10:00:00Z")  # no usage: not the last day
    (landing / "usage_events_stream" / "b.jsonl").write_text(f"{late}\n{beyond}\n")
    make_pipeline(landing, lake).stream()
    summary = rows_of(lake, "gold/org_service_cost_summary")
    assert sorted(row["summary_date"].day for row in summary if row["org_id"] == "org_1") == list(range(1, 10))
    assert sorted(row["summary_date"].day for row in summary if row["org_id"] == "org_0") == list(range(2, 10))
    streamed = silver_and_gold(lake)
    make_pipeline(landing, lake).reconcile()
    assert differing(streamed, silver_and_gold(lake)) == []
