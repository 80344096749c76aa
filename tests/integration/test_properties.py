"""Laws 1 to 3 on landing folders that hypothesis makes up: whatever comes, in whatever files and order, and however
often the pipeline is asked meanwhile, a lake holds in the end what the oracle reads in the folder.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import MakePipeline
from tests.integration.agreement import (
    assert_none,
    forecast_dates,
    gold_differences,
    quarantine_differences,
    silver_differences,
)
from tests.integration.hostile import MASTERS
from tests.integration.lakes import audit_of, unknown_files
from tests.oracle import compute

pytestmark = pytest.mark.spark

COMMON = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
SHORT = settings(COMMON, max_examples=3, derandomize=True, phases=[Phase.explicit, Phase.generate])
LONG = settings(COMMON, max_examples=60, print_blob=True)

# Few values for each field, so that they meet: copies, groups large enough for scores, the same day in many files.
_EVENT = st.fixed_dictionaries(
    {
        "event_id": st.one_of(st.integers(1, 400).map("e{}".format), st.sampled_from(["e1", " e1 ", "e2", "", None])),
        "timestamp": st.one_of(
            st.builds("2025-06-{:02}T{:02}:30:00Z".format, st.integers(1, 20), st.integers(0, 23)),
            st.sampled_from(["2025-06-03T23:30:00-01:00", "2025-06-03 10:00", "2025-06-31T10:00Z", "soon", None]),
        ),
        "org_id": st.sampled_from(["org_a", "org_a", "org_b", "org_none", " "]),
        "resource_id": st.sampled_from(["res_1", "res_2", "res_none"]),
        "service": st.sampled_from(["compute", "compute", "genai", "Storage", "moon"]),
        "region": st.sampled_from(["us-east", "mars", None]),
        "metric": st.sampled_from(["requests", "requests", "cpu_hours", "clicks"]),
        "value": st.one_of(st.integers(0, 50), st.sampled_from(["7.5", "x", None, -1, 1e12])),
        "unit": st.sampled_from(["count", "count", "hours", None]),
        "cost_usd_increment": st.one_of(
            st.decimals(0, 5, places=3).map(float), st.sampled_from([0, "0.25", -0.005, -2, None, 900])
        ),
        "schema_version": st.sampled_from([1, 2, 2, "2", 3]),
    },
    optional={
        "carbon_kg": st.sampled_from([0.5, "n/a", -1]),
        "genai_tokens": st.integers(0, 9000),
        "user_id": st.sampled_from(["user_1", "nobody"]),
    },
)
_GOOD = _EVENT.map(
    lambda event: {
        **event, "org_id": "org_a", "service": "compute", "metric": "requests", "value": 10, "unit": None,
        "schema_version": 2, "timestamp": str(event["timestamp"]).replace("soon", "2025-06-05T10:00Z"),
    }
)  # fmt: skip
_LINE = st.one_of(
    _EVENT.map(json.dumps),
    _GOOD.map(json.dumps),
    _GOOD.map(json.dumps),
    st.sampled_from(["not json", "[]", '{"a":1}{"b":2}', "", "   ", "{}"]),
)


@dataclass(frozen=True)
class Story:
    """Files of lines in the order of their arrival, and what is asked of the pipeline after each group of them."""

    groups: list[list[list[str]]]
    steps: list[str]
    max_files: int
    masters: list[str]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    lines = draw(st.lists(_LINE, min_size=30, max_size=150))
    # Some lines once more, so that there are copies in every story.
    lines += [lines[number % len(lines)] for number in draw(st.lists(st.integers(0, 149), max_size=10))]
    lines = draw(st.permutations(lines))
    files: list[list[str]] = [[] for _ in range(draw(st.integers(1, 6)))]
    for number, line in enumerate(lines):
        files[number * 7 % len(files)].append(line)
    cut = draw(st.integers(0, len(files)))
    groups = [group for group in (files[:cut], files[cut:]) if group]
    steps = draw(st.lists(st.sampled_from(["run", "stream", "bronze", "reconcile"]), min_size=1, max_size=2))
    masters = draw(st.lists(st.sampled_from(sorted(MASTERS)), min_size=1, max_size=4, unique=True))
    return Story(groups, steps, draw(st.sampled_from([1, 2, 500])), masters)


def check(story: Story, make_pipeline: MakePipeline) -> None:
    """Live through the story, end with a run, and compare the lake with the oracle."""
    with tempfile.TemporaryDirectory() as folder:
        landing, lake = Path(folder) / "landing", Path(folder) / "lake"
        stream = landing / "usage_events_stream"
        stream.mkdir(parents=True)
        for name in story.masters:
            (landing / name).parent.mkdir(exist_ok=True)
            (landing / name).write_bytes(MASTERS[name].encode())
        pipeline = make_pipeline(landing, lake, story.max_files)
        started = datetime.now(timezone.utc)
        forecast: set[date] = set()
        for number, group in enumerate(story.groups):
            forecast = forecast_dates(lake)
            for part, lines in enumerate(group):
                content = "".join(line + "\n" for line in lines).encode()
                packed = (number + part) % 3 == 2
                path = stream / f"file_{number}_{part}.jsonl{'.gz' if packed else ''}"
                path.write_bytes(gzip.compress(content) if packed else content)
            getattr(pipeline, story.steps[number % len(story.steps)])()
        pipeline.run()
        assert not pipeline.run().changed
        assert_none(unknown_files(lake))
        expected = compute(landing, started)
        assert_none(silver_differences(lake, expected))
        assert_none(quarantine_differences(lake, expected))
        assert_none(gold_differences(lake, expected, forecast))
        counted: dict[str, Any] = audit_of(pipeline).as_json()
        assert counted == expected.audit
        assert counted["balanced"]


@SHORT
@given(story=stories())
def test_any_folder_ends_as_the_oracle_reads_it(story: Story, make_pipeline: MakePipeline) -> None:
    check(story, make_pipeline)


@pytest.mark.slow
@LONG
@given(story=stories())
def test_many_folders_end_as_the_oracle_reads_them(story: Story, make_pipeline: MakePipeline) -> None:
    check(story, make_pipeline)
