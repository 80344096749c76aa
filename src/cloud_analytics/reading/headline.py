"""The few figures that `run` prints."""

from __future__ import annotations

from dataclasses import dataclass

from cloud_analytics.reading.lake import LakeReader


@dataclass(frozen=True)
class Headline:
    """Pairs of a figure's name and its value with unit; and the organisation with the highest cost (None: no usage)."""

    figures: list[tuple[str, str]]
    top_org: str | None


_QUERY = """
    SELECT count(*) AS rows, sum(total_cost_usd) AS cost, sum(total_requests)::BIGINT AS requests,
        sum(total_cpu_hours) AS cpu, sum(total_storage_gb_hours) AS storage, sum(total_genai_tokens) AS tokens,
        sum(total_carbon_kg) AS carbon, count(*) FILTER (is_anomaly) AS anomalies,
        (SELECT org_id FROM gold.org_daily_usage_by_service GROUP BY org_id
            ORDER BY sum(total_cost_usd) DESC, org_id DESC LIMIT 1) AS top_org,
        (SELECT count(*) FROM gold.revenue_by_org_month) AS months,
        (SELECT sum(net_revenue_usd) FROM gold.revenue_by_org_month) AS revenue
    FROM gold.org_daily_usage_by_service
"""


def headline(lake: LakeReader) -> Headline:
    """Read the figures from the daily usage and the revenue in Gold."""
    row = lake.row(_QUERY)
    figures = [
        ("cost of usage", f"{row['cost'] or 0:,.2f} USD"),
        ("rows of daily usage", f"{row['rows']:,}"),
        ("requests", f"{row['requests'] or 0:,}"),
        ("CPU hours", f"{row['cpu'] or 0:,.1f} h"),
        ("storage", f"{row['storage'] or 0:,.1f} GB h"),
        ("GenAI tokens", f"{row['tokens'] or 0:,.0f}"),
        ("carbon", f"{row['carbon'] or 0:,.1f} kg"),
        ("anomalous days (org, service)", f"{row['anomalies']:,}"),
        ("net revenue", f"{row['revenue'] or 0:,.2f} USD in {row['months']:,} org months"),
    ]
    return Headline(figures, row["top_org"])
