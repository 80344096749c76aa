"""The batch layer takes in what the speed layer leaves to it, and says which rows that changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cloud_analytics.lake.rows import RowChanges, row_changes
from tests.conftest import MakePipeline
from tests.crash.harness import contents
from tests.integration import hostile
from tests.integration.agreement import rows_of
from tests.integration.lakes import differing, write_landing

pytestmark = pytest.mark.spark


def test_changed_masters_rules_and_copies_on_other_dates_are_settled(
    make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    copy = hostile.event("twice", timestamp="2025-06-02T10:00:00Z")
    timeless = hostile.event("soon", timestamp="soon", service="moon")
    files = {
        "a.jsonl": [hostile.event("twice"), hostile.event("stays"), hostile.event("moon", service="moon")],
        "c.jsonl": [timeless, "not json"],
        "b.jsonl": [copy],
    }
    landing, lake = write_landing(tmp_path / "landing", files), tmp_path / "lake"
    pipeline = make_pipeline(landing, lake, 1)  # a file a micro-batch: the speed layer looks for copies on one date
    pipeline.stream()
    assert sorted(row["event_id"] for row in rows_of(lake, "silver/usage_events")) == ["stays", "twice", "twice"]

    outcome = pipeline.reconcile()
    assert outcome.row_changes == {"silver/usage_events": RowChanges(0, 1, 0)}  # the copy of the other date goes
    assert not pipeline.reconcile().row_changes

    orgs = landing / "customers_orgs.csv"
    orgs.write_text(orgs.read_text(encoding="utf-8").replace("Acme, Inc.", "Acme, Ltd."), encoding="utf-8")
    taxonomy = pipeline.config.taxonomy.model_copy(update={"service_aliases": {"moon": "compute"}})
    pipeline.config = pipeline.config.model_copy(update={"taxonomy": taxonomy})
    outcome = pipeline.reconcile()
    assert outcome.snapshots == ["customers_orgs"]
    # The rejected event flows in, both others belong to the organisation with the new name. (Its last record survives.)
    assert outcome.row_changes["silver/usage_events"].added == 1
    assert outcome.gold["org_daily_usage_by_service"] == 1

    clean = make_pipeline(landing, tmp_path / "clean")
    clean.config = pipeline.config
    clean.run()
    # Also what Bronze rejected: the timeless line's service is known now, and every record names these rules.
    assert differing(contents(lake), contents(tmp_path / "clean")) == []


def test_rows_are_compared_under_their_key(spark: SparkSession) -> None:
    schema = "id string, a int, b int"
    old = spark.createDataFrame([("same", 1, None), ("gone", 1, 1), ("other", 1, 2), ("moved", None, 5)], schema)
    new = spark.createDataFrame([("same", 1, None), ("come", 1, 1), ("other", 1, 3), ("moved", 5, None)], schema)
    assert row_changes(old, new, ["id"]) == RowChanges(added=1, removed=1, changed=2)
    assert not row_changes(old, old, ["id"])
