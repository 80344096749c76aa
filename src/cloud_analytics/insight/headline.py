"""The few figures that `run` prints."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import functions as F

from cloud_analytics.gold.build import DAILY, SCHEMAS, table
from cloud_analytics.lake.lake import Lake

_SUMS = {
    "cost": "total_cost_usd",
    "requests": "total_requests",
    "cpu": "total_cpu_hours",
    "storage": "total_storage_gb_hours",
    "tokens": "total_genai_tokens",
    "carbon": "total_carbon_kg",
    "anomalies": "int(is_anomaly)",
}


@dataclass(frozen=True)
class Headline:
    """(figure, value with its unit), and the organisation whose usage cost the most (None where there is no usage)."""

    figures: list[tuple[str, str]]
    top_org: str | None


def headline(lake: Lake) -> Headline:
    """Read from Gold: one job over the two marts that hold the figures."""
    by_org = lake.read(table(DAILY), SCHEMAS[DAILY]).groupBy("org_id")
    orgs = by_org.agg(F.count("*").alias("rows"), *[F.sum(F.expr(text)).alias(name) for name, text in _SUMS.items()])
    daily = orgs.agg(
        *[F.sum(name).alias(name) for name in ("rows", *_SUMS)],
        F.max_by("org_id", F.struct("cost", "org_id")).alias("top_org"),
    )
    mart = "revenue_by_org_month"
    revenue = lake.read(table(mart), SCHEMAS[mart]).agg(
        F.count("*").alias("months"), F.sum("net_revenue_usd").alias("revenue")
    )
    row = daily.crossJoin(revenue).first()
    assert row is not None  # aggregates without groups have one row
    figures = [
        ("cost of usage", f"{row.cost or 0:,.2f} USD"),
        ("rows of daily usage", f"{row.rows or 0:,}"),
        ("requests", f"{row.requests or 0:,}"),
        ("CPU hours", f"{row.cpu or 0:,.1f} h"),
        ("storage", f"{row.storage or 0:,.1f} GB h"),
        ("GenAI tokens", f"{row.tokens or 0:,.0f}"),
        ("carbon", f"{row.carbon or 0:,.1f} kg"),
        ("anomalous days (org, service)", f"{row.anomalies or 0:,}"),
        ("net revenue", f"{row.revenue or 0:,.2f} USD in {row.months:,} org months"),
    ]
    return Headline(figures, row.top_org)
