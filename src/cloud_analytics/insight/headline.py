"""The few figures that `run` prints."""

from __future__ import annotations

from pyspark.sql import functions as F

from cloud_analytics.gold.build import DAILY, SCHEMAS, table
from cloud_analytics.storage.lake import Lake


def headline(lake: Lake) -> list[tuple[str, str]]:
    """(figure, value with its unit) from Gold: one job over the two marts that hold them."""
    daily = lake.read(table(DAILY), SCHEMAS[DAILY]).agg(
        F.count("*").alias("rows"),
        F.sum("total_cost_usd").alias("cost"),
        F.sum("total_requests").alias("requests"),
        F.sum("total_cpu_hours").alias("cpu"),
        F.sum("total_storage_gb_hours").alias("storage"),
        F.sum("total_genai_tokens").alias("tokens"),
        F.sum("total_carbon_kg").alias("carbon"),
        F.sum(F.col("is_anomaly").cast("int")).alias("anomalies"),
    )
    mart = "revenue_by_org_month"
    revenue = lake.read(table(mart), SCHEMAS[mart]).agg(
        F.count("*").alias("months"), F.sum("net_revenue_usd").alias("revenue")
    )
    row = daily.crossJoin(revenue).first()
    assert row is not None  # aggregates without groups have one row
    return [
        ("cost of usage", f"{row.cost or 0:,.2f} USD"),
        ("rows of daily usage", f"{row.rows:,}"),
        ("requests", f"{row.requests or 0:,}"),
        ("CPU hours", f"{row.cpu or 0:,.1f} h"),
        ("storage", f"{row.storage or 0:,.1f} GB h"),
        ("GenAI tokens", f"{row.tokens or 0:,.0f}"),
        ("carbon", f"{row.carbon or 0:,.1f} kg"),
        ("anomalous days (org, service)", f"{row.anomalies or 0:,}"),
        ("net revenue", f"{row.revenue or 0:,.2f} USD in {row.months:,} org months"),
    ]
