"""The months of a lake: whether they are open or closed, their figures at closing, and the restatements since."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from cloud_analytics.config import Config
from cloud_analytics.lake import periods
from cloud_analytics.reading.lake import LakeReader

# All months that have usage or restatements, or are closed ($closed). `invoiced_since_usd`: the invoices of a month in
# Silver minus those in Gold, that is, what arrived after the closing. Restatements do not cover invoices.
_QUERY = """
    WITH months AS (
        SELECT strftime(usage_date, '%Y-%m') AS month, count(*) AS rows, sum(total_cost_usd) AS cost_usd
        FROM gold.org_daily_usage_by_service GROUP BY month
        UNION ALL BY NAME
        SELECT closed_month AS month, count(*) AS restated_rows, sum(total_cost_usd) AS restated_usd
        FROM gold.restatements GROUP BY month
        UNION ALL BY NAME
        SELECT strftime(date, '%Y-%m') AS month, sum(cost_usd) AS silver_usd FROM silver.usage_events GROUP BY month
        UNION ALL BY NAME
        SELECT unnest($closed::VARCHAR[]) AS month
    ), invoices AS (
        SELECT strftime(month, '%Y-%m') AS month,
            round(subtotal * if(currency = 'USD' AND $usd_is_1, 1, exchange_rate_to_usd), 6) AS usd
        FROM silver.billing_monthly
        UNION ALL
        SELECT billing_month, -gross_revenue_usd FROM gold.revenue_by_org_month
    )
    SELECT month, coalesce(sum(rows), 0)::BIGINT AS rows, coalesce(sum(cost_usd), 0) AS cost_usd,
        coalesce(sum(restated_rows), 0)::BIGINT AS restated_rows, coalesce(sum(restated_usd), 0) AS restated_usd,
        coalesce(sum(silver_usd), 0) AS silver_usd, coalesce(any_value(usd), 0) AS invoiced_since_usd
    FROM months LEFT JOIN (SELECT month, sum(usd) AS usd FROM invoices GROUP BY month) USING (month)
    GROUP BY month ORDER BY month
"""


@dataclass(frozen=True)
class Month:
    """A month: rows and cost (USD) of the daily mart, and rows and cost of its restatements.

    `closed_at` is the time of the closing (None: the month is open). `rows` and `cost_usd` of a closed month are those
    at its closing. `silver_usd` is the present cost of its events in Silver; cost and restatements have to add up to
    it. `invoiced_since_usd` is the change of its invoices since the closing, which nothing restates.
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
        """The cost that a clean run over all landing files would give."""
        return self.cost_usd + self.restated_usd

    @property
    def agrees(self) -> bool:
        """Whether cost plus restatements equals the cost in Silver. Between two steps of a run it may not."""
        return self.clean_usd == self.silver_usd

    def as_json(self) -> dict[str, Any]:
        """All fields, the sum `clean_usd`, and whether this sum agrees with Silver."""
        return {**asdict(self), "clean_usd": self.clean_usd, "agrees": self.agrees}

    def words(self) -> str:
        """One line: cost plus restatements, and whether Silver holds the same."""
        verdict = "as Silver has it" if self.agrees else f"but Silver has {self.silver_usd:,.6f} USD"
        return (
            f"{self.month}: {self.cost_usd:,.6f} USD as closed {self.restated_usd:+,.6f} restated"
            f" = {self.clean_usd:,.6f} USD, {verdict}"
        )


@dataclass(frozen=True)
class Overview:
    """The months, and the log of every closing and reopening, the oldest first."""

    months: list[Month]
    log: list[dict[str, str]]

    def as_json(self) -> dict[str, Any]:
        """The object that `period list --format json` prints."""
        return {"months": [month.as_json() for month in self.months], "log": self.log}


def closed_months(lake: LakeReader, config: Config) -> list[Month]:
    """The months that finance has closed."""
    if not lake.load(periods.DOCUMENT).closed:
        return []
    return [month for month in overview(lake, config).months if month.closed_at]


def overview(lake: LakeReader, config: Config) -> Overview:
    """Every month that has usage, is closed or was restated."""
    known = lake.load(periods.DOCUMENT)
    months = lake.rows(_QUERY, {"closed": sorted(known.closed), "usd_is_1": config.pipeline.fx.usd_rate == "identity"})
    closed_at = {month: closing.closed_at for month, closing in known.closed.items()}
    return Overview(
        [Month(**row, closed_at=closed_at.get(row["month"])) for row in months], [dict(entry) for entry in known.log]
    )
