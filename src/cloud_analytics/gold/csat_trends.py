"""Customer satisfaction by organisation and month of the ticket."""

from __future__ import annotations

from cloud_analytics.gold.measures import month, ratio
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, Table, Whole
from cloud_analytics.tables.columns import COUNT, CSAT, ORG_ID, RATIO, SHARE

TABLE = Table(
    "csat_trends",
    key=("org_id", "month"),
    columns=(
        ORG_ID,
        Column("month", "string", "the month"),
        Column("responses", "bigint", "tickets with a valid score", COUNT),
        Column("avg_csat", RATIO, "mean of the valid scores, 1–5", CSAT),
        Column("tickets", "bigint", "tickets created in the month", COUNT),
        Column("response_rate", RATIO, "responses / tickets", SHARE),
    ),
    reads=(Whole("silver/support_tickets"),),
)


def build(tickets: DataFrame) -> DataFrame:
    """silver/support_tickets → one row an (org, month). A response is a valid csat; response_rate is a share 0–1."""
    sums = tickets.groupBy("org_id", month("created_at").alias("month")).agg(
        F.count("csat").alias("responses"),
        ratio(F.sum("csat"), F.count("csat")).alias("avg_csat"),
        F.count("*").alias("tickets"),
    )
    return TABLE.select(sums.withColumn("response_rate", ratio(F.col("responses"), F.col("tickets"))))
