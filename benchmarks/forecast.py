"""How good the forecasts of `cost_forecast` are: on each day of the past, made from the days before it alone.

So no origin chose anything: the method and the width of the interval come from its own past. Of each dataset and
horizon (days summed): the WAPE of the totals by organisation beside that of the week before; MASE, the mean over the
organisations of their absolute error over that of the week before; how often the 80 % interval held what came; how
often each method was chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from cloud_analytics.gold.forecasting import LEAST_HISTORY_DAYS, METHODS, Floats, forecast

HORIZONS = (7, 14, 28)


def daily_costs(landing: Path) -> list[Floats]:
    """Daily costs of each organisation of a clean landing folder, from its first day with usage on, USD."""
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
    """One row a horizon that the history is long enough for."""
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
