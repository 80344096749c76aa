"""A figure of Gold back to its lines: right for lines that occur twice, CRLF, blank lines, gzip and archived files."""

from __future__ import annotations

import json
import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cloud_analytics.errors import UsageError
from cloud_analytics.insight.plain import plain
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.reading.trace import Place, Trace, Traced, _cost_of_lines, _rounded, trace
from tests.integration.lakes import read_only
from tests.validation.conftest import ORG

pytestmark = pytest.mark.spark

DAY = date(2025, 3, 3)


def follow(pipeline: Pipeline, service: str = "compute", org: str = ORG, day: date = DAY) -> Trace:
    return trace(*read_only(pipeline), org, day, service)


@pytest.fixture(scope="module")
def found(pipeline: Pipeline) -> Trace:
    return follow(pipeline)


def test_each_event_has_its_line(found: Trace) -> None:
    places = {item.event["event_id"]: (item.place.source_file, item.place.line) for item in found.events}
    # Of the copies of t_twice the one in the file with the smallest name survives.
    assert places == {
        "t_twice": ("t_bom.jsonl", 2),
        "t_hours": ("t_crlf.jsonl", 7),
        "t_bom": ("t_bom.jsonl", 1),
        "t_packed": ("t_packed.jsonl.gz", 3),
        "t_gone": ("t_gone.jsonl", 1),
    }
    assert {item.place.note for item in found.events} == {None}


def test_rejected_lines_stand_beside_them(found: Trace) -> None:
    beside = {(line.place.source_file, line.place.line): line.errors for line in found.rejected}
    assert beside == {
        ("t_crlf.jsonl", 2): ["conflicting_duplicate"],
        ("t_crlf.jsonl", 4): ["negative_cost"],
        ("t_crlf.jsonl", 5): ["conflicting_duplicate"],
    }


def test_the_sums_are_the_marts_and_the_lines(found: Trace) -> None:
    checks = {check.figure: check for check in found.checks}
    cost = checks["total_cost_usd"]
    assert cost.mart == cost.events == cost.from_lines == Decimal("14.00")
    assert (checks["total_events"].mart, checks["total_events"].events) == (5, 5)
    assert checks["total_requests"].events == checks["total_requests"].mart == 300
    assert checks["total_cpu_hours"].events == Decimal("3.5")
    assert checks["total_genai_tokens"].mart is checks["total_genai_tokens"].events is None
    assert found.agrees
    assert json.loads(json.dumps(plain(found)))["checks"][1]["from_lines"] == "14.000000"


def test_a_sum_that_differs_is_seen(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloud_analytics.reading import trace as module

    real = module._bronze_lines
    monkeypatch.setattr(module, "_bronze_lines", lambda *args: real(*args)[1:])  # a line that Bronze lost
    lost = follow(pipeline)
    assert any(item.place.line is None for item in lost.events) or len(lost.rejected) < 3
    monkeypatch.setitem(module._SUMS, "total_cpu_hours", ("cost_usd", "cpu_hours", Decimal(0)))
    assert not follow(pipeline).agrees


def test_an_organisation_with_every_kind_of_copy(pipeline: Pipeline) -> None:
    copies = follow(pipeline, org="org_a", day=date(2025, 6, 10))
    assert copies.agrees
    assert all(item.place.line is not None for item in copies.events)
    items: list[Any] = [*copies.events, *copies.rejected]
    taken = [(item.place.source_file, item.place.line) for item in items]
    assert len(taken) == len(set(taken)), "a line is given out once"
    text = {(place.source_file, place.line): place.raw for place in (item.place for item in copies.events)}
    for (name, number), raw in text.items():
        path = Path(pipeline.landing) / "usage_events_stream" / name
        if name.endswith(".jsonl") and number is not None:
            stands = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").split("\n")[number - 1]
            assert stands.rstrip("\r") == raw


def test_an_archived_and_a_changed_file_are_said(pipeline: Pipeline) -> None:
    stream = Path(pipeline.landing) / "usage_events_stream"
    gone, changed = stream / "t_gone.jsonl", stream / "t_bom.jsonl"
    before, moment = changed.read_bytes(), changed.stat().st_mtime_ns
    aside = gone.rename(stream.parent / "aside")
    changed.write_bytes(b"\n" + before.removeprefix(b"\xef\xbb\xbf"))
    try:
        places = {item.event["event_id"]: item.place for item in follow(pipeline).events}
    finally:
        aside.rename(gone)
        changed.write_bytes(before)
        os.utime(changed, ns=(moment, moment))  # others use this landing folder
    assert (places["t_gone"].line, places["t_gone"].note) == (None, "not in landing any more (archived)")
    assert "t_gone" in places["t_gone"].raw
    assert (places["t_bom"].line, places["t_bom"].note) == (2, "changed since it was ingested")


def test_a_line_that_is_nested_deeper_than_python_reads_has_no_cost_of_its_own() -> None:
    raw = '{"cost_usd_increment": 1, "x": ' + "[" * 200_000 + "]" * 200_000 + "}"
    assert _cost_of_lines([Traced({}, Place("a.jsonl", 1, None, raw))]) is None
    assert _cost_of_lines([Traced({}, Place("a.jsonl", 1, None, raw[:24] + "}"))]) == 1


def test_what_does_not_exist_is_told_in_one_line(pipeline: Pipeline) -> None:
    with pytest.raises(UsageError, match="that day has compute, storage"):
        follow(pipeline, service="genai")
    with pytest.raises(UsageError, match="allowed are compute"):
        follow(pipeline, service="moon")
    with pytest.raises(UsageError, match="no usage on that day"):
        follow(pipeline, day=date(2020, 1, 1))


@pytest.mark.parametrize(
    ("cost", "rounded"), [("0e99999999999999999999", "0"), ("1e-99999999999999999999", "0"), ("2.5", "2.5")]
)
def test_a_cost_with_an_exponent_that_python_cannot_hold_is_0_as_in_silver(cost: str, rounded: str) -> None:
    assert _rounded(cost) == Decimal(rounded)
