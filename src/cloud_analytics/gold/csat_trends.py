"""Customer satisfaction by organisation and month of the ticket."""

from __future__ import annotations

from cloud_analytics.gold.measures import month, ratio
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, Table, Whole
from cloud_analytics.tables.columns import COUNT, CSAT, MONTH, ORG_ID, RATIO, SHARE

TABLE = Table(
    "csat_trends",
    key=("org_id", "month"),
    columns=(
        ORG_ID,
        MONTH,
        Column("responses", "bigint", "tickets with a valid score", COUNT),
        Column("avg_csat", RATIO, "mean of the valid scores, 1–5", CSAT),
        Column("tickets", "bigint", "tickets created in the month", COUNT),
        Column("response_rate", RATIO, "responses / tickets", SHARE),
        Column("top_2_box_rate", RATIO, "share of the responses with a score of 4 or 5", SHARE),
        Column("responses_unresolved", "bigint", "responses of tickets that are not resolved", COUNT),
    ),
    reads=(Whole("silver/support_tickets"),),
)

_GOOD_CSAT = 4


def build(tickets: DataFrame) -> DataFrame:
    """silver/support_tickets → one row per (org, month). A response is a valid csat; rates are shares (0–1)."""
    sums = tickets.groupBy("org_id", month("created_at").alias("month")).agg(
        F.count("csat").alias("responses"),
        ratio(F.sum("csat"), F.count("csat")).alias("avg_csat"),
        F.count("*").alias("tickets"),
        ratio(F.count_if(F.col("csat") >= _GOOD_CSAT), F.count("csat")).alias("top_2_box_rate"),
        F.count(F.when(F.col("resolved_at").isNull(), F.col("csat"))).alias("responses_unresolved"),
    )
    return TABLE.select(sums.withColumn("response_rate", ratio("responses", "tickets")))
