"""Accuracy of the forecasts of `cost_forecast`, made for each day of the past from the days before it alone.

Method and interval of a forecast are chosen from the days before it, too: no day that judges a forecast has shaped it.
For each dataset and horizon (days summed): the WAPE of the organisations' totals, beside that of the week before as a
forecast; MASE, here the mean over the organisations of (absolute error / absolute error of the week before); how often
the 80 % interval held the actual sum; how often each method was chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from cloud_analytics.forecasting import LEAST_HISTORY_DAYS, METHODS, Floats, forecast

HORIZONS = (7, 14, 28)


def daily_costs(landing: Path) -> list[Floats]:
    """Daily costs (USD) of each organisation in a clean landing folder, from its first day with usage on."""
    query = """
        WITH days AS (
            SELECT org_id, CAST(timestamp[:10] AS DATE) AS usage_date, sum(cost_usd_increment) AS cost
            FROM read_json(?, format = 'newline_delimited', columns = {
                timestamp: 'VARCHAR', org_id: 'VARCHAR', cost_usd_increment: 'DECIMAL(18, 6)'
            }) WHERE cost_usd_increment >= -0.01 GROUP BY ALL
        ), calendar AS (
            SELECT org_id, unnest(generate_series(min(usage_date), (SELECT max(usage_date) FROM days), INTERVAL 1 DAY))
                AS usage_date FROM days GROUP BY org_id
        )
        SELECT list(CAST(coalesce(cost, 0) AS DOUBLE) ORDER BY usage_date) FROM calendar
        LEFT JOIN days USING (org_id, usage_date) GROUP BY org_id ORDER BY org_id
    """
    files = str(landing / "usage_events_stream" / "*.jsonl")
    return [np.array(costs) for (costs,) in duckdb.execute(query, [files]).fetchall()]


def accuracy(name: str, series: list[Floats]) -> Iterator[dict[str, Any]]:
    """One row per horizon for which the history is long enough."""
    for days in HORIZONS:
        errors, naive, cost, held, chosen, scaled = 0.0, 0.0, 0.0, [], Counter[str](), []
        for costs in series:
            mine = before = 0.0
            for origin in range(LEAST_HISTORY_DAYS, len(costs) - days + 1):
                found = forecast(costs[:origin], days)
                came = float(costs[origin : origin + days].sum())
                error = abs(came - found.expected)
                mine += error
                before += abs(came - float(np.resize(costs[origin - 7 : origin], days).sum()))
                cost += came
                held.append(found.half_width is not None and error <= found.half_width)
                chosen[found.method] += 1
            errors, naive = errors + mine, naive + before
            scaled += [mine / before] if before else []
        if held:
            yield {
                "data": name,
                "horizon_days": days,
                "origins": len(held),
                "wape": round(errors / cost, 4),
                "week_before_wape": round(naive / cost, 4),
                "times_the_week_before": round(errors / naive, 3),
                "mase": round(sum(scaled) / len(scaled), 3),
                "coverage_of_80": round(sum(held) / len(held), 3),
                **{method: round(chosen[method] / len(held), 2) for method in METHODS},
            }
