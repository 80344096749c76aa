"""Law 5 on stories that hypothesis makes up: whatever a stream added to its dates, a rebuild finds nothing to change.

Few events with many copies: they come on two dates, in files whose names say nothing of when they come, in one
micro-batch or in many; files change, rules change, and the batch layer settles now and then.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cloud_analytics.gold import resource_daily_usage
from cloud_analytics.pipeline import Pipeline
from tests.conftest import MakePipeline
from tests.integration import hostile
from tests.integration.agreement import EVENTS, rows_of
from tests.integration.lakes import SCORES, Tables, bag, differing, silver_and_gold

pytestmark = pytest.mark.spark

COMMON = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
SHORT = settings(COMMON, max_examples=2, derandomize=True, phases=[Phase.explicit, Phase.generate])
LONG = settings(COMMON, max_examples=60, print_blob=True)

INGEST = {"ingest_ts", "is_late", "batch_id"}
STEPS = ["stream"] * 6 + ["bronze"] * 2 + ["silver", "run", "reconcile", "change a file", "change the rules"]


@st.composite
def line(draw: st.DrawFn) -> str:
    """An event whose id belongs to its date: copies on different dates are what the batch layer alone settles."""
    number, day = draw(st.integers(1, 4)), draw(st.sampled_from([3, 3, 4]))
    blank = draw(st.sampled_from(["", "", " "]))
    text = hostile.event(
        f"{blank}e{number}_{day}",
        timestamp=f"2025-06-{day:02}T10:00:00Z",
        value=draw(st.integers(1, 2)),
        cost_usd_increment=draw(st.sampled_from([1, 2, 2, -1])),
        service=draw(st.sampled_from(["compute", "compute", "genai", "moon"])),
    )
    return draw(st.sampled_from([text, text, text.replace(": ", ":"), f"{text} "]))


FILE = st.lists(line(), min_size=1, max_size=6)


@dataclass(frozen=True)
class Story:
    """Files by name in the order of their arrival, what is asked after each, and what a changed file then holds."""

    files: list[tuple[str, list[str]]]
    steps: list[str]
    changed: list[str]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    names = draw(st.permutations(["a", "b", "c", " c", "d", "e"]))
    files = draw(st.lists(FILE, min_size=2, max_size=len(names)))
    steps = draw(st.lists(st.sampled_from(STEPS), min_size=len(files), max_size=len(files)))
    return Story(list(zip(names, files)), steps, draw(FILE))


USAGE = "gold/resource_daily_usage"
OF_SCORES = {
    "cost_usd_capped", "zscore_events", "mad_events", "percentile_events", "unit_price_events", "anomalous_events",
    "anomalous_cost_usd",
}  # fmt: skip


def usage(lake: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """gold/resource_daily_usage with its parts added, as any reader would; without what is made of scores."""
    key = resource_daily_usage.TABLE.key
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows_of(lake, USAGE):
        sums = found.setdefault(tuple(row[name] for name in key), {})
        for name in row.keys() - {*key, "unit", *OF_SCORES}:
            known, more = sums.get(name), row[name]
            sums[name] = more if known is None else known if more is None else known + more
    return found


def tables(lake: Path, without: set[str]) -> Tables:
    found = silver_and_gold(lake, without)
    found.pop(USAGE, None)  # in parts
    return found | {"quarantine": bag(rows_of(lake, f"quarantine/{EVENTS}"), without)}


def other_rules(pipeline: Pipeline) -> None:
    taxonomy = pipeline.config.taxonomy.model_copy(update={"service_aliases": {"moon": "compute"}})
    pipeline.config = pipeline.config.model_copy(update={"taxonomy": taxonomy})


def check(story: Story, make_pipeline: MakePipeline) -> None:
    with tempfile.TemporaryDirectory() as folder:
        landing, lake = Path(folder) / "landing", Path(folder) / "lake"
        stream = landing / "usage_events_stream"
        stream.mkdir(parents=True)
        pipeline = make_pipeline(landing, lake, 1)
        for (name, lines), step in zip(story.files, story.steps):
            (stream / f"{name}.jsonl").write_text("".join(f"{text}\n" for text in lines))
            if step == "change a file":
                (stream / f"{story.files[0][0]}.jsonl").write_text("".join(f"{text}\n" for text in story.changed))
                step = "stream"
            elif step == "change the rules":
                other_rules(pipeline)
                step = "stream"
            getattr(pipeline, step)()
        pipeline.stream()
        scores = {*SCORES, "total_cost_usd_capped"}
        streamed, used = tables(lake, {*INGEST, *scores}), usage(lake)
        changes = pipeline.reconcile().row_changes
        assert not any((rows.added, rows.removed) != (0, 0) for rows in changes.values())
        settled = tables(lake, {*INGEST, *scores})
        for found in (streamed, settled):
            del found["gold/cost_anomaly_mart"], found["silver/cost_baselines"]  # both are made of scores
        assert differing(streamed, settled) == []
        assert used == usage(lake)
        assert len(used) == len(rows_of(lake, USAGE))  # one row each: the parts are gone

        clean = make_pipeline(landing, Path(folder) / "clean")
        clean.config = pipeline.config
        clean.run()
        assert differing(tables(lake, INGEST), tables(Path(folder) / "clean", INGEST)) == []
        ids = [row["event_id"] for row in rows_of(lake, f"silver/{EVENTS}")]
        assert len(ids) == len(set(ids))


@SHORT
@given(story=stories())
def test_what_a_stream_added_a_rebuild_does_not_change(story: Story, make_pipeline: MakePipeline) -> None:
    check(story, make_pipeline)


@pytest.mark.slow
@LONG
@given(story=stories())
def test_many_streams_are_not_changed_by_a_rebuild(story: Story, make_pipeline: MakePipeline) -> None:
    check(story, make_pipeline)


def _files(lake: Path) -> dict[str, int]:
    return {
        str(path.relative_to(lake)): path.stat().st_mtime_ns for path in (lake / "silver" / EVENTS).rglob("*.parquet")
    }


def test_only_a_copy_that_wins_rebuilds_its_date(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    """What is new, and copies that lose, leave the files of the date as they are; a copy that wins replaces them."""
    landing, lake = tmp_path / "landing", tmp_path / "lake"
    stream = landing / "usage_events_stream"
    stream.mkdir(parents=True)
    pipeline = make_pipeline(landing, lake, 1)

    def arrive(name: str, *lines: str) -> tuple[set[str], set[str]]:
        """Take in a file; returns the files of Silver that went and those that came."""
        before = _files(lake)
        (stream / name).write_text("".join(f"{text}\n" for text in lines))
        pipeline.stream()
        now = _files(lake)
        assert all(now[path] == before[path] for path in before.keys() & now.keys())
        return before.keys() - now.keys(), now.keys() - before.keys()

    def rejects() -> list[tuple[str, str]]:
        return sorted((row["source_file"], row["error_type"]) for row in rows_of(lake, f"quarantine/{EVENTS}"))

    def kept() -> dict[str, str]:
        return {row["event_id"]: row["source_file"] for row in rows_of(lake, f"silver/{EVENTS}")}

    arrive("m.jsonl", hostile.event("e1"), hostile.event("e2"))
    went, came = arrive("n.jsonl", hostile.event("e3"))
    assert (len(went), len(came)) == (0, 1)
    assert [row["events"] for row in rows_of(lake, USAGE)] == [2, 1]  # a part each
    went, came = arrive("o.jsonl", hostile.event("e1"), hostile.event("e2", value=9), hostile.event("e4"))
    assert (len(went), len(came)) == (0, 1)
    assert rejects() == [("o.jsonl", "conflicting_duplicate"), ("o.jsonl", "duplicate_event")]
    assert (len(went), len(came)) == (0, 1)
    went, came = arrive("p.jsonl", hostile.event("e3"))  # nothing but a copy that loses
    assert (len(went), len(came)) == (0, 0)
    assert kept() == {"e1": "m.jsonl", "e2": "m.jsonl", "e3": "n.jsonl", "e4": "o.jsonl"}
    went, came = arrive("a.jsonl", hostile.event("e2"))
    assert len(went) == 3
    assert len(came) == 1
    assert kept() == {"e1": "m.jsonl", "e2": "a.jsonl", "e3": "n.jsonl", "e4": "o.jsonl"}
    assert rejects() == [
        ("m.jsonl", "duplicate_event"),
        ("o.jsonl", "conflicting_duplicate"),
        ("o.jsonl", "duplicate_event"),
        ("p.jsonl", "duplicate_event"),
    ]
    assert pipeline.reconcile().row_changes == {}  # the only date was built anew: nothing is left to settle
    assert len(_files(lake)) == 1
    assert [row["events"] for row in rows_of(lake, USAGE)] == [4]
