"""Customer satisfaction by organisation and month of the ticket."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.gold.measures import month, ratio
from cloud_analytics.lake.schemas import columns, conform

SCHEMA = columns(
    "org_id string, month string, responses bigint, avg_csat decimal(38,10), tickets bigint,"
    " response_rate decimal(38,10)"
)


def build(tickets: DataFrame) -> DataFrame:
    """silver/support_tickets → one row an (org, month). A response is a valid csat; response_rate is a share 0–1."""
    sums = tickets.groupBy("org_id", month("created_at").alias("month")).agg(
        F.count("csat").alias("responses"),
        ratio(F.sum("csat"), F.count("csat")).alias("avg_csat"),
        F.count("*").alias("tickets"),
    )
    return conform(sums.withColumn("response_rate", ratio(F.col("responses"), F.col("tickets"))), SCHEMA)
