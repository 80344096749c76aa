"""The figures to distrust (F1 to F4): do the data carry the information that a figure seems to give?

A cost per token, for example, has a meaning only if the cost of GenAI follows the tokens. If it does not, the pipeline
still computes the figure by the contract, but the figure means nothing. Neither the pipeline nor a record is at fault.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cloud_analytics.reading.checks import Check, Verdict

if TYPE_CHECKING:
    from cloud_analytics.reading.lake import LakeReader

FOLLOWS = 0.5
"""The least rank correlation (or share of the expected change) at which one figure follows another."""
NOT_A_MULTIPLE = 0.01
"""The least share of the variance of carbon that the quantity must leave unexplained, for carbon to be informative."""
FEWEST = 30
"""The least number of observations for a verdict: with fewer, chance alone produces such correlations."""
_FAR_RATE = 2
"""Only currencies worth at least this many times more or less than a dollar are compared: others differ too little."""


def figures_to_distrust(lake: LakeReader) -> list[Check]:
    """Compute the checks F1 to F4 from Silver and Gold."""
    return [_tokens(lake), _carbon(lake), _invoices(lake), _currencies(lake)]


def _tokens(lake: LakeReader) -> Check:
    n, r = _count_and_measure(
        lake,
        """
        SELECT count(*) AS n, corr(cost, tokens) AS measure FROM (
            SELECT rank() OVER (ORDER BY cost_usd) AS cost, rank() OVER (ORDER BY genai_tokens) AS tokens
            FROM silver.usage_events WHERE service = 'genai' AND genai_tokens IS NOT NULL AND cost_usd > 0
        )
        """,
    )
    return Check(
        "F1",
        "GenAI cost follows tokens",
        _informative(n, r, FOLLOWS),
        f"rank correlation of cost and tokens {_in_words(r)}, over {n:,} events (from {FOLLOWS} on it follows)",
        {"events": n, "rank_correlation": r},
        "cost_per_million_tokens and forecasts of cost from tokens say nothing",
    )


def _carbon(lake: LakeReader) -> Check:
    n, unexplained = _count_and_measure(
        lake,
        """
        SELECT count(*) AS n, 1 - corr(carbon_kg::DOUBLE, value::DOUBLE) ^ 2 AS measure
        FROM silver.usage_events WHERE value > 0 AND carbon_kg > 0
        """,
    )
    return Check(
        "F2",
        "Carbon is more than a multiple of the quantity",
        _informative(n, unexplained, NOT_A_MULTIPLE),
        f"the quantity leaves {_in_words(unexplained, '.4%')} of the variance of carbon unexplained, over {n:,} events"
        f" (from {NOT_A_MULTIPLE:.0%} on carbon tells something of its own)",
        {"events": n, "unexplained_variance": unexplained},
        "carbon compares quantities, not regions or services, and carbon_kg_per_usd is a price the other way round",
    )


def _invoices(lake: LakeReader) -> Check:
    n, r = _count_and_measure(
        lake,
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
        SELECT count(*) AS n, corr(used, invoiced) AS measure FROM months
        """,
    )
    return Check(
        "F3",
        "Invoices follow usage",
        _informative(n, r, FOLLOWS),
        f"rank correlation of usage and invoice within a month {_in_words(r)}, over {n:,} months of organisations"
        f" (from {FOLLOWS} on it follows)",
        {"org_months": n, "rank_correlation": r},
        "revenue against usage, margins and single differences of the reconciliation say nothing",
    )


def _currencies(lake: LakeReader) -> Check:
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
        # Amounts in a currency worth a tenth of a dollar should be ten times as large. If they are, the share is 1.
        shares = [math.log(row["amount"] / dollars["amount"]) / -math.log(row["rate"]) for row in far]
        share = sum(shares) / len(shares)
    sizes = ", ".join(f"{row['currency']} {row['amount']:,.2f} (worth {row['rate']:g} USD)" for row in currencies)
    return Check(
        "F4",
        "Amounts shrink and grow with the currency",
        _informative(n, share, FOLLOWS),
        f"median amounts: {sizes or 'no invoices'}; they change by {_in_words(share)} of what the rates ask for, in"
        f" orders of magnitude (from {FOLLOWS} on they follow)",
        {
            "fewest_invoices": n,
            "share_of_expected_change": share,
            "median_amounts": {row["currency"]: row["amount"] for row in currencies},
        },
        "converted amounts of such a currency are too small or too large: see currency_suspect of the reconciliation",
    )


def _count_and_measure(lake: LakeReader, query: str) -> tuple[int, float | None]:
    """`n` and `measure` of a query. DuckDB returns NaN where no value varies; `measure` is then None."""
    found = lake.row(query)
    measure = found["measure"]
    return found["n"], None if measure is None or math.isnan(measure) else measure


def _in_words(value: float | None, form: str = ".2f") -> str:
    return "unknown" if value is None else format(value, form)


def _informative(n: int, found: float | None, least: float) -> Verdict:
    if n < FEWEST or found is None:
        return Verdict.NOT_CHECKED
    return Verdict.INFORMATIVE if found >= least else Verdict.NOT_INFORMATIVE
