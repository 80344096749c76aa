"""Alerts: which rows of the anomaly mart they are, their order, and their reason in words."""

from __future__ import annotations

import io
import json
from datetime import date
from decimal import Decimal
from typing import Any

from rich.console import Console

from cloud_analytics.insight.alerts import ranked, reason, top_resource_share
from cloud_analytics.insight.answers import as_csv, as_json, print_table
from cloud_analytics.insight.plain import plain
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


def test_alerts_are_the_anomalous_days_by_impact() -> None:
    small, large = row(impact_usd=Decimal(20), org_id="small"), row(impact_usd=Decimal(900), org_id="large")
    only_events = row(is_daily_anomaly=False, impact_usd=Decimal(5000))
    newer = row(usage_date=date(2025, 6, 11))
    found = ranked([small, only_events, ROW, large, newer])
    assert [(alert.org_id, alert.usage_date.day) for alert in found] == [
        ("large", 10), ("org_a", 11), ("org_a", 10), ("small", 10),
    ]  # fmt: skip
    shown = json.loads(json.dumps(plain(found)))[2]
    assert (shown["impact_usd"], shown["usage_date"], shown["top_resource_share"]) == ("312.50", "2025-06-10", 0.9)


def test_the_share_of_the_top_resource() -> None:
    assert top_resource_share(ROW) == 0.9
    assert top_resource_share(row(actual_cost_usd=Decimal(0), top_resource_cost_usd=Decimal(0))) is None


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
    free = row(expected_cost_usd=Decimal(0), impact_pct=None)
    assert reason(free).startswith("a cost where there usually is none")
    assert ranked([free])[0].impact_pct is None


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
