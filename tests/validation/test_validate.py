"""The traceability table on a lake whose faults are known, and the independent route against Gold."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cloud_analytics.validation.checkout import checkout_milestones

from cloud_analytics.insight.plain import plain
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.validation.checks import Check, Verdict
from cloud_analytics.validation.independent import compare
from cloud_analytics.validation.rehearsal import what_a_run_would_change
from cloud_analytics.validation.validate import validate
from tests.conftest import REPOSITORY

IDS = ["A1", "A2", "A3", "A4", "A5", "M1", "M2", "M3", "M4", "M5", "M6", "F1", "F2", "F3", "F4"]


def contents(folder: str) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(folder).rglob("*") if path.is_file()
    }


@pytest.mark.spark
class TestValidation:
    def test_verdicts_and_figures(self, pipeline: Pipeline) -> None:
        before = contents(pipeline.lake.root), contents(pipeline.landing)
        found = {c.id: c for c in validate(pipeline.lake, pipeline.landing, pipeline.config, None, REPOSITORY).checks}
        assert (contents(pipeline.lake.root), contents(pipeline.landing)) == before, "validate changes nothing"
        assert list(found) == IDS
        verdicts = {name: check.verdict.value for name, check in found.items()}
        # Hostile data: other versions, late, not JSON, other records of a key, unreadable files, 34 % quarantined.
        assert {name for name in IDS[:9] if verdicts[name] == "false"} == {"A2", "A3", "A4", "A5", "M1", "M2"}
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
        assert what_a_run_would_change(pipeline.lake, pipeline.landing, pipeline.config) == []
        added = landing / "usage_events_stream" / "z_added.jsonl"
        billing = landing / "billing_monthly.csv"
        before, stamp = billing.read_bytes(), billing.stat()
        taxonomy = pipeline.config.taxonomy.model_copy(update={"service_aliases": {"moon": "compute"}})
        other_rules = pipeline.config.model_copy(update={"taxonomy": taxonomy})
        try:
            added.write_text("{}\n")
            billing.write_bytes(before + b"\ninv_99,org_a,2025-08,1,,,EUR,1.1\n")
            changes = what_a_run_would_change(pipeline.lake, pipeline.landing, pipeline.config)
        finally:
            added.unlink()
            billing.write_bytes(before)
            os.utime(billing, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        assert changes == ["1 new event files", "masters in landing that are not in Bronze as they are"]
        changes = what_a_run_would_change(pipeline.lake, pipeline.landing, other_rules)
        assert changes == ["masters of Silver", "events of Silver", "marts of Gold"]  # each depends on the rules


@pytest.mark.spark
class TestIndependentRoute:
    def test_it_agrees_on_hostile_data(self, pipeline: Pipeline) -> None:
        found = compare(Path(pipeline.landing), Path(pipeline.lake.root), pipeline.config)
        assert found.equal, [mart for mart in found.marts if not mart.equal]
        assert found.lines == 801
        assert found.marts[0].gold_rows > 100

    def test_it_sees_a_line_that_gold_lacks(self, pipeline: Pipeline) -> None:
        added = Path(pipeline.landing) / "usage_events_stream" / "z_added.jsonl"
        lines = (Path(pipeline.landing) / "usage_events_stream" / "part_000.jsonl").read_text().splitlines()
        try:
            added.write_text(lines[0].replace('"event_id": "', '"event_id": "new_') + "\n")
            found = compare(Path(pipeline.landing), Path(pipeline.lake.root), pipeline.config)
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
        found = compare(Path(pipeline.landing), tmp_path, pipeline.config)
        revenue = next(mart for mart in found.marts if mart.mart == "revenue_by_org_month")
        assert (revenue.equal, revenue.differing_rows) == (False, 1)


class TestCheckout:
    def checkout(self, folder: Path, collected: list[str] | None, failed: list[str]) -> list[Check]:
        files = {
            "README.md": "[docs](docs/topic.md) [web](https://example.org) [part](#part)",
            "docs/topic.md": "[back](../README.md#top)",
            "tests/test_a.py": "def test_one():\n    pass\n\nclass TestB:\n    def test_two(self):\n        pass\n",
            "notebooks/01.ipynb": json.dumps(
                {"cells": [{"cell_type": "code", "outputs": [], "execution_count": None, "source": "1"}]}
            ),
        }
        if collected is not None:
            files[".pytest_cache/v/cache/nodeids"] = json.dumps(collected)
            files[".pytest_cache/v/cache/lastfailed"] = json.dumps(dict.fromkeys(failed, True))
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return checkout_milestones(folder)

    def test_without_a_record_nothing_is_claimed(self, tmp_path: Path) -> None:
        tests, notebooks = self.checkout(tmp_path, None, [])
        assert (tests.verdict, notebooks.verdict) == (Verdict.NOT_CHECKED, Verdict.NOT_CHECKED)
        assert (tests.figures["test_functions"], tests.figures["dead_links"]) == (2, [])

    def test_a_record_without_failures_holds(self, tmp_path: Path) -> None:
        known = ["tests/test_a.py::test_one", "tests/notebooks/test_notebooks.py::test_runs"]
        assert [check.verdict for check in self.checkout(tmp_path, known, [])] == [Verdict.HOLDS, Verdict.HOLDS]

    def test_a_recorded_failure_is_false(self, tmp_path: Path) -> None:
        known = ["tests/test_a.py::test_one", "tests/notebooks/test_notebooks.py::test_runs"]
        assert [c.verdict for c in self.checkout(tmp_path, known, known[:1])] == [Verdict.FALSE, Verdict.HOLDS]
        assert [c.verdict for c in self.checkout(tmp_path, known, known[1:])] == [Verdict.FALSE, Verdict.FALSE]

    def test_a_dead_link_is_false(self, tmp_path: Path) -> None:
        self.checkout(tmp_path, ["tests/test_a.py::test_one"], [])
        (tmp_path / "docs" / "topic.md").write_text("[gone](nowhere.md)")
        assert checkout_milestones(tmp_path)[0].figures["dead_links"] == ["docs/topic.md: nowhere.md"]
        assert checkout_milestones(tmp_path)[0].verdict is Verdict.FALSE

    def test_an_installed_package_is_no_checkout(self) -> None:
        assert [check.verdict for check in checkout_milestones(None)] == [Verdict.NOT_CHECKED] * 2
