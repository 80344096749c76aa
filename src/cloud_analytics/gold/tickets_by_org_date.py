"""Support tickets by organisation, creation date and severity."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.gold.measures import count_if, or_unknown, ratio
from cloud_analytics.lake.schemas import columns, conform

SCHEMA = columns(
    "org_id string, ticket_date date, severity string, total_tickets bigint, open_tickets bigint,"
    " sla_breach_count bigint, sla_breach_rate decimal(38,10), avg_csat decimal(38,10)"
)


def build(tickets: DataFrame) -> DataFrame:
    """silver/support_tickets → one row an (org, day, severity). Rates are shares 0–1; csat 1–5, valid scores only."""
    sums = tickets.groupBy("org_id", F.col("created_at").alias("ticket_date"), or_unknown("severity")).agg(
        F.count("*").alias("total_tickets"),
        count_if(F.col("resolved_at").isNull()).alias("open_tickets"),
        count_if(F.col("sla_breached")).alias("sla_breach_count"),
        ratio(F.sum("csat"), F.count("csat")).alias("avg_csat"),
    )
    return conform(sums.withColumn("sla_breach_rate", ratio(F.col("sla_breach_count"), F.col("total_tickets"))), SCHEMA)
