"""GenAI tokens, requests and cost of each organisation and day."""

from __future__ import annotations

from cloud_analytics.gold.measures import ratio
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, SameDate, Serving, Table
from cloud_analytics.tables.columns import MONEY, ORG_ID, RATIO, TOKENS, TOTAL_COST, TOTAL_REQUESTS, USAGE_DATE, Unit

TABLE = Table(
    "genai_tokens_by_org_date",
    key=("org_id", "usage_date"),
    columns=(
        ORG_ID,
        USAGE_DATE,
        Column("total_tokens", MONEY, "GenAI tokens; null where no event tells them", TOKENS),
        TOTAL_REQUESTS,
        TOTAL_COST,
        Column("avg_tokens_per_request", RATIO, "total_tokens / total_requests", Unit("tokens per request", 1)),
        Column(
            "cost_per_million_tokens",
            RATIO,
            "1,000,000 × total_cost_usd / total_tokens; `validate` (F1) says whether it tells anything",
            Unit("USD per million tokens", 4),
        ),
    ),
    reads=(SameDate("gold/org_daily_usage_by_service"),),
    partition="usage_date",
    serving=Serving(
        "genai_usage_daily",
        question="genai",
        asks="Product: how many GenAI tokens did an organisation use each day, and what did a million of them cost?",
        key="((org_id), usage_date DESC)",
        shown=("usage_date", "total_tokens", "total_cost_usd", "cost_per_million_tokens"),
    ),
)


def build(totals: DataFrame) -> DataFrame:
    """gold/org_daily_usage_by_service → one row per (org, day) with usage of the service genai. Costs are USD."""
    genai = totals.where("service = 'genai'").withColumn("total_tokens", F.col("total_genai_tokens"))
    ratios = {
        "avg_tokens_per_request": ratio("total_tokens", "total_requests"),
        "cost_per_million_tokens": ratio("total_cost_usd", "total_tokens", 1_000_000),
    }
    return TABLE.select(genai.withColumns(ratios))
