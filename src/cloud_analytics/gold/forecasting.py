"""Forecasts of daily cost: four simple candidates, their rolling-origin backtest, and an interval from its errors.

Arithmetic alone, on one series of daily costs without gaps. What each candidate would have said on each day of the past
(an origin) is held against what came: the candidate with the smallest error is the method, and the spread of its own
errors gives the interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Days = NDArray[np.int64]

METHODS = ("mean_all_days", "mean_28_days", "mean_weekday", "week_before")
"""The candidates; of two that err alike the first is chosen."""
LEAST_HISTORY_DAYS = 28
"""With fewer days the forecast is the mean, and there is no backtest."""
FIRST_ORIGIN = 7
"""Days before the first forecast of the backtest: each weekday was there once."""
BACKTEST_DAYS = 14
"""The days after an origin that the candidates are judged by."""
LONGEST_SUM = 28
"""The longest sums whose errors the interval is made of: longer ones were seen too seldom."""
COVERAGE = 0.8


@dataclass(frozen=True)
class Forecast:
    """Cost of the days ahead, USD. The last three are null where the history is too short for a backtest."""

    method: str
    expected: float
    half_width: float | None
    """Half of the 80 % interval's width."""
    wape: float | None
    """Sum of the daily errors of the method in the backtest / sum of the cost; also null if there was no cost."""
    seasonal_naive_wape: float | None
    """The same of the week before."""


def forecast(costs: Floats, days: int) -> Forecast:
    """Daily costs, oldest first → the cost of the next `days` days (at least one)."""
    if len(costs) < LEAST_HISTORY_DAYS:
        return Forecast(METHODS[0], days * float(costs.mean()), None, None, None)
    origins = np.arange(FIRST_ORIGIN, len(costs) + 1)  # the last one is now
    said = candidates(costs, origins, max(days, BACKTEST_DAYS, LONGEST_SUM))
    came = _ahead(costs, origins[:-1], said.shape[2])
    errors = came - said[:, :-1]  # NaN where a day has not come yet
    absolute = np.nansum(np.abs(errors[:, :, :BACKTEST_DAYS]), axis=(1, 2))
    best = int(absolute.argmin())
    cost = float(np.nansum(came[:, :BACKTEST_DAYS]))
    return Forecast(
        METHODS[best],
        float(said[best, -1, :days].sum()),
        _half_width(errors[best], origins, best, days),
        float(absolute[best]) / cost if cost else None,
        float(absolute[-1]) / cost if cost else None,
    )


def candidates(costs: Floats, origins: Days, days: int) -> Floats:
    """What each candidate, knowing the days before an origin only, says of the `days` days from it on.

    Axes: candidate, origin, day. Origins are counted in days from the first one, and are 7 at least.
    """
    ahead = np.arange(days)
    origin = origins[:, np.newaxis]
    sums = np.concatenate([[0.0], np.cumsum(costs)])
    recent = np.minimum(origin, 28)
    weekday = (origin + ahead) % 7
    weekdays = np.zeros((7, len(costs) // 7 + 2))  # running sums of each weekday
    for day in range(7):
        of_day = np.cumsum(costs[day::7])
        weekdays[day, 1 : len(of_day) + 1] = of_day
    seen = (origin - weekday + 6) // 7
    shape = (len(origins), days)
    return np.stack(
        [
            np.broadcast_to(sums[origin] / origin, shape),
            np.broadcast_to((sums[origin] - sums[origin - recent]) / recent, shape),
            weekdays[weekday, seen] / seen,
            costs[origin - 7 + ahead % 7],
        ]
    )


def _ahead(costs: Floats, origins: Days, days: int) -> Floats:
    """The `days` days from each origin on, as they came: one row an origin, NaN for days that have not come."""
    padded = np.concatenate([costs, np.full(days, np.nan)])
    came: Floats = padded[origins[:, np.newaxis] + np.arange(days)]
    return came


def _half_width(errors: Floats, origins: Days, method: int, days: int) -> float:
    """Half the width of the interval for the sum of `days` days: a conformal quantile of the backtest's errors of sums.

    Sums of all lengths up to `days` are made comparable by the standard error that independent days would give them:
    that of the days themselves, and that of the level, which was estimated from `known` days. Neighbouring origins
    share most of their days, so two of them count as one observation in the quantile's correction for few of them.
    """
    known = np.array([origins, np.minimum(origins, 28), origins, np.full_like(origins, 7)])[method]
    length = np.arange(1, min(days, LONGEST_SUM) + 1)
    scaled = np.abs(np.cumsum(errors[:, : len(length)], axis=1)) / _standard_error(length, known[:-1, np.newaxis])
    level = min(1.0, COVERAGE * (1 + 2 / len(errors)))
    return float(np.quantile(scaled[~np.isnan(scaled)], level) * _standard_error(days, known[-1]))


def _standard_error(length: Any, known: Any) -> Any:
    """Of the error of a sum of so many days, in units of one day's standard deviation."""
    return np.sqrt(length + length**2 / known)
