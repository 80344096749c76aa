"""Forecasts in Gold: budgets that the newest forecasts exceed, and how accurate the older forecasts were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.untrusted import printable


@dataclass(frozen=True)
class BudgetAlert:
    """A budget that is used up, or that the forecast exceeds by the end of the month. Money in USD."""

    org_id: str
    forecast_month: str
    as_of_date: date
    budget_usd: Decimal
    actual_to_date_usd: Decimal
    expected_usd: Decimal
    budget_used_pct: Decimal

    @property
    def used_up(self) -> bool:
        """Whether the cost so far has reached the budget."""
        return self.actual_to_date_usd >= self.budget_usd

    def words(self) -> str:
        """The alert as one line of text."""
        state = "is used up" if self.used_up else "will not do"
        return (
            f"{printable(self.org_id)}: its budget of {self.budget_usd:,.2f} USD for {self.forecast_month} {state}:"
            f" {self.actual_to_date_usd:,.2f} USD spent ({self.budget_used_pct:.0f} %), {self.expected_usd:,.2f} USD"
            " expected"
        )


@dataclass(frozen=True)
class KeptForecast:
    """The forecasts made on one day for a month that is now over, compared with its cost. Money in USD, shares 0-1."""

    as_of_date: date
    forecast_month: str
    organisations: int
    expected_usd: Decimal
    actual_usd: Decimal
    wape: float | None
    """Sum of the absolute errors of the organisations / sum of their cost; None if there is no cost."""
    held: float | None
    """Share of the 80 % intervals that contained the cost; None if no history was long enough for an interval."""


def budget_alerts(lake: LakeReader) -> list[BudgetAlert]:
    """The alerts of the newest forecasts: used-up budgets first, then by expected excess, the largest first."""
    query = """
        SELECT org_id, forecast_month, as_of_date, budget_usd, actual_to_date_usd, expected_usd, budget_used_pct
        FROM gold.cost_forecast
        WHERE as_of_date = (SELECT max(as_of_date) FROM gold.cost_forecast)
            AND (expected_over_budget OR actual_to_date_usd >= budget_usd)
        ORDER BY actual_to_date_usd >= budget_usd DESC, expected_usd - budget_usd DESC, org_id
    """
    return [BudgetAlert(**row) for row in lake.rows(query)]


def kept_forecasts(lake: LakeReader) -> list[KeptForecast]:
    """One row per day on which forecasts were made for a month that is now over; the oldest day first."""
    query = """
        WITH usage AS (
            SELECT org_id, strftime(usage_date, '%Y-%m') AS month, sum(total_cost_usd) AS cost
            FROM gold.org_daily_usage_by_service GROUP BY ALL
        ), held AS (
            SELECT f.*, coalesce(cost, 0)::DECIMAL(28, 6) AS actual_usd
            FROM gold.cost_forecast AS f LEFT JOIN usage ON usage.org_id = f.org_id AND month = forecast_month
            WHERE last_day(strptime(forecast_month, '%Y-%m')::DATE)
                <= (SELECT max(usage_date) FROM gold.org_daily_usage_by_service)
        )
        SELECT as_of_date, forecast_month, count(*) AS organisations,
            sum(expected_usd) AS expected_usd, sum(actual_usd) AS actual_usd,
            sum(abs(expected_usd - actual_usd))::DOUBLE / nullif(sum(actual_usd), 0)::DOUBLE AS wape,
            avg((actual_usd BETWEEN low_usd AND high_usd)::INT) FILTER (low_usd IS NOT NULL) AS held
        FROM held GROUP BY ALL ORDER BY as_of_date
    """
    return [KeptForecast(**row) for row in lake.rows(query)]
