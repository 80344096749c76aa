"""The months of a lake: open or closed, what they were closed with, and what was restated since."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from cloud_analytics.config import Config
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
# Invoices in Silver that the closed figures do not hold, or hold with another amount: nothing restates them.
_INVOICES = """
    SELECT month, sum(usd) AS usd
    FROM (
        SELECT strftime(month, '%Y-%m') AS month,
            round(subtotal * if(currency = 'USD' AND ?, 1, exchange_rate_to_usd), 6) AS usd
        FROM silver.billing_monthly
        UNION ALL
        SELECT billing_month, -gross_revenue_usd FROM gold.revenue_by_org_month
    )
    GROUP BY month
"""


@dataclass(frozen=True)
class Month:
    """A month: rows and cost (USD) of the daily mart, as closed where it is, and what was restated of it since.

    `silver_usd` is the cost of its events as Silver has them now: what the two have to sum to. `invoiced_since_usd` is
    what invoices changed after it was closed, which is not restated.
    """

    month: str
    closed_at: str | None
    rows: int
    cost_usd: Decimal
    restated_rows: int
    restated_usd: Decimal
    silver_usd: Decimal
    invoiced_since_usd: Decimal

    @property
    def clean_usd(self) -> Decimal:
        """What a clean run over everything would give."""
        return self.cost_usd + self.restated_usd

    @property
    def agrees(self) -> bool:
        """Whether figures and restatements sum to what Silver holds (not between two steps of a run)."""
        return self.clean_usd == self.silver_usd

    def as_json(self) -> dict[str, Any]:
        """Its figures, and whether they add up."""
        return {**asdict(self), "clean_usd": self.clean_usd, "agrees": self.agrees}

    def words(self) -> str:
        """How its figures and restatements add up."""
        verdict = "as Silver has it" if self.agrees else f"but Silver has {self.silver_usd:,.6f} USD"
        return (
            f"{self.month}: {self.cost_usd:,.6f} USD as closed {self.restated_usd:+,.6f} restated"
            f" = {self.clean_usd:,.6f} USD, {verdict}"
        )


@dataclass(frozen=True)
class Overview:
    """The months, and every closing and reopening, the oldest first."""

    months: list[Month]
    log: list[dict[str, str]]

    def as_json(self) -> dict[str, Any]:
        """The shape that `period list --format json` prints."""
        return {"months": [month.as_json() for month in self.months], "log": self.log}


def closed_months(lake: LakeReader, config: Config) -> list[Month]:
    """The months that finance has closed."""
    return [month for month in overview(lake, config).months if month.closed_at] if periods.load(lake).closed else []


def overview(lake: LakeReader, config: Config) -> Overview:
    """Every month that has usage, is closed or was restated."""
    known = periods.load(lake)
    found = {row["month"]: row for row in lake.rows(_QUERY)}
    invoices = lake.rows(_INVOICES, [config.pipeline.fx.usd_rate == "identity"])
    invoiced = {row["month"]: row["usd"] for row in invoices}
    zero = Decimal("0.000000")
    nothing = {"rows": 0, "cost_usd": zero, "restated_rows": 0, "restated_usd": zero, "silver_usd": zero}
    return Overview(
        [
            Month(
                **{**nothing, **found.get(month, {}), "month": month},
                closed_at=_closed_at(known, month),
                invoiced_since_usd=invoiced.get(month, zero),
            )
            for month in sorted({*found, *known.closed})
        ],
        [dict(entry) for entry in known.log],
    )


def _closed_at(known: periods.Periods, month: str) -> str | None:
    return known.closed[month].closed_at if month in known.closed else None
