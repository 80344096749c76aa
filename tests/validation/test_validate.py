"""The traceability table on a lake whose faults are known, and the independent route against Gold."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from cloud_analytics.config import Config, load
from cloud_analytics.insight.plain import plain
from cloud_analytics.lake.files import open_files
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.reading.checks import Verdict
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.validation.independent import compare
from cloud_analytics.validation.known_rules import known_rules
from cloud_analytics.validation.rehearsal import what_a_run_would_change
from cloud_analytics.validation.validate import validate
from tests.conftest import REPOSITORY
from tests.integration import hostile
from tests.integration.lakes import read_only, write_landing

IDS = ["A1", "A2", "A3", "A4", "A5", "M1", "M2", "M3", "M4", "F1", "F2", "F3", "F4"]


def contents(folder: str) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(folder).rglob("*") if path.is_file()
    }


@pytest.mark.spark
class TestValidation:
    def test_verdicts_and_figures(self, pipeline: Pipeline) -> None:
        before = contents(pipeline.lake.root), contents(pipeline.landing)
        found = {check.id: check for check in validate(*read_only(pipeline))}
        assert (contents(pipeline.lake.root), contents(pipeline.landing)) == before, "validate changes nothing"
        assert list(found) == IDS
        verdicts = {name: check.verdict.value for name, check in found.items()}
        # Hostile data: other versions, late, not JSON, other records of a key, unreadable files, 34 % quarantined.
        assert {name for name in IDS if verdicts[name] == "false"} == {"A2", "A3", "A4", "A5", "M1", "M2"}
        assert verdicts["A1"] == verdicts["M3"] == verdicts["M4"] == "holds"
        assert found["A2"].figures["versions"]["3"] == 3
        assert found["A3"].figures["late"] > 0
        assert found["A4"].figures == {"lines": 801, "malformed_json": 52, "unreadable_files": 3}
        assert found["A5"].figures["a_run_would_change"] == []
        assert sum(found["A5"].figures["keys_twice_in_silver"].values()) == 0
        assert found["A5"].figures["other_records_of_a_key"]["usage_events: conflicting_duplicate"] == 11
        assert found["M1"].figures["not_ingested_count"] == 0
        assert found["M1"].figures["wrong_schemas"] == []
        assert found["M2"].figures["balanced"] is True
        assert found["M3"].figures["rejected_by_duckdb"] == found["M3"].figures["rejected_by_the_pipeline"]
        assert "nothing is served" in found["M4"].evidence
        assert all(check.evidence and check.consequence for check in found.values())
        assert json.loads(json.dumps(plain(list(found.values()))))[0]["id"] == "A1"

    def test_a_rehearsal_says_what_a_run_would_change(self, pipeline: Pipeline) -> None:
        landing = Path(pipeline.landing)
        assert what_a_run_would_change(*read_only(pipeline)) == []
        added = landing / "usage_events_stream" / "z_added.jsonl"
        billing = landing / "billing_monthly.csv"
        before, stamp = billing.read_bytes(), billing.stat()
        taxonomy = pipeline.config.taxonomy.model_copy(update={"service_aliases": {"moon": "compute"}})
        other_rules = pipeline.config.model_copy(update={"taxonomy": taxonomy})
        try:
            added.write_text("{}\n")
            billing.write_bytes(before + b"\ninv_99,org_a,2025-08,1,,,EUR,1.1\n")
            changes = what_a_run_would_change(*read_only(pipeline))
        finally:
            added.unlink()
            billing.write_bytes(before)
            os.utime(billing, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        assert changes == ["1 new event files", "masters in landing that are not in Bronze as they are"]
        changes = what_a_run_would_change(*read_only(pipeline)[:2], other_rules)
        assert changes == ["masters of Silver", "events of Silver", "marts of Gold"]  # each depends on the rules


@pytest.mark.spark
class TestIndependentRoute:
    def test_it_agrees_on_hostile_data(self, pipeline: Pipeline) -> None:
        found = compare(Path(pipeline.landing), LakeReader(pipeline.lake.files), pipeline.config)
        assert found.equal, [mart for mart in found.marts if not mart.equal]
        assert found.lines == 801
        assert found.marts[0].gold_rows > 100

    def test_it_sees_a_line_that_gold_lacks(self, pipeline: Pipeline) -> None:
        added = Path(pipeline.landing) / "usage_events_stream" / "z_added.jsonl"
        lines = (Path(pipeline.landing) / "usage_events_stream" / "part_000.jsonl").read_text().splitlines()
        try:
            added.write_text(lines[0].replace('"event_id": "', '"event_id": "new_') + "\n")
            found = compare(Path(pipeline.landing), LakeReader(pipeline.lake.files), pipeline.config)
        finally:
            added.unlink()
        assert [mart.mart for mart in found.marts if not mart.equal] == ["org_daily_usage_by_service"]
        assert found.marts[0].differing_rows == 1

    def test_it_sees_a_micro_dollar(self, pipeline: Pipeline, tmp_path: Path) -> None:
        folder = Path(pipeline.lake.root) / "gold" / "revenue_by_org_month"
        copy = tmp_path / "gold" / "revenue_by_org_month"
        copy.mkdir(parents=True)
        table = pa.concat_tables(pq.read_table(path) for path in folder.glob("*.parquet"))
        taxes = [value.as_py() for value in table["taxes_usd"]]
        column = table.schema.field("taxes_usd")
        cheaper = pa.array([taxes[0] + type(taxes[0])("0.000001"), *taxes[1:]], column.type)
        table = table.set_column(table.schema.get_field_index("taxes_usd"), column, cheaper)
        pq.write_table(table, copy / "part.parquet")
        found = compare(Path(pipeline.landing), LakeReader(open_files(str(tmp_path))), pipeline.config)
        revenue = next(mart for mart in found.marts if mart.mart == "revenue_by_org_month")
        assert (revenue.equal, revenue.differing_rows) == (False, 1)

    def test_a_rule_of_ones_own_turns_nothing_false(self, spark: SparkSession, tmp_path: Path) -> None:
        conf = Path(shutil.copytree(REPOSITORY / "conf", tmp_path / "conf"))
        rules = (conf / "rules.yaml").read_text(encoding="utf-8")
        added = """\
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
        for old, new in (
            ("  - id: missing_value\n", added),
            ("when: value < 0 OR carbon_kg < 0 OR genai_tokens < 0", "when: value < -1"),  # the contract's, reworded
            ("    when: survey_date IS NULL\n", "    when: survey_date IS NULL OR comment_text = 'rejected'\n"),
        ):
            assert rules.count(old) == 1
            rules = rules.replace(old, new)
        (conf / "rules.yaml").write_text(rules, encoding="utf-8")
        lines = [
            *hostile.regular(4),
            hostile.event("dear", cost_usd_increment=900),
            *[hostile.event("dear_twice", cost_usd_increment=900)] * 2,
            hostile.event("refund", cost_usd_increment=-0.5),
            hostile.event("less", value=-0.5),
            hostile.event("much_less", value=-5, cost_usd_increment=-5),
        ]
        landing = write_landing(tmp_path / "landing", {"a.jsonl": lines})
        made = Pipeline(Lake(spark, str(tmp_path / "lake")), str(landing), load(conf))
        made.run()
        found = compare(landing, LakeReader(made.lake.files), made.config)
        assert found.equal, (found.rejected, found.rejected_by_pipeline, [m for m in found.marts if not m.equal])
        assert found.set_aside == {"negative_quantity": 1, "huge_cost": 3}
        assert found.rejected == {"negative_cost": 1}
        assert found.not_compared == {"nps_by_org_month": "invalid_date of nps_surveys"}
        assert len(found.marts) == 4
        (check,) = (check for check in validate(*read_only(made)) if check.id == "M3")
        assert check.verdict is Verdict.HOLDS
        assert "not checked: 3 records that huge_cost rejects" in check.evidence
        assert "not checked: nps_by_org_month, because of invalid_date of nps_surveys" in check.evidence


def test_the_contracts_rules_are_known(config: Config) -> None:
    known = known_rules(config)
    assert (known.own_rejects, known.not_comparable, known.same_order) == ([], {}, True)
    assert known.numbers == {"negative_cost": "-0.01", "future_timestamp": "24"}
