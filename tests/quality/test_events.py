"""Each rule of contract 5 on one small event."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.config import Config
from cloud_analytics.landing.events import parse_lines
from cloud_analytics.quality import events as quality

GOOD: dict[str, Any] = {
    "event_id": "e1",
    "timestamp": "2025-08-01T10:00:00Z",
    "org_id": "o1",
    "resource_id": "r1",
    "service": "compute",
    "region": "us-east",
    "metric": "requests",
    "value": 10,
    "unit": "count",
    "cost_usd_increment": 1.5,
    "schema_version": 2,
    "carbon_kg": 0.1,
}
CASES: list[tuple[dict[str, Any], list[str], dict[str, Any]]] = [
    ({}, [], {"cost_usd": Decimal("1.5"), "region_code": "us-east-1", "warnings": []}),
    ({"event_id": " "}, ["missing_key"], {}),
    ({"org_id": None, "schema_version": 3}, ["missing_key", "unsupported_schema_version"], {}),
    ({"schema_version": "1"}, [], {"schema_version": 1, "carbon_kg": None}),
    ({"schema_version": 2.0}, ["unsupported_schema_version"], {}),
    ({"service": " Compute "}, [], {"service": "compute"}),
    ({"service": "toaster"}, ["unknown_service"], {}),
    ({"metric": "smiles"}, ["unknown_metric"], {}),
    ({"cost_usd_increment": None}, ["invalid_cost"], {}),
    ({"cost_usd_increment": "1.25"}, [], {"cost_usd": Decimal("1.25")}),
    ({"cost_usd_increment": -0.01}, [], {"cost_usd": Decimal("-0.01")}),
    ({"cost_usd_increment": -0.011}, ["negative_cost"], {}),
    ({"value": "ten"}, ["invalid_value"], {}),
    ({"value": True}, ["invalid_value"], {}),
    ({"value": float("nan")}, ["invalid_value"], {}),
    ({"value": 1e12}, ["invalid_value"], {}),
    ({"value": 1_000_000_000}, [], {"value": Decimal(10**9)}),
    ({"value": 1_000_000_000.5}, ["implausible_value"], {}),
    ({"value": "1000000001"}, ["implausible_value"], {}),
    ({"value": "2e5", "metric": "cpu_hours", "unit": "hours"}, ["implausible_value"], {}),
    ({"value": 2e9, "carbon_kg": -1, "unit": "hours"}, ["implausible_value", "negative_quantity", "unit_mismatch"], {}),
    ({"value": 2e9, "cost_usd_increment": -1}, ["negative_cost", "implausible_value"], {}),
    ({"value": 2e9, "metric": "smiles"}, ["unknown_metric"], {}),
    ({"value": None}, [], {"value": None, "warnings": ["missing_value"]}),
    ({"value": -1}, ["negative_quantity"], {}),
    ({"carbon_kg": -1}, ["negative_quantity"], {}),
    ({"carbon_kg": "much"}, [], {"carbon_kg": None, "warnings": ["invalid_carbon_kg"]}),
    ({"unit": "hours"}, ["unit_mismatch"], {}),
    ({"unit": None}, [], {"unit": "count", "unit_imputed": True}),
    ({"unit": None, "value": None}, [], {"unit": None, "unit_imputed": False}),
    ({"region": "mars"}, [], {"region": "mars", "region_code": None, "warnings": ["unknown_region"]}),
    ({"timestamp": "2025-08-03T00:00:01Z"}, ["future_timestamp"], {}),
    ({"timestamp": "2025-08-03T00:00:00Z"}, [], {}),
]


@pytest.fixture(scope="module")
def judged(spark: SparkSession, config: Config) -> dict[int, Row]:
    lines = [(json.dumps({**GOOD, **changes}), str(n)) for n, (changes, _, _) in enumerate(CASES)]
    frame = spark.createDataFrame(lines, "raw string, source_file string")
    frame = frame.withColumn("raw_bytes", F.lit(None).cast("binary"))
    events = (
        parse_lines(frame)
        .withColumn("date", F.to_date("event_ts"))
        .withColumn("ingest_ts", F.lit(datetime(2025, 8, 2, tzinfo=timezone.utc)))
        .withColumn("is_late", F.lit(False))
        .withColumn("batch_id", F.lit("b"))
    )
    return {int(row.source_file): row for row in quality.judged(events, config).collect()}


@pytest.mark.parametrize("number", range(len(CASES)))
def test_rule(judged: dict[int, Row], number: int) -> None:
    _, errors, expected = CASES[number]
    row = judged[number]
    assert row.errors == errors
    assert {name: row[name] for name in expected} == expected
