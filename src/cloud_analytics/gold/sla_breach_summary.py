"""SLA breaches by organisation, month of creation and severity."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.gold.measures import count_if, month, or_unknown, ratio
from cloud_analytics.lake.schemas import columns, conform

SCHEMA = columns(
    "org_id string, month string, severity string, total_tickets bigint, sla_breach_count bigint,"
    " sla_breach_rate decimal(38,10), median_resolution_days decimal(38,10)"
)


def build(tickets: DataFrame) -> DataFrame:
    """silver/support_tickets → one row an (org, month, severity). Days are from creation to resolution."""
    days = F.datediff("resolved_at", "created_at")
    sums = tickets.groupBy("org_id", month("created_at").alias("month"), or_unknown("severity")).agg(
        F.count("*").alias("total_tickets"),
        count_if(F.col("sla_breached")).alias("sla_breach_count"),
        F.median(days).alias("median_resolution_days"),
    )
    return conform(sums.withColumn("sla_breach_rate", ratio(F.col("sla_breach_count"), F.col("total_tickets"))), SCHEMA)
