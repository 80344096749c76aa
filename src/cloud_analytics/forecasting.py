"""Forecasts of daily cost: four simple candidates, a rolling-origin backtest, and an interval from its errors.

The input is one series of daily costs without gaps. For each day of the past (an origin), the forecast that each
candidate would have made is compared with the actual costs. The candidate with the smallest error becomes the method,
and the spread of its errors gives the interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Days = NDArray[np.int64]

METHODS = ("mean_all_days", "mean_28_days", "mean_weekday", "week_before")
"""The candidates. If two have the same error, the first is chosen."""
LEAST_HISTORY_DAYS = 28
"""With fewer days the forecast is the mean of all days, and there is no backtest."""
FIRST_ORIGIN = 7
"""Days before the first origin of the backtest, so that each weekday has occurred."""
BACKTEST_DAYS = 14
"""Days after an origin on which the candidates are compared."""
LONGEST_SUM = 28
"""The interval is made from the errors of sums over at most this many days: there are too few longer sums."""
COVERAGE = 0.8


@dataclass(frozen=True)
class Forecast:
    """The cost of the days ahead (USD). The last three are None where the history is too short for a backtest."""

    method: str
    expected: float
    half_width: float | None
    """Half the width of the 80 % interval."""
    wape: float | None
    """Sum of the method's absolute daily errors in the backtest / sum of the costs; also None where the costs are 0."""
    seasonal_naive_wape: float | None
    """The same error if the costs of the week before are the forecast."""


def forecast(costs: Floats, days: int) -> Forecast:
    """Daily costs, oldest first → the cost of the next `days` days (1 or more)."""
    if len(costs) < LEAST_HISTORY_DAYS:
        return Forecast(METHODS[0], days * float(costs.mean()), None, None, None)
    origins = np.arange(FIRST_ORIGIN, len(costs) + 1)  # the last one is the present
    said = candidates(costs, origins, max(days, BACKTEST_DAYS, LONGEST_SUM))
    came = _ahead(costs, origins[:-1], said.shape[2])
    errors = came - said[:, :-1]  # NaN for days in the future
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
    """The forecasts of each candidate for `days` days from each origin on, made from the days before the origin.

    The axes are candidate, origin, day. An origin is the number of days before it, 7 or more.
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
    """The actual costs of `days` days from each origin on, one row per origin; NaN for days in the future."""
    padded = np.concatenate([costs, np.full(days, np.nan)])
    came: Floats = padded[origins[:, np.newaxis] + np.arange(days)]
    return came


def _half_width(errors: Floats, origins: Days, method: int, days: int) -> float:
    """Half the width of the interval for the sum of `days` days: a conformal quantile of the errors of sums.

    Errors of sums over 1 to `days` days (at most LONGEST_SUM) are divided by their standard error, so that they can be
    compared. The standard error assumes independent days. It includes the error of the level, which is estimated from
    the `known` days. The quantile is corrected for a small number of observations; two origins count as one
    observation, since neighbouring origins share most of their days.
    """
    known = np.array([origins, np.minimum(origins, 28), origins, np.full_like(origins, 7)])[method]
    length = np.arange(1, min(days, LONGEST_SUM) + 1)
    scaled = np.abs(np.cumsum(errors[:, : len(length)], axis=1)) / _standard_error(length, known[:-1, np.newaxis])
    level = min(1.0, COVERAGE * (1 + 2 / len(errors)))
    return float(np.quantile(scaled[~np.isnan(scaled)], level) * _standard_error(days, known[-1]))


def _standard_error(length: Any, known: Any) -> Any:
    """The standard error of a sum of `length` days whose level is estimated from `known` days.

    The unit is the standard deviation of one day.
    """
    return np.sqrt(length + length**2 / known)
