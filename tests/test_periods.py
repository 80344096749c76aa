"""Closed months: their figures stay whatever arrives, restatements tell what would be, and both sum to a clean run."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.lake import periods
from cloud_analytics.lake.files import open_files
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.reading.trace import trace
from cloud_analytics.validation.independent import compare
from tests.conftest import MakePipeline
from tests.integration import hostile
from tests.integration.agreement import rows_of
from tests.integration.lakes import differing, read_only, silver_and_gold

pytestmark = pytest.mark.spark

MAY, JUNE = "2025-05", "2025-06"
MEASURES = (
    "total_cost_usd", "total_requests", "total_cpu_hours", "total_storage_gb_hours", "total_carbon_kg",
    "total_genai_tokens",
)  # fmt: skip
LATE = [
    hostile.event("late_1", timestamp="2025-05-21T10:00:00Z", cost_usd_increment=7.25, service="compute"),
    hostile.event("late_2", timestamp="2025-05-02T10:00:00Z", org_id="org_new", service="database"),
    hostile.event("on_time", timestamp="2025-06-09T10:00:00Z"),
]
Sums = dict[tuple[Any, ...], list[Any]]


def month_files(lake: Path, month: str) -> dict[str, bytes]:
    """Every file of Gold whose folder is a date of this month, but for restatements."""
    return {
        str(path.relative_to(lake)): path.read_bytes()
        for path in (lake / "gold").rglob("*.parquet")
        if f"_date={month}-" in str(path) and "restatements" not in str(path)
    }


def sums(*tables: list[dict[str, Any]], month: str = MAY) -> Sums:
    """(org, date, service) → the measures, summed over the tables; those of nothing but zeros are left out."""
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [Decimal(0)] * len(MEASURES))
    for row in (row for rows in tables for row in rows if row["usage_date"].isoformat()[:7] == month):
        key = (row["org_id"], row["usage_date"], row["service"])
        found[key] = [total + (row[name] or 0) for total, name in zip(found[key], MEASURES)]
    return {key: totals for key, totals in found.items() if any(totals)}


def daily(lake: Path) -> list[dict[str, Any]]:
    return rows_of(lake, "gold/org_daily_usage_by_service")


def restated(lake: Path) -> list[dict[str, Any]]:
    return rows_of(lake, "gold/restatements")


@pytest.fixture
def closed(make_pipeline: MakePipeline, baseline_copy: tuple[Path, Path]) -> tuple[Pipeline, Path, Path]:
    """(pipeline, landing, lake) of the baseline with May closed."""
    landing, lake = baseline_copy
    pipeline = make_pipeline(landing, lake)
    pipeline.close(MAY)
    return pipeline, landing, lake


def arrive(landing: Path) -> None:
    """Late events, an invoice of May and other tags."""
    (landing / "usage_events_stream" / "late.jsonl").write_text("\n".join(LATE) + "\n")
    invoices = landing / "billing_monthly.csv"
    invoices.write_text(invoices.read_text().rstrip("\n") + "\ninv_late,org_a,2025-05,50,0,0,USD,1\n")
    resources = landing / "resources" / "part_b.csv"
    resources.write_text(resources.read_text().replace("env:prod", "env:test"))


def test_what_arrives_for_a_closed_month_is_restated_and_nothing_of_it_is_replaced(
    closed: tuple[Pipeline, Path, Path], make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    pipeline, landing, lake = closed
    frozen, invoiced = month_files(lake, MAY), rows_of(lake, "gold/revenue_by_org_month")
    assert frozen
    assert restated(lake) == []
    arrive(landing)
    outcome = pipeline.run()
    assert month_files(lake, MAY) == frozen
    revenue = rows_of(lake, "gold/revenue_by_org_month")
    assert revenue == invoiced  # the late invoice of May is no row of it
    assert any("on_time" in str(row["event_id"]) for row in rows_of(lake, "silver/usage_events"))
    assert outcome.gold["restatements"] == 2

    clean = tmp_path / "clean"
    make_pipeline(landing, clean).run()
    assert sums(daily(lake), restated(lake)) == sums(daily(clean))
    assert sums(daily(lake)) != sums(daily(clean))
    assert sums(daily(lake), month=JUNE) == sums(daily(clean), month=JUNE)
    keys = {(row["org_id"], row["usage_date"].isoformat(), row["service"]): row for row in restated(lake)}
    assert keys.keys() == {("org_a", "2025-05-21", "compute"), ("org_new", "2025-05-02", "database")}
    first = keys["org_a", "2025-05-21", "compute"]
    assert (first["total_cost_usd"], first["total_requests"]) == (Decimal("7.25"), 100)
    assert (first["closed_month"], first["booked_month"], first["reason"]) == (MAY, JUNE, "late_events")
    assert not pipeline.run().changed
    told = compare(
        landing, LakeReader(open_files(str(lake))), pipeline.config
    )  # from the landing files, by another route
    assert (told.equal, told.closed) == (True, [MAY])

    for org, day, service in keys:  # one of a row that there was, one of a new organisation
        assert trace(*read_only(pipeline), org, date.fromisoformat(day), service).agrees

    pipeline.reopen(MAY)
    assert restated(lake) == []
    assert differing(silver_and_gold(lake), silver_and_gold(clean)) == []
    assert not pipeline.run().changed


@pytest.mark.slow
def test_other_rules_and_a_withdrawn_file_are_restated(closed: tuple[Pipeline, Path, Path]) -> None:
    pipeline, landing, lake = closed
    frozen, before = month_files(lake, MAY), sums(daily(lake))
    taxonomy = pipeline.config.taxonomy.model_copy(update={"service_aliases": {"moon": "compute"}})
    pipeline.config = pipeline.config.model_copy(update={"taxonomy": taxonomy})
    pipeline.reconcile()
    assert restated(lake) == []  # rules that change no figure of May
    assert month_files(lake, MAY) == frozen
    events = landing / "usage_events_stream" / "all.jsonl"
    kept = [line for line in events.read_text().splitlines() if '"2025-05-2' not in line]
    events.write_text("\n".join(kept) + "\n")  # the file came again, without some days
    pipeline.run()
    assert month_files(lake, MAY) == frozen
    rows = restated(lake)
    assert {row["reason"] for row in rows} == {"fewer_events"}
    left = sums(daily(lake), rows)
    assert left == {key: figures for key, figures in before.items() if key[1].isoformat() >= "2025-05-30"}


def test_what_was_booked_in_a_month_that_is_closed_stays_booked_there(closed: tuple[Pipeline, Path, Path]) -> None:
    pipeline, landing, lake = closed
    stream = landing / "usage_events_stream"
    (stream / "b.jsonl").write_text(
        "\n".join([LATE[0], hostile.event("july", timestamp="2025-07-01T10:00:00Z")]) + "\n"
    )
    pipeline.run()
    assert [row["booked_month"] for row in restated(lake)] == [JUNE]
    pipeline.close(JUNE)
    first = restated(lake)
    again = hostile.event("later", timestamp="2025-05-21T11:00:00Z", cost_usd_increment=1, service="compute")
    (stream / "c.jsonl").write_text(again + "\n")
    pipeline.run()
    rows = restated(lake)
    assert [row for row in rows if row["booked_month"] == JUNE] == first
    (second,) = (row for row in rows if row["booked_month"] == "2025-07")
    assert (second["total_cost_usd"], second["total_requests"]) == (1, 100)
    with pytest.raises(UsageError, match="the last closed one is 2025-06"):
        pipeline.reopen(MAY)
    shutil.rmtree(lake / "gold/restatements/usage_date=2025-05-21")  # no event says when its parts were booked
    with pytest.raises(PipelineError, match="gold/restatements, files of 2025-05-21, which nothing in the lake can"):
        pipeline.run()


@pytest.mark.parametrize(
    ("month", "told"),
    [
        (MAY, "is closed already"),
        (JUNE, "is not over: the last usage is of 2025-06-10"),
        ("2025-13", "expected a month"),
    ],
)
def test_a_month_that_cannot_be_closed_is_told(closed: tuple[Pipeline, Path, Path], month: str, told: str) -> None:
    pipeline, _, lake = closed
    before = (lake / "_state" / "periods.json").read_bytes()
    with pytest.raises(UsageError, match=told):
        pipeline.close(month)
    assert (lake / "_state" / "periods.json").read_bytes() == before


def test_every_closing_and_reopening_is_logged_for_good(closed: tuple[Pipeline, Path, Path]) -> None:
    pipeline, _, lake = closed
    pipeline.reopen(MAY)
    pipeline.close(MAY)
    stored = json.loads((lake / "_state" / "periods.json").read_text())
    assert [(entry["month"], entry["action"]) for entry in stored["log"]] == [
        (MAY, "close"), (MAY, "reopen"), (MAY, "close"),
    ]  # fmt: skip
    days = [row for row in daily(lake) if row["usage_date"].isoformat()[:7] == MAY]
    assert stored["closed"][MAY]["rows"] == len(days)
    assert Decimal(stored["closed"][MAY]["cost_usd"]) == sum(row["total_cost_usd"] for row in days)


class _Killed(BaseException):
    """A process that ends here."""


def _dies(action: Callable[[Pipeline, str], object], pipeline: Pipeline, step: int) -> bool:
    """Run it until it touches the lake's files for this time (from 1 on), and end there; False: it came to its end."""
    calls = 0

    def dying(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls >= step:
                raise _Killed
            return original(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patched:
        for name in ("delete", "move", "write_text"):
            patched.setattr(pipeline.lake.files, name, dying(getattr(pipeline.lake.files, name)))
        try:
            action(pipeline, MAY)
        except _Killed:
            return True
    return False


@pytest.mark.parametrize(
    ("begin", "steps"),
    [
        ("open", (2, 6)),
        ("closed", (3, 30)),
        pytest.param("open", (1, 2, 3, 4, 6), marks=pytest.mark.slow),
        pytest.param("closed", (2, 3, 5, 30), marks=pytest.mark.slow),
    ],
)
def test_a_death_leaves_a_month_open_or_closed(
    closed: tuple[Pipeline, Path, Path], make_pipeline: MakePipeline, tmp_path: Path, begin: str, steps: tuple[int, ...]
) -> None:
    pipeline, landing, lake = closed
    arrive(landing)
    pipeline.run()
    states = {"closed": (month_files(lake, MAY), restated(lake))}
    if begin == "open":
        pipeline.reopen(MAY)
    shutil.copytree(lake, tmp_path / "begin")
    deaths = set()
    for step in steps:
        shutil.rmtree(lake)
        shutil.copytree(tmp_path / "begin", lake)
        dying = make_pipeline(landing, lake)
        action = Pipeline.close if begin == "open" else Pipeline.reopen
        assert _dies(action, dying, step)
        after = Lake(dying.lake.spark, str(lake))
        with after.writer():
            is_closed = MAY in after.load(periods.DOCUMENT).closed
        deaths.add(is_closed)
        assert not after.files.exists("_staging")
        if begin == "closed":
            assert ((month_files(lake, MAY), restated(lake)) == states["closed"]) is is_closed
            assert bool(restated(lake)) is is_closed
        else:
            assert month_files(lake, MAY) == month_files(tmp_path / "begin", MAY)
    assert deaths == {True, False}
