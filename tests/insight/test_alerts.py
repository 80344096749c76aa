"""Alerts: which rows of the anomaly mart they are, their order, and their reason in words."""

from __future__ import annotations

import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from cloud_analytics.insight.alerts import MART, alerts, anomalies, reason
from cloud_analytics.insight.answers import as_csv, as_json, print_table
from cloud_analytics.lake.files import LocalFileSystem
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.serving.queries import Answer, request

ROW: dict[str, Any] = {
    "org_id": "org_a",
    "usage_date": date(2025, 6, 10),
    "service": "genai",
    "actual_cost_usd": Decimal("340.50"),
    "expected_cost_usd": Decimal("28.0"),
    "impact_usd": Decimal("312.50"),
    "impact_pct": Decimal("1116.0714285714"),
    "anomaly_score": 23.9,
    "is_daily_anomaly": True,
    "zscore_events": 1,
    "mad_events": 2,
    "percentile_events": 0,
    "unit_price_events": 1,
    "anomalous_events": 1,
    "anomalous_cost_usd": Decimal("307.06"),
    "top_resource_id": "res_1",
    "top_resource_cost_usd": Decimal("306.45"),
}


def row(**changes: Any) -> dict[str, Any]:
    return {**ROW, **changes}


def test_anomalies_stand_by_impact_with_their_reason(tmp_path: Path) -> None:
    small, large = row(impact_usd=Decimal(20), org_id="small"), row(impact_usd=Decimal(900), org_id="large")
    unknown = row(org_id="unknown", expected_cost_usd=None, impact_usd=None, is_daily_anomaly=None)
    older = row(usage_date=date(2025, 6, 9))
    (tmp_path / "gold" / MART).mkdir(parents=True)
    found = pa.Table.from_pylist([unknown, small, ROW, large, older])
    pq.write_table(found, tmp_path / "gold" / MART / "part.parquet")
    lake = LakeReader(LocalFileSystem(str(tmp_path)))
    shown = anomalies(lake)
    assert list(zip(shown["org_id"], [day.day for day in shown["usage_date"]])) == [
        ("large", 10), ("org_a", 9), ("org_a", 10), ("small", 10), ("unknown", 10),
    ]  # fmt: skip
    assert list(shown["reason"]) == [reason(found) for found in (large, older, ROW, small, unknown)]
    assert list(alerts(lake)["org_id"]) == ["large", "org_a", "org_a", "small"]


def test_a_reason_names_no_share_of_a_day_that_cost_nothing() -> None:
    assert "of the day's cost" not in reason(row(actual_cost_usd=Decimal(0), top_resource_cost_usd=Decimal(0)))


def test_a_reason_says_how_much_what_and_who() -> None:
    assert reason(ROW) == (
        "the day cost 12.2 × the usual; 1 anomalous event of 307.06 USD (by unit price, z-score, MAD);"
        " res_1 made 90% of the day's cost"
    )


def test_a_reason_of_a_day_whose_events_are_all_usual() -> None:
    flags = dict.fromkeys(["zscore_events", "mad_events", "unit_price_events", "anomalous_events"], 0)
    assert "no single event stands out" in reason(row(**flags, anomalous_cost_usd=Decimal(0)))


def test_a_reason_of_a_day_that_is_no_anomaly_as_a_whole() -> None:
    assert reason(row(is_daily_anomaly=False)).startswith("the day as a whole is within its usual range; 1 anomalous")
    unknown = row(is_daily_anomaly=False, expected_cost_usd=None, impact_usd=None, impact_pct=None, anomaly_score=None)
    assert reason(unknown).startswith("too few days before to judge the day; 1 anomalous event")


def test_a_reason_where_nothing_was_expected() -> None:
    assert reason(row(expected_cost_usd=Decimal(0))).startswith("a cost where there usually is none")


def test_the_table_of_a_query_shows_the_reason_and_the_data_formats_do_not() -> None:
    answer = Answer(request("anomalies", "org_a"), [ROW], ())
    for width in (80, 110, 10_000):
        console = Console(width=width, file=io.StringIO())
        print_table(answer, console)
        shown = console.file.getvalue()  # type: ignore[attr-defined]
        assert "12.2 ×" in shown
        assert max(len(line) for line in shown.splitlines() if "too narrow" not in line) <= width
    assert "reason" not in as_csv(answer)
    assert "reason" not in json.loads(as_json(answer))["rows"][0]
