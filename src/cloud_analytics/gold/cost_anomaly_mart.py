"""Days on which an organisation's cost of a service was anomalous, or held an anomalous event, with the culprit."""

from __future__ import annotations

from cloud_analytics.gold.measures import ratio, total_or_zero
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import MONEY, RATIO, Column, SameDate, Serving, Table
from cloud_analytics.tables.columns import (
    ANOMALOUS_COST,
    DAY_SCORE,
    EXPECTED_COST,
    FLAGGED_EVENTS,
    ORG_ID,
    PERCENT,
    SERVICE,
    USAGE_DATE,
    USD,
)

TABLE = Table(
    "cost_anomaly_mart",
    key=("org_id", "usage_date", "service"),
    columns=(
        ORG_ID,
        USAGE_DATE,
        SERVICE,
        Column("actual_cost_usd", MONEY, "what the day cost", USD),
        EXPECTED_COST,
        Column("impact_usd", "decimal(28,8)", "what it cost more (actual - expected)", USD),
        Column("impact_pct", RATIO, "the same, in per cent (100 x impact / expected)", PERCENT),
        DAY_SCORE,
        Column("is_daily_anomaly", "boolean", "the day's total stands out; false: only single events do"),
        *FLAGGED_EVENTS,
        ANOMALOUS_COST,
        Column("top_resource_id", "string", "the resource with the highest cost of that day"),
        Column("top_resource_cost_usd", MONEY, "what it cost that day", USD),
    ),
    reads=(SameDate("gold/org_daily_usage_by_service"), SameDate("gold/resource_daily_usage")),
    partition="usage_date",
    serving=Serving(
        "cost_anomalies",
        question="anomalies",
        asks="FinOps: on which days did an organisation's cost of a service stand out, by how much, and"
        " which resource caused it?",
        key="((org_id), usage_date DESC, service)",
        shown=("usage_date", "service", "actual_cost_usd", "expected_cost_usd", "impact_usd", "top_resource_id"),
        top_by="impact_usd",
    ),
)

_COUNTS = [column.name for column in FLAGGED_EVENTS]


def build(daily: DataFrame, usage: DataFrame) -> DataFrame:
    """The daily mart and gold/resource_daily_usage of the same dates → one row per anomalous (org, day, service).

    Amounts are USD. top_resource_id is the resource with the highest cost of the day; if several have it, the smallest
    id.
    """
    sums = [F.sum(name).alias(name) for name in (*_COUNTS, "cost_usd", "anomalous_cost_usd")]
    resources = usage.groupBy(*TABLE.key, "resource_id").agg(*sums)
    causes = resources.groupBy(*TABLE.key).agg(
        *[F.sum(name).alias(name) for name in _COUNTS],
        total_or_zero("anomalous_cost_usd").alias("anomalous_cost_usd"),
        F.min_by("resource_id", F.struct(-F.col("cost_usd"), "resource_id")).alias("top_resource_id"),
        F.max("cost_usd").alias("top_resource_cost_usd"),
    )
    actual, expected = F.col("total_cost_usd"), F.col("expected_cost_usd")
    impact = (actual - expected).cast("decimal(28,8)")
    # `ratio` keeps 6 decimals, and these amounts have 8: the factor 100 on both sides keeps all of them.
    percent = ratio(impact * 100, expected * 100, factor=100)
    joined = daily.join(causes, [*TABLE.key]).where(F.col("is_anomaly") | (F.col("anomalous_events") > 0))
    named = {
        "actual_cost_usd": actual,
        "impact_usd": impact,
        "impact_pct": percent,
        "is_daily_anomaly": F.col("is_anomaly"),
    }
    return TABLE.select(joined.withColumns(named))
