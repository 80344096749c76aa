"""Forecasts: the candidates and their backtest against plain loops, the interval's coverage, budgets, and that what was
said stays as it was."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
from benchmarks.forecast import daily_costs
from pyspark.sql import DataFrame, SparkSession

from cloud_analytics.config.budgets import Budgets
from cloud_analytics.forecasting import Forecast, forecast
from cloud_analytics.generate import GeneratorSettings, generate
from cloud_analytics.gold import cost_forecast
from tests.conftest import MakePipeline
from tests.integration import hostile
from tests.integration.agreement import CLEAN_KEYS, assert_none, rows_of, table_differences
from tests.oracle import Params
from tests.oracle.forecasts import cost_forecast as expected_forecasts
from tests.oracle.forecasts import foresee


def noisy(seed: int, days: int, level: Callable[[int], float] = lambda day: 30.0) -> list[float]:
    """Skewed daily costs around a level, some days without any, as organisations have them."""
    rng = random.Random(seed)
    return [0.0 if rng.random() < 0.04 else level(day) * rng.gammavariate(1.7, 1 / 1.7) for day in range(days)]


def week(known: list[float], ahead: int) -> float:
    """The same day of the week before."""
    return known[-7:][ahead % 7]


HOSTILE = {
    "ordinary": noisy(1, 61),
    "the least history": noisy(2, 28),
    "too little history": noisy(3, 27),
    "a rhythm": [5.25 if day % 7 in (2, 3) else 40.5 + day % 5 for day in range(45)],
    "steady": [2.0] * 40,
    "nothing": [0.0] * 40,
    "ended": [*noisy(4, 30), *[0.0] * 40],
    "one day": [7.5, *[0.0] * 50],
    "outlier": [*noisy(5, 40), 1e11, *noisy(6, 20)],
    "rounding noise": [-0.01 + 0.000_001 * (day % 13) for day in range(60)],
    "years": noisy(7, 800, lambda day: 10 + day / 40),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("days", [1, 4, 31])
def test_plain_loops_say_the_same(name: str, days: int) -> None:
    found = forecast(np.array(HOSTILE[name]), days)
    expected = foresee([Decimal(str(cost)) for cost in HOSTILE[name]], days)
    assert found.method == expected.method
    figures = (found.expected, found.half_width, found.wape, found.seasonal_naive_wape)
    wanted = (expected.expected, expected.half_width, expected.wape, expected.seasonal_naive_wape)
    for figure, other in zip(figures, wanted):
        assert figure == (None if other is None else pytest.approx(other, rel=1e-9, abs=1e-6))


def test_under_28_days_the_mean_without_an_interval() -> None:
    assert forecast(np.array([1.0, 3.0]), 10) == Forecast("mean_all_days", 20.0, None, None, None)
    assert forecast(np.array([2.0] * 27), 1) == Forecast("mean_all_days", 2.0, None, None, None)
    steady = forecast(np.array([2.0] * 28), 5)
    assert (steady.method, steady.expected, steady.wape) == ("mean_all_days", 10.0, 0.0)
    assert steady.half_width == pytest.approx(0.0)


def test_without_any_cost_nothing_is_expected_and_no_error_has_a_share() -> None:
    assert forecast(np.zeros(40), 7) == Forecast("mean_all_days", 0.0, 0.0, None, None)


def test_a_weekly_rhythm_is_found_and_beats_the_mean() -> None:
    def weekly(day: int) -> float:
        return 5.0 if day % 7 in (2, 3) else 40.0

    ours, the_mean, methods = 0.0, 0.0, []
    for seed in range(100):
        costs = noisy(seed, 67, weekly)  # the last four days hold a weekend
        found = forecast(np.array(costs[:63]), 4)
        methods.append(found.method)
        ours += abs(sum(costs[63:]) - found.expected)
        the_mean += abs(sum(costs[63:]) - 4 * mean(costs[:63]))
    assert methods.count("mean_weekday") >= 90
    assert ours < 0.9 * the_mean


def test_the_weekly_rhythm_of_generated_data_is_found_and_beats_the_mean(tmp_path: Path) -> None:
    generate(tmp_path, GeneratorSettings(events=20_000, days=63, orgs=20, weekly=True))
    ours, the_mean, methods = 0.0, 0.0, []
    for costs in daily_costs(tmp_path):
        for origin in range(42, len(costs) - 3):
            found, came = forecast(costs[:origin], 4), costs[origin : origin + 4].sum()
            methods.append(found.method)
            ours += abs(came - found.expected)
            the_mean += abs(came - 4 * costs[:origin].mean())
    assert mean(method in ("mean_weekday", "week_before") for method in methods) >= 0.9
    assert ours < 0.85 * the_mean


@pytest.mark.parametrize("days", [3, 14, 28])
def test_the_interval_covers_what_comes_four_times_in_five(days: int) -> None:
    covered, errors, naive = [], 0.0, 0.0
    for seed in range(400):
        costs = noisy(seed, 46 + days)
        found, came = forecast(np.array(costs[:46]), days), sum(costs[46:])
        assert found.half_width is not None
        covered.append(abs(came - found.expected) <= found.half_width)
        errors += abs(came - found.expected)
        naive += abs(came - sum(week(costs[:46], ahead) for ahead in range(days)))
    assert 0.75 <= mean(covered) <= 0.85
    assert errors < 0.8 * naive


# The mart

TOTALS = "org_id string, usage_date date, service string, total_cost_usd decimal(28,6)"
ORGS = "org_id string, plan_tier string"


def days_of(org: str, first: date, costs: list[float]) -> list[tuple[str, date, str, Decimal]]:
    """Two services a day, none on days of no cost."""
    return [
        (org, first + timedelta(day), service, Decimal(f"{cost / 2:.6f}"))
        for day, cost in enumerate(costs)
        if cost
        for service in ("compute", "genai")
    ]


@pytest.fixture(scope="module")
def frames(spark: SparkSession) -> tuple[DataFrame, DataFrame]:
    rows = days_of("old", date(2025, 7, 1), noisy(3, 51)) + days_of("new", date(2025, 8, 19), [4.0, 0.0])
    random.Random(0).shuffle(rows)
    return spark.createDataFrame(rows, TOTALS).repartition(3), spark.createDataFrame([("old", "pro")], ORGS)


def test_a_row_says_what_was_spent_what_comes_and_how_sure_that_is(frames: tuple[DataFrame, DataFrame]) -> None:
    budgets = Budgets(plan_tiers={"pro": Decimal("700.50")})
    rows = {row.org_id: row for row in cost_forecast.build(*frames, budgets).collect()}
    costs = [Decimal(f"{cost / 2:.6f}") * 2 for cost in noisy(3, 51)]
    old, foreseen = rows["old"], forecast(np.array([float(cost) for cost in costs]), 11)
    assert (old.as_of_date, old.forecast_month, old.days_left) == (date(2025, 8, 20), "2025-08", 11)
    assert old.actual_to_date_usd == sum(costs[31:])  # August alone
    assert float(old.expected_usd - old.actual_to_date_usd) == pytest.approx(foreseen.expected, abs=1e-6)
    assert foreseen.half_width is not None
    assert float(old.high_usd - old.expected_usd) == pytest.approx(foreseen.half_width, abs=1e-6)
    assert old.actual_to_date_usd <= old.low_usd < old.expected_usd
    assert (old.method, float(old.backtest_wape)) == (foreseen.method, pytest.approx(foreseen.wape, abs=1e-9))
    assert old.budget_usd == Decimal("700.5")
    assert old.budget_used_pct == pytest.approx(100 * old.actual_to_date_usd / old.budget_usd, abs=Decimal("1e-9"))
    assert old.expected_over_budget == (old.expected_usd > old.budget_usd)

    new = rows["new"]  # its second day brought nothing: 2 a day are expected
    assert (new.actual_to_date_usd, new.expected_usd, new.method) == (4, 4 + 11 * 2, "mean_all_days")
    none = (new.low_usd, new.high_usd, new.backtest_wape, new.budget_usd, new.budget_used_pct, new.expected_over_budget)
    assert none == (None,) * 6


def test_every_row_is_the_oracles(spark: SparkSession) -> None:
    """Organisations that begin, end, pause and spend nothing, with budgets of their own, of their tier, and none."""
    last = date(2024, 2, 20)
    rows = [row for name, costs in HOSTILE.items() for row in days_of(name, last - timedelta(len(costs) - 1), costs)]
    rows += days_of("on the last day", last, [3.0])
    orgs = [("ordinary", "pro"), ("ended", "pro"), ("outlier", "free"), ("unused", "pro"), ("years", None)]
    own, of_tier = {"ended": Decimal("0.5"), "years": Decimal("900.25")}, {"pro": Decimal(600)}
    found = cost_forecast.build(
        spark.createDataFrame(rows, TOTALS).repartition(3),
        spark.createDataFrame(orgs, ORGS),
        Budgets(organisations=own, plan_tiers=of_tier),
    )
    days = [dict(zip(("org_id", "usage_date", "service", "total_cost_usd"), row)) for row in rows]
    masters = [{"org_id": org_id, "plan_tier": tier} for org_id, tier in orgs]
    wanted = expected_forecasts(days, masters, Params(budgets=own, plan_tier_budgets=of_tier))
    assert len(wanted) == len({row["org_id"] for row in days}) > 8
    ours = [row.asDict() for row in found.collect()]
    assert_none(table_differences("cost_forecast", ours, wanted, CLEAN_KEYS["cost_forecast"]))


def test_it_does_not_depend_on_the_order_of_the_rows(frames: tuple[DataFrame, DataFrame]) -> None:
    one = cost_forecast.build(*frames, Budgets()).orderBy("org_id").collect()
    two = cost_forecast.build(frames[0].orderBy("total_cost_usd"), frames[1], Budgets()).orderBy("org_id").collect()
    assert one == two


def test_on_the_last_day_of_a_month_the_next_one_is_foreseen(spark: SparkSession) -> None:
    daily = spark.createDataFrame(days_of("o", date(2024, 1, 2), [1.0] * 30), TOTALS)
    (row,) = cost_forecast.build(
        daily, spark.createDataFrame([], ORGS), Budgets(organisations={"o": Decimal(28)})
    ).collect()
    assert (row.as_of_date, row.forecast_month, row.days_left) == (date(2024, 1, 31), "2024-02", 29)
    assert (row.actual_to_date_usd, row.expected_usd, row.budget_used_pct) == (0, 29, 0)
    assert row.expected_over_budget
    assert (row.low_usd, row.high_usd) == (29, 29)


def test_what_was_said_stays_as_it_was(baseline_copy: tuple[Path, Path], make_pipeline: MakePipeline) -> None:
    """More cost on the last usage date, a later date, a stream that settles nothing, a reconcile: no byte changes."""

    def stored() -> dict[str, bytes]:
        return {str(path.relative_to(lake)): path.read_bytes() for path in lake.glob("gold/cost_forecast/*/*.parquet")}

    def arrive(name: str, timestamp: str) -> None:
        line = hostile.event(name, timestamp=timestamp, cost_usd_increment=5)
        (landing / "usage_events_stream" / f"{name}.jsonl").write_text(line + "\n", encoding="utf-8")

    landing, lake = baseline_copy
    pipeline = make_pipeline(landing, lake)
    first = stored()
    (last,) = {str(row["as_of_date"]) for row in rows_of(lake, "gold/cost_forecast")}
    assert last == max(str(row["usage_date"]) for row in rows_of(lake, "gold/org_daily_usage_by_service"))

    arrive("same_date", f"{last}T23:00:00Z")
    assert "org_daily_usage_by_service" in pipeline.run().gold
    assert stored() == first

    later = date.fromisoformat(last) + timedelta(3)
    arrive("later", f"{later}T10:00:00Z")
    pipeline.stream()
    assert stored() == first
    assert pipeline.run().gold == {"cost_forecast": 1}  # also what a run does that was killed just before
    second = stored()
    assert first.items() < second.items()
    assert {str(row["as_of_date"]) for row in rows_of(lake, "gold/cost_forecast")} == {last, str(later)}
    assert not pipeline.reconcile().gold
    assert stored() == second
