"""cost_forecast (contract 6; docs/forecasts.md where it is silent): every candidate asked on every day of the past.

Estimates come as floats, the rest exactly.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext
from itertools import accumulate
from typing import Any

from .gold import group_by
from .params import Params
from .values import month_of, ratio, total

Row = dict[str, Any]

METHODS = ("mean_all_days", "mean_28_days", "mean_weekday", "week_before")
_ALIKE = Decimal("1e-30")  # errors that differ by less are the same number, but for the last digits of a division


class History:
    """Daily costs of an organisation without gaps, the oldest first."""

    def __init__(self, costs: list[Decimal]) -> None:
        self.costs = costs
        self.sums = [Decimal(0), *accumulate(costs)]
        self.weekdays = [[Decimal(0), *accumulate(costs[weekday::7])] for weekday in range(7)]

    def says(self, origin: int, ahead: int) -> tuple[Decimal, ...]:
        """What each candidate, knowing the first `origin` days, says of the day that lies `ahead` days after them."""
        weekday = (origin + ahead) % 7
        seen = len(range(weekday, origin, 7))
        recent = min(origin, 28)
        return (
            self.sums[origin] / origin,
            (self.sums[origin] - self.sums[origin - recent]) / recent,
            self.weekdays[weekday][seen] / seen,
            self.costs[origin - 7 + ahead % 7],
        )

    def errors(self, method: int, origin: int, days: int) -> list[Decimal]:
        """What came less what a candidate said, of the days after an origin as far as they have come."""
        until = min(origin + days, len(self.costs))
        return [self.costs[day] - self.says(origin, day - origin)[method] for day in range(origin, until)]


@dataclass(frozen=True)
class Foreseen:
    """The cost of the days ahead; without a backtest there is neither interval nor error."""

    method: str
    expected: float
    half_width: float | None = None
    wape: float | None = None
    seasonal_naive_wape: float | None = None


def foresee(costs: list[Decimal], days: int) -> Foreseen:
    with localcontext() as context:
        context.prec = 50
        if len(costs) < 28:
            return Foreseen(METHODS[0], float(days * sum(costs) / len(costs)))
        history, origins = History(costs), range(7, len(costs))
        off = [
            sum((abs(error) for origin in origins for error in history.errors(method, origin, 14)), Decimal(0))
            for method in range(4)
        ]
        best = next(method for method in range(4) if off[method] - min(off) <= _ALIKE * max(off))
        cost = sum((sum(costs[origin : origin + 14]) for origin in origins), Decimal(0))
        return Foreseen(
            METHODS[best],
            float(sum(history.says(len(costs), ahead)[best] for ahead in range(days))),
            half_width(history, best, days),
            float(off[best] / cost) if cost else None,
            float(off[3] / cost) if cost else None,
        )


def half_width(history: History, method: int, days: int) -> float:
    """A quantile of the method's errors of sums, each in standard errors, times the standard error of what is asked."""

    def standard_error(length: int, origin: int) -> float:
        known = (origin, min(origin, 28), origin, 7)[method]  # the days that made the level
        return (length + length**2 / known) ** 0.5

    origins = range(7, len(history.costs))
    scaled = sorted(
        abs(float(off)) / standard_error(length, origin)
        for origin in origins
        for length, off in enumerate(accumulate(history.errors(method, origin, min(days, 28))), start=1)
    )
    level = min(1.0, 0.8 * (1 + 2 / len(origins)))
    place = level * (len(scaled) - 1)
    below = int(place)
    above = min(below + 1, len(scaled) - 1)
    quantile = scaled[below] + (place - below) * (scaled[above] - scaled[below])
    return quantile * standard_error(days, len(history.costs))


def cost_forecast(days: list[Row], organisations: list[Row], params: Params) -> list[Row]:
    """One row an organisation with usage, from its rows of org_daily_usage_by_service."""
    if not days:
        return []
    last = max(row["usage_date"] for row in days)
    begin = last + timedelta(days=1)
    days_left = monthrange(begin.year, begin.month)[1] - begin.day + 1
    tiers = {row["org_id"]: row["plan_tier"] for row in organisations}
    mart = []
    for (org_id,), rows in group_by(days, "org_id").items():
        costs = {
            day: total([row["total_cost_usd"] for row in of]) for (day,), of in group_by(rows, "usage_date").items()
        }
        spent = total([cost for day, cost in costs.items() if month_of(day) == month_of(begin)])
        found = foresee(without_gaps(costs, last), days_left)
        expected, half = float(spent) + found.expected, found.half_width
        budget = params.budgets.get(org_id, params.plan_tier_budgets.get(tiers.get(org_id) or ""))
        mart.append(
            {
                "org_id": org_id,
                "as_of_date": last,
                "forecast_month": month_of(begin),
                "actual_to_date_usd": spent,
                "days_left": days_left,
                "expected_usd": expected,
                "low_usd": None if half is None else max(float(spent), expected - half),
                "high_usd": None if half is None else expected + half,
                "method": found.method,
                "backtest_wape": found.wape,
                "seasonal_naive_wape": found.seasonal_naive_wape,
                "budget_usd": budget,
                "budget_used_pct": ratio(100 * spent, budget),
                "expected_over_budget": None if budget is None else expected > budget,
            }
        )
    return mart


def without_gaps(costs: dict[date, Decimal], last: date) -> list[Decimal]:
    """The cost of each calendar day from the first one with usage on; days without usage cost nothing."""
    first = min(costs)
    return [costs.get(first + timedelta(days=back), Decimal(0)) for back in range((last - first).days + 1)]
