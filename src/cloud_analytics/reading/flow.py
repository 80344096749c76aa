"""Row counts of each zone of a lake, and the few figures that `run` prints."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.gold import marts
from cloud_analytics.reading.audit import Audit
from cloud_analytics.reading.lake import LakeReader, each_source
from cloud_analytics.reading.tables import SOURCES


def flow(lake: LakeReader, law: Audit) -> pd.DataFrame:
    """How many tables and rows each zone holds, in the order of the flow; `law` is the audit of the same lake.

    Columns: `zone`, `part` (events, masters or all), `tables`, `rows`. Bronze holds every snapshot of a master. The
    serving tables are not queried, because they hold the same rows as their marts (law 6).
    """
    held = {}
    for zone, names in (("bronze", SOURCES), ("gold", tuple(marts()))):
        counts = each_source(f"SELECT '{{source}}' AS name, count(*) AS rows FROM {zone}.{{source}}", names)
        held[zone] = {row["name"]: row["rows"] for row in lake.rows(counts)}
    served = [name for name, mart in marts().items() if mart.table.serving]
    rows: list[tuple[str, str, int, int]] = []
    for part, names in (("events", (EVENTS,)), ("masters", MASTERS)):
        sources = [law.sources[name] for name in names]
        rows += [
            ("landing", part, len(names), sum(source.landing for source in sources)),
            ("bronze", part, len(names), sum(held["bronze"][name] for name in names)),
            ("silver", part, len(names), sum(source.silver for source in sources)),
            ("quarantine", part, len(names), sum(source.rejected for source in sources)),
        ]
    rows += [
        ("gold", "all", len(marts()), sum(held["gold"].values())),
        ("serving", "all", len(served), sum(held["gold"][name] for name in served)),
    ]
    return pd.DataFrame(rows, columns=["zone", "part", "tables", "rows"])


@dataclass(frozen=True)
class Headline:
    """Pairs of (name of a figure, value with unit), and the organisation with the highest cost (None: no usage)."""

    figures: list[tuple[str, str]]
    top_org: str | None


_HEADLINE = """
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
    """Compute the headline from the daily usage and the revenue in Gold."""
    row = lake.row(_HEADLINE)
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
