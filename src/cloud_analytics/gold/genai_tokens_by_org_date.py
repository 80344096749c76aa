"""GenAI tokens, requests and cost of each organisation and day."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.gold.measures import ratio
from cloud_analytics.lake.schemas import columns, conform

SCHEMA = columns(
    "org_id string, total_tokens decimal(28,6), total_requests bigint, total_cost_usd decimal(28,6),"
    " avg_tokens_per_request decimal(38,10), cost_per_million_tokens decimal(38,10), usage_date date"
)


def build(totals: DataFrame) -> DataFrame:
    """Daily totals → one row an (org, day) with usage of the service genai. Cost per million tokens in USD."""
    genai = totals.where("service = 'genai'").withColumn("total_tokens", F.col("total_genai_tokens"))
    tokens, cost = F.col("total_tokens"), F.col("total_cost_usd")
    return conform(
        genai.withColumn("avg_tokens_per_request", ratio(tokens, F.col("total_requests"))).withColumn(
            "cost_per_million_tokens", ratio(cost, tokens, 1_000_000)
        ),
        SCHEMA,
    )
