"""Carbon of each organisation and day, and how much of the usage reports it."""

from __future__ import annotations

from cloud_analytics.gold.measures import ratio, total, total_or_zero
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, SameDate, Serving, Table
from cloud_analytics.tables.columns import COUNT, EVENTS, ORG_ID, RATIO, SHARE, TOTAL_CARBON, USAGE_DATE, Unit

TABLE = Table(
    "carbon_impact",
    key=("org_id", "usage_date"),
    columns=(
        ORG_ID,
        USAGE_DATE,
        TOTAL_CARBON,
        EVENTS,
        Column("events_with_carbon", "bigint", "of them, those that tell their carbon", COUNT),
        Column("coverage", RATIO, "events_with_carbon / events", SHARE),
        Column(
            "carbon_kg_per_usd",
            RATIO,
            "total_carbon_kg / cost; `validate` (F2) says whether it tells anything",
            Unit("kg CO2e per USD", 4),
        ),
    ),
    reads=(SameDate("gold/resource_daily_usage"),),
    partition="usage_date",
    serving=Serving(
        "carbon_daily",
        question="carbon",
        asks="Sustainability: how much carbon did an organisation's usage cause each day, and how much"
        " of it is measured?",
        key="((org_id), usage_date DESC)",
        shown=("usage_date", "total_carbon_kg", "coverage", "carbon_kg_per_usd"),
    ),
)


def build(usage: DataFrame) -> DataFrame:
    """gold/resource_daily_usage → one row per (org, day). `coverage` is the share (0–1) of events with carbon."""
    sums = usage.groupBy("org_id", "usage_date").agg(
        total("total_carbon_kg").alias("total_carbon_kg"),
        F.sum("events").alias("events"),
        F.sum("events_with_carbon").alias("events_with_carbon"),
        total_or_zero("cost_usd").alias("_cost"),
    )
    coverage, per_usd = ratio("events_with_carbon", "events"), ratio("total_carbon_kg", "_cost")
    return TABLE.select(sums.withColumns({"coverage": coverage, "carbon_kg_per_usd": per_usd}))
