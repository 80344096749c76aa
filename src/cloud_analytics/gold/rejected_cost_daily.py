"""The cost that rejected usage events carried, by organisation, day and reason."""

from __future__ import annotations

from cloud_analytics.gold.measures import or_unknown, total
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, SameDate, Table
from cloud_analytics.tables.columns import COUNT, MONEY, USAGE_DATE, USD

TABLE = Table(
    "rejected_cost_daily",
    key=("org_id", "usage_date", "error_type"),
    columns=(
        Column("org_id", "string", "the organisation; `unknown` where the record names none"),
        USAGE_DATE,
        Column("error_type", "string", "the first rule that the records broke"),
        Column("events", "bigint", "rejected records with a usable timestamp", COUNT),
        Column("cost_usd", MONEY, "their costs that are finite numbers under 10^12; null where none is", USD),
    ),
    reads=(SameDate("quarantine/usage_events"),),
    partition="usage_date",
)


def build(rejects: DataFrame) -> DataFrame:
    """quarantine/usage_events → one row per (org, day, error_type) of the records with a usable timestamp.

    The original text is parsed again. `cost_usd` (USD) is the sum of the costs that are finite numbers under 10^12;
    null if there is no such cost.
    """
    from cloud_analytics.landing.events import parse_lines  # imports Spark
    from cloud_analytics.landing.text import decimal, trimmed

    parsed = parse_lines(rejects.select("raw", "raw_bytes", "error_type")).where("event_ts IS NOT NULL")
    costs = parsed.select(
        trimmed(F.col("org_id")).alias("org_id"),
        F.to_date("event_ts").alias("usage_date"),
        "error_type",
        decimal(F.col("cost_usd_increment")).alias("cost_usd"),
    )
    sums = costs.groupBy(or_unknown("org_id"), "usage_date", "error_type").agg(
        F.count("*").alias("events"), total("cost_usd").alias("cost_usd")
    )
    return TABLE.select(sums)
