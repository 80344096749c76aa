"""Figures to distrust (F1 to F4): whether the data carry the signal that a figure seems to tell, in numbers.

A cost per token, for one, says something only if the cost of GenAI follows the tokens. Where it does not the figure is
computed as the contract says, and means nothing: neither a fault of the pipeline nor one of a record.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cloud_analytics.reading.lake import LakeReader

FOLLOWS = 0.5
"""Least rank correlation (or share of the expected change) that counts as following."""
NOT_A_MULTIPLE = 0.01
"""Least share of the variance of carbon that its quantity does not explain."""
FEWEST = 30
"""With fewer observations chance alone makes such correlations: there is no verdict."""
_FAR_RATE = 2
"""Times that a currency is worth more or less than a dollar, at least, for amounts in it to be told from dollars."""


@dataclass(frozen=True)
class Signal:
    """Whether the data carry a signal, evidence in words and in numbers, and what follows where they do not."""

    id: str
    statement: str
    informative: bool | None
    """None: too few observations to tell."""
    evidence: str
    figures: dict[str, Any]
    consequence: str

    @property
    def warning(self) -> str | None:
        """What to tell beside a figure that needs the signal; None where the data carry it, or nobody can tell."""
        if self.informative is not False:
            return None
        return f"{self.id}, {self.statement}: not so in these data ({self.evidence}). So {self.consequence}."


def figures_to_distrust(lake: LakeReader) -> list[Signal]:
    """F1 to F4, from Silver and Gold."""
    return [_tokens(lake), _carbon(lake), _invoices(lake), _currencies(lake)]


def _tokens(lake: LakeReader) -> Signal:
    found = lake.row(
        """
        SELECT count(*) AS n, corr(cost, tokens) AS r FROM (
            SELECT rank() OVER (ORDER BY cost_usd) AS cost, rank() OVER (ORDER BY genai_tokens) AS tokens
            FROM silver.usage_events WHERE service = 'genai' AND genai_tokens IS NOT NULL AND cost_usd > 0
        )
        """
    )
    n, r = found["n"], _number(found["r"])
    return Signal(
        "F1",
        "GenAI cost follows tokens",
        _judged(n, r, FOLLOWS),
        f"rank correlation of cost and tokens {_told(r)}, over {n:,} events (from {FOLLOWS} on it follows)",
        {"events": n, "rank_correlation": r},
        "cost_per_million_tokens and forecasts of cost from tokens say nothing",
    )


def _carbon(lake: LakeReader) -> Signal:
    found = lake.row(
        """
        SELECT count(*) AS n, 1 - corr(carbon_kg::DOUBLE, value::DOUBLE) ^ 2 AS unexplained
        FROM silver.usage_events WHERE value > 0 AND carbon_kg > 0
        """
    )
    n, unexplained = found["n"], _number(found["unexplained"])
    return Signal(
        "F2",
        "Carbon is more than a multiple of the quantity",
        _judged(n, unexplained, NOT_A_MULTIPLE),
        f"the quantity leaves {_told(unexplained, '.4%')} of the variance of carbon unexplained, over {n:,} events"
        f" (from {NOT_A_MULTIPLE:.0%} on carbon tells something of its own)",
        {"events": n, "unexplained_variance": unexplained},
        "carbon compares quantities, not regions or services, and carbon_kg_per_usd is a price the other way round",
    )


def _invoices(lake: LakeReader) -> Signal:
    found = lake.row(
        """
        WITH usage AS (
            SELECT org_id, strftime(usage_date, '%Y-%m') AS month, sum(total_cost_usd) AS cost
            FROM gold.org_daily_usage_by_service GROUP BY ALL
        ), months AS (
            SELECT percent_rank() OVER (PARTITION BY month ORDER BY cost) AS used,
                   percent_rank() OVER (PARTITION BY month ORDER BY gross_revenue_usd) AS invoiced
            FROM usage JOIN gold.revenue_by_org_month AS invoices
                ON invoices.org_id = usage.org_id AND invoices.billing_month = usage.month
        )
        SELECT count(*) AS n, corr(used, invoiced) AS r FROM months
        """
    )
    n, r = found["n"], _number(found["r"])
    return Signal(
        "F3",
        "Invoices follow usage",
        _judged(n, r, FOLLOWS),
        f"rank correlation of usage and invoice within a month {_told(r)}, over {n:,} months of organisations"
        f" (from {FOLLOWS} on it follows)",
        {"org_months": n, "rank_correlation": r},
        "revenue against usage, margins and single differences of the reconciliation say nothing",
    )


def _currencies(lake: LakeReader) -> Signal:
    currencies = lake.rows(
        """
        SELECT upper(currency) AS currency, count(*) AS n, median(subtotal)::DOUBLE AS amount,
               median(exchange_rate_to_usd)::DOUBLE AS rate
        FROM silver.billing_monthly WHERE subtotal > 0 GROUP BY ALL ORDER BY ALL
        """
    )
    dollars = next((row for row in currencies if row["currency"] == "USD"), None)
    far = [row for row in currencies if row is not dollars and abs(math.log(row["rate"])) >= math.log(_FAR_RATE)]
    n, share = 0, None
    if dollars and far:
        n = min(row["n"] for row in (dollars, *far))
        # In a currency that is worth a tenth of a dollar amounts should be ten times as large: that is a share of 1.
        shares = [math.log(row["amount"] / dollars["amount"]) / -math.log(row["rate"]) for row in far]
        share = sum(shares) / len(shares)
    sizes = ", ".join(f"{row['currency']} {row['amount']:,.2f} (worth {row['rate']:g} USD)" for row in currencies)
    return Signal(
        "F4",
        "Amounts shrink and grow with the currency",
        _judged(n, share, FOLLOWS),
        f"median amounts: {sizes or 'no invoices'}; they change by {_told(share)} of what the rates ask for, in"
        f" orders of magnitude (from {FOLLOWS} on they follow)",
        {"fewest_invoices": n, "share_of_expected_change": share, "median_amounts": _medians(currencies)},
        "converted amounts of such a currency are too small or too large: see currency_suspect of the reconciliation",
    )


def _medians(currencies: Sequence[dict[str, object]]) -> dict[str, object]:
    return {str(row["currency"]): row["amount"] for row in currencies}


def _number(value: float | None) -> float | None:
    """DuckDB's NaN, where nothing varies, is no number."""
    return None if value is None or math.isnan(value) else value


def _told(value: float | None, form: str = ".2f") -> str:
    return "unknown" if value is None else format(value, form)


def _judged(n: int, found: float | None, least: float) -> bool | None:
    return None if n < FEWEST or found is None else found >= least
