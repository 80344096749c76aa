"""After an edit of conf/ alone, what was quarantined is judged again, and what passes flows in by the usual steps."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import pytest
from pyspark import SparkContext
from pyspark.sql import SparkSession

from cloud_analytics.config import load
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.reading.quarantine import Selection, catalogue, overview, show
from cloud_analytics.replay import replay
from tests.conftest import REPOSITORY, MakePipeline
from tests.integration.agreement import EVENTS, rows_of
from tests.integration.hostile import event
from tests.integration.lakes import (
    audit_of,
    differing,
    files_of,
    reject_counts,
    silver_and_gold,
    write_landing,
)

pytestmark = pytest.mark.spark

LINES = [
    event("good"),
    event("no_value", value=None),
    event("dear", cost_usd_increment=900),
    event("refund", cost_usd_increment=-0.5),
    event("moon", service="moon"),
    event("cheap_moon", service=" Moon ", cost_usd_increment=-5),
    *[event("twice", service="moon")] * 2,
    event("late", timestamp="soon"),
    "not json",
]
# A threshold that changes, a new rule that rejects, a new one that warns.
OLD_RULE = "when: cost_usd < -0.01 "
NEW_RULE = "when: cost_usd < -1 "
NEW_RULES = """\
  - id: huge_cost
    severity: reject
    when: cost_usd > 500
    message: More than 500 USD in one event.
  - id: pricey
    severity: warn
    when: cost_usd >= 1.5
    message: More than a coffee.
  - id: missing_value
"""


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def rejected(pipeline: Pipeline) -> dict[str, int]:
    """Quarantined events by error_type, of an audit that balances."""
    found = audit_of(pipeline)
    assert found.balanced
    return found.sources[EVENTS].quarantine


def test_a_replay_judges_by_its_own_time(
    make_pipeline: MakePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three days ago by its clock, the ingest met events of today: it was behind."""
    now = datetime.now(timezone.utc)
    on = {"today": now, "tomorrow": now + timedelta(hours=20), "next_week": now + timedelta(days=7)}
    lines = [event(name, timestamp=moment.strftime("%Y-%m-%dT%H:%M:%SZ")) for name, moment in on.items()]
    lines.append(event("today_and_moon", timestamp=now.strftime("%Y-%m-%dT%H:%M:%SZ"), service="moon"))
    landing, lake = write_landing(tmp_path / "landing", {"a.jsonl": [event("old"), *lines]}), tmp_path / "lake"

    class Behind(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return cls.fromtimestamp((now - timedelta(days=3)).timestamp(), tz)

    with monkeypatch.context() as patched:
        patched.setattr("cloud_analytics.bronze.ingest.datetime", Behind)
        first = make_pipeline(landing, lake)
        first.run()
    assert rejected(first) == {"future_timestamp": 3, "unknown_service": 1}
    assert not make_pipeline(landing, lake).reconcile().changed, "only a replay has a time of its own"

    done = replay(make_pipeline(landing, lake))
    assert done.passed == 2
    assert rejected(make_pipeline(landing, lake)) == {"future_timestamp": 1, "unknown_service": 1}
    (unknown,) = [row for row in rows_of(lake, "quarantine/usage_events") if row["error_type"] == "unknown_service"]
    assert unknown["errors"] == ["unknown_service"]
    assert {row["event_id"] for row in rows_of(lake, "silver/usage_events")} == {"old", "today", "tomorrow"}
    before = files_of(lake)
    assert not replay(make_pipeline(landing, lake)).outcome.changed
    assert not make_pipeline(landing, lake).run().changed
    assert files_of(lake) == before


def test_an_edit_of_the_configuration_lets_quarantined_events_in(spark: SparkSession, tmp_path: Path) -> None:
    conf = Path(shutil.copytree(REPOSITORY / "conf", tmp_path / "conf"))
    landing, lake = write_landing(tmp_path / "landing", {"a.jsonl": LINES}), tmp_path / "lake"

    def pipeline(folder: Path = lake) -> Pipeline:
        return Pipeline(Lake(spark, str(folder)), str(landing), load(conf))

    first = pipeline()
    first.run()
    broken = {"invalid_timestamp": 1, "malformed_json": 1}
    assert rejected(first) == {**broken, "negative_cost": 1, "unknown_service": 4}
    groups = {
        (group["source"], group["error_type"]): group
        for group in overview(LakeReader(first.lake.files), Selection(), load(conf))
    }
    assert groups[EVENTS, "unknown_service"]["records"] == 4
    assert groups[EVENTS, "unknown_service"]["replayable"]
    assert not groups[EVENTS, "malformed_json"]["replayable"]
    assert groups["users", "missing_key"]["message"] == "The natural key or org_id is blank, or too long to be one."
    shown = show(LakeReader(first.lake.files), Selection(EVENTS, "unknown_service"), load(conf), 2)
    assert [record["raw"] for record in shown] == [LINES[5], LINES[4]]
    assert [error["id"] for error in shown[0]["errors"]] == ["unknown_service", "negative_cost"]
    assert shown[0]["errors"][1]["message"] == "The cost is below -0.01 USD."
    measured = [json.loads(path.read_text()) for path in (lake / "_metrics" / "silver").iterdir()]
    counted = next(document["sources"][EVENTS] for document in measured if EVENTS in document["sources"])
    assert (counted["silver"], counted["quarantine"], counted["warnings"]) == (3, 5, {"missing_value": 1})
    assert counted["errors"] == {"unknown_service": 4, "negative_cost": 2}
    assert counted["joins"]["resources"] == {"keys": 3, "matched": 3, "rate": 1.0}

    # An alias: three of four pass its rule, one of them as the copy of another.
    edit(conf / "taxonomy.yaml", "service_aliases: {}", "service_aliases: {moon: compute}")
    second = pipeline()
    done = replay(second)
    assert {v.error_type: (v.quarantined, v.passed, v.rejected_now) for v in done.verdicts if v.source == EVENTS} == {
        "unknown_service": (4, 2, 0),
        "negative_cost": (1, 0, 0),
        "invalid_timestamp": (1, 0, 0),
        "malformed_json": (1, 0, 0),
    }
    assert done.passed == 2
    assert done.outcome.gold
    assert rejected(second) == {**broken, "negative_cost": 2, "duplicate_event": 1}
    assert {row["event_id"] for row in rows_of(lake, "silver/usage_events")} >= {"moon", "twice"}
    (day,) = rows_of(lake, "gold/org_daily_usage_by_service")
    assert (day["service"], day["total_events"]) == ("compute", 5)

    before = files_of(lake)
    again = replay(pipeline())
    assert (again.outcome.changed, again.passed) == (False, 0)
    assert files_of(lake) == before

    # Rules: `reconcile` alone does the same, also if a stream has brought Silver to them and Spark is not started yet.
    edit(conf / "rules.yaml", OLD_RULE, NEW_RULE)
    edit(conf / "rules.yaml", "  - id: missing_value\n", NEW_RULES)
    pipeline().stream()

    def start() -> SparkSession:
        started.undo()
        return spark

    with pytest.MonkeyPatch.context() as started:
        started.setattr(SparkContext, "_active_spark_context", None)
        third = Pipeline(Lake(start, str(lake)), str(landing), load(conf))
        third.reconcile()
    assert rejected(third) == {**broken, "huge_cost": 1, "negative_cost": 1, "duplicate_event": 1}
    warnings = Counter(name for row in rows_of(lake, "silver/usage_events") for name in row["warnings"])
    assert warnings == {"pricey": 4, "missing_value": 1}
    listed = {(item["source"], item["id"]): item for item in catalogue(LakeReader(third.lake.files), third.config)}
    assert listed[EVENTS, "huge_cost"]["records"] == 1
    assert listed[EVENTS, "pricey"]["records"] == 4
    assert listed[EVENTS, "malformed_json"]["records"] == 1
    assert listed["billing_monthly", "invalid_rate"]["records"] == 7  # one of them is rejected as missing_key

    # What grew by edits is what one clean run gives.
    pipeline(tmp_path / "clean").run()
    assert differing(silver_and_gold(lake), silver_and_gold(tmp_path / "clean")) == []
    assert reject_counts(lake) == reject_counts(tmp_path / "clean")
