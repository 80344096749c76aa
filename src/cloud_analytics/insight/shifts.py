"""Shifts: costs of a service that stay higher (a level shift), or rise day by day (a drift)."""

from __future__ import annotations

import pandas as pd

# Signal → the flag of gold/cost_shifts that raises it, what a day cost before, and what a day costs then.
_SIGNALS = {
    "level shift": ("is_level_shift", "previous_cost_usd", "recent_cost_usd"),
    "drift": ("is_trend", "trend_from_usd", "trend_to_usd"),
}


def shifts(days: pd.DataFrame) -> pd.DataFrame:
    """Rows of gold/cost_shifts → one row an (org_id, service, signal), the largest rise first.

    `first_day`, `last_day` and `days` say when the signal stood. `from_usd` is what a day cost before, `to_usd` what it
    cost on the last of these days, and `rise` the difference.
    """
    found = [
        days[days[flag].eq(True)]
        .sort_values("usage_date")
        .groupby(["org_id", "service"], as_index=False)
        .agg(
            first_day=("usage_date", "min"),
            last_day=("usage_date", "max"),
            days=("usage_date", "count"),
            from_usd=(before, "last"),
            to_usd=(after, "last"),
        )
        .assign(signal=signal)
        for signal, (flag, before, after) in _SIGNALS.items()
    ]
    rows = pd.concat(found, ignore_index=True)
    rows = rows.assign(rise=rows["to_usd"] - rows["from_usd"])
    order = ["rise", "org_id", "service", "signal"]
    return rows.sort_values(order, ascending=[False, True, True, True], ignore_index=True)
