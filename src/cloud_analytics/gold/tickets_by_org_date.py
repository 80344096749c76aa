"""Support tickets by organisation, creation date and severity."""

from __future__ import annotations

from cloud_analytics.gold.measures import or_unknown, ratio
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, Serving, Table, Whole
from cloud_analytics.tables.columns import COUNT, CSAT, ORG_ID, RATIO, SEVERITY, SHARE

TABLE = Table(
    "tickets_by_org_date",
    key=("org_id", "ticket_date", "severity"),
    columns=(
        ORG_ID,
        Column("ticket_date", "date", "when the tickets were created"),
        SEVERITY,
        Column("total_tickets", "bigint", "tickets", COUNT),
        Column("open_tickets", "bigint", "of them, those without a resolution", COUNT),
        Column("sla_breach_count", "bigint", "of them, those that broke their SLA", COUNT),
        Column("sla_breach_rate", RATIO, "sla_breach_count / total_tickets", SHARE),
        Column("avg_csat", RATIO, "mean satisfaction (1-5, valid scores)", CSAT),
    ),
    reads=(Whole("silver/support_tickets"),),
    serving=Serving(
        "support_tickets_summary",
        question="tickets",
        asks="Support: how many tickets were opened, how many are open, and how many broke their SLA,"
        " by day and severity?",
        key="((org_id), ticket_date DESC, severity)",
        shown=("ticket_date", "severity", "total_tickets", "open_tickets", "sla_breach_count", "avg_csat"),
    ),
)


def build(tickets: DataFrame) -> DataFrame:
    """silver/support_tickets → one row per (org, day, severity). Rates are shares (0–1); csat: valid scores, 1–5."""
    sums = tickets.groupBy("org_id", F.col("created_at").alias("ticket_date"), or_unknown("severity")).agg(
        F.count("*").alias("total_tickets"),
        F.count_if(F.col("resolved_at").isNull()).alias("open_tickets"),
        F.count_if("sla_breached").alias("sla_breach_count"),
        ratio(F.sum("csat"), F.count("csat")).alias("avg_csat"),
    )
    return TABLE.select(sums.withColumn("sla_breach_rate", ratio("sla_breach_count", "total_tickets")))
