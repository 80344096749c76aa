"""The flow of a lake in figures: rows of each zone, as they lie there and as the audit counts them."""

from __future__ import annotations

from pathlib import Path

import duckdb

from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.lake.files import LocalFileSystem
from cloud_analytics.reading.audit import Audit, SourceAudit
from cloud_analytics.reading.flow import flow
from cloud_analytics.reading.lake import LakeReader

ROWS = {"bronze/usage_events": 9, "bronze/users": 4, "gold/carbon_impact": 5, "gold/nps_by_org_month": 3}


def test_each_zone_is_counted_and_serving_holds_the_marts_that_are_served(tmp_path: Path) -> None:
    for table, rows in ROWS.items():
        (tmp_path / table).mkdir(parents=True)
        duckdb.sql(f"COPY (SELECT 'o' AS org_id FROM range({rows})) TO '{tmp_path}/{table}/part.parquet'")
    law = Audit({name: SourceAudit(0, 0, {}) for name in (EVENTS, *MASTERS)})
    law.sources.update({EVENTS: SourceAudit(10, 7, {"malformed_json": 1, "negative_cost": 2})})
    law.sources.update(users=SourceAudit(4, 3, {"missing_key": 1}))
    found = flow(LakeReader(LocalFileSystem(str(tmp_path))), law).set_index(["zone", "part"])
    assert {place: rows for place, rows in found["rows"].items()} == {
        ("landing", "events"): 10, ("bronze", "events"): 9, ("silver", "events"): 7, ("quarantine", "events"): 3,
        ("landing", "masters"): 4, ("bronze", "masters"): 4, ("silver", "masters"): 3, ("quarantine", "masters"): 1,
        ("gold", "all"): 8, ("serving", "all"): 5,
    }  # fmt: skip
    tables = dict(zip(found.index.get_level_values("zone"), found["tables"]))
    assert tables["landing"] == len(MASTERS)
    assert 2 < tables["serving"] < tables["gold"]
