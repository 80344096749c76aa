"""The months of a lake: open or closed, what they were closed with, and what was restated since."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from cloud_analytics.lake import periods
from cloud_analytics.reading.lake import LakeReader

_QUERY = """
    SELECT month, sum(rows)::BIGINT AS rows, sum(cost_usd) AS cost_usd, sum(restated_rows)::BIGINT AS restated_rows,
        sum(restated_usd) AS restated_usd, sum(silver_usd) AS silver_usd
    FROM (
        SELECT strftime(usage_date, '%Y-%m') AS month, count(*) AS rows, sum(total_cost_usd) AS cost_usd,
            0 AS restated_rows, 0.000000 AS restated_usd, 0.000000 AS silver_usd
        FROM gold.org_daily_usage_by_service GROUP BY month
        UNION ALL
        SELECT closed_month, 0, 0, count(*), sum(total_cost_usd), 0 FROM gold.restatements GROUP BY closed_month
        UNION ALL
        SELECT strftime(date, '%Y-%m') AS month, 0, 0, 0, 0, sum(cost_usd) FROM silver.usage_events GROUP BY month
    )
    GROUP BY month
"""


@dataclass(frozen=True)
class Month:
    """A month: rows and cost (USD) of the daily mart, as closed where it is, and what was restated of it since.

    `silver_usd` is the cost of its events as Silver has them now: what the two have to sum to.
    """

    month: str
    closed_at: str | None
    rows: int
    cost_usd: Decimal
    restated_rows: int
    restated_usd: Decimal
    silver_usd: Decimal

    @property
    def clean_usd(self) -> Decimal:
        """What a clean run over everything would give."""
        return self.cost_usd + self.restated_usd

    @property
    def agrees(self) -> bool:
        """Whether figures and restatements sum to what Silver holds (not between two steps of a run)."""
        return self.clean_usd == self.silver_usd


@dataclass(frozen=True)
class Overview:
    """The months, and every closing and reopening, the oldest first."""

    months: list[Month]
    log: list[dict[str, str]]

    def as_json(self) -> dict[str, Any]:
        """The shape that `period list --format json` prints."""
        told = [{**asdict(month), "clean_usd": month.clean_usd, "agrees": month.agrees} for month in self.months]
        return {"months": told, "log": self.log}


def overview(lake: LakeReader) -> Overview:
    """Every month that has usage, is closed or was restated."""
    known = periods.load(lake)
    found = {row["month"]: row for row in lake.rows(_QUERY)}
    zero = Decimal(0)
    nothing = {"rows": 0, "cost_usd": zero, "restated_rows": 0, "restated_usd": zero, "silver_usd": zero}
    return Overview(
        [
            Month(**{**nothing, **found.get(month, {}), "month": month, "closed_at": _closed_at(known, month)})
            for month in sorted({*found, *known.closed})
        ],
        [dict(entry) for entry in known.log],
    )


def _closed_at(known: periods.Periods, month: str) -> str | None:
    return known.closed[month].closed_at if month in known.closed else None
