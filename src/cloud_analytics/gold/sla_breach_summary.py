"""SLA breaches by organisation, month of creation and severity."""

from __future__ import annotations

from cloud_analytics.gold.measures import month, or_unknown, ratio
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, Table, Whole
from cloud_analytics.tables.columns import COUNT, DAYS, MONTH, ORG_ID, RATIO, SEVERITY, SHARE

TABLE = Table(
    "sla_breach_summary",
    key=("org_id", "month", "severity"),
    columns=(
        ORG_ID,
        MONTH,
        SEVERITY,
        Column("total_tickets", "bigint", "tickets created in the month", COUNT),
        Column("sla_breach_count", "bigint", "of them, those that broke their SLA", COUNT),
        Column("sla_breach_rate", RATIO, "sla_breach_count / total_tickets", SHARE),
        Column("median_resolution_days", RATIO, "from creation to resolution, of the resolved ones", DAYS),
        Column("unresolved_tickets", "bigint", "tickets that are not resolved", COUNT),
    ),
    reads=(Whole("silver/support_tickets"),),
)


def build(tickets: DataFrame) -> DataFrame:
    """silver/support_tickets → one row per (org, month, severity). Days are counted from creation to resolution."""
    days = F.datediff("resolved_at", "created_at")
    sums = tickets.groupBy("org_id", month("created_at").alias("month"), or_unknown("severity")).agg(
        F.count("*").alias("total_tickets"),
        F.count_if("sla_breached").alias("sla_breach_count"),
        F.median(days).alias("median_resolution_days"),
        F.count_if(F.col("resolved_at").isNull()).alias("unresolved_tickets"),
    )
    return TABLE.select(sums.withColumn("sla_breach_rate", ratio("sla_breach_count", "total_tickets")))
