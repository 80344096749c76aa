"""Budgets that will not do, and old forecasts against what came: Gold by hand, read by DuckDB."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from cloud_analytics.lake.files import LocalFileSystem
from cloud_analytics.reading.forecasts import KeptForecast, budget_alerts, kept_forecasts
from cloud_analytics.reading.lake import LakeReader

FORECASTS = """
    (org_id, as_of_date, forecast_month, actual_to_date_usd, expected_usd, low_usd, high_usd, budget_usd,
     expected_over_budget) AS (VALUES
    ('a', DATE '2025-07-10', '2025-07', 10, 40, 30, 50, 20, true),
    ('b', DATE '2025-07-10', '2025-07', 5, 10, 8, 12, NULL, NULL),
    ('new', DATE '2025-07-10', '2025-07', 1, 4, NULL, NULL, NULL, NULL),
    ('a', DATE '2025-08-05', '2025-08', 30, 40, 35, 50, 20, true),
    ('b', DATE '2025-08-05', '2025-08', 5, 60, 50, 70, 50, true),
    ('c', DATE '2025-08-05', '2025-08', 5, 90, 80, 99, 50, true),
    ('d', DATE '2025-08-05', '2025-08', 5, 10, 8, 12, 50, false))
"""
USAGE = """
    (org_id, usage_date, total_cost_usd) AS (VALUES
    ('a', DATE '2025-07-02', 10), ('a', DATE '2025-07-30', 35), ('b', DATE '2025-07-30', 20),
    ('b', DATE '2025-08-05', 9))
"""


@pytest.fixture
def lake(tmp_path: Path) -> LakeReader:
    rows = {
        "cost_forecast": f"""WITH rows {FORECASTS} SELECT * REPLACE (actual_to_date_usd::DECIMAL(28,6) AS
            actual_to_date_usd, expected_usd::DECIMAL(28,6) AS expected_usd, low_usd::DECIMAL(28,6) AS low_usd,
            high_usd::DECIMAL(28,6) AS high_usd, budget_usd::DECIMAL(28,6) AS budget_usd),
            (100 * actual_to_date_usd / budget_usd)::DECIMAL(38,10) AS budget_used_pct FROM rows""",
        "org_daily_usage_by_service": f"""WITH rows {USAGE}
            SELECT * REPLACE (total_cost_usd::DECIMAL(28,6) AS total_cost_usd) FROM rows""",
    }
    for mart, query in rows.items():
        (tmp_path / "gold" / mart).mkdir(parents=True)
        duckdb.execute(f"COPY ({query}) TO '{tmp_path}/gold/{mart}/part.parquet'")
    return LakeReader(LocalFileSystem(str(tmp_path)))


def test_budgets_that_are_used_up_come_before_those_that_will_be(lake: LakeReader) -> None:
    found = budget_alerts(lake)
    assert [(alert.org_id, alert.used_up) for alert in found] == [("a", True), ("c", False), ("b", False)]
    assert {alert.as_of_date for alert in found} == {date(2025, 8, 5)}
    assert found[0].words() == (
        "a: its budget of 20.00 USD for 2025-08 is used up: 30.00 USD spent (150 %), 40.00 USD expected"
    )
    assert "will not do: 5.00 USD spent (10 %)" in found[1].words()


def test_a_forecast_is_held_against_its_month_once_that_is_over(lake: LakeReader) -> None:
    (july,) = kept_forecasts(lake)  # August goes on
    wape = (5 + 10 + 4) / 65
    assert july == KeptForecast(date(2025, 7, 10), "2025-07", 3, Decimal(54), Decimal(65), wape, 0.5)


def test_a_lake_without_forecasts_has_neither(tmp_path: Path) -> None:
    empty = LakeReader(LocalFileSystem(str(tmp_path)))
    assert budget_alerts(empty) == []
    assert kept_forecasts(empty) == []
