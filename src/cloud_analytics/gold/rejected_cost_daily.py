"""The cost that rejected usage events carried, by organisation, day and reason."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.gold.measures import or_unknown, total
from cloud_analytics.lake.schemas import columns, conform
from cloud_analytics.landing.events import parse_lines
from cloud_analytics.landing.text import decimal, trimmed

SCHEMA = columns("org_id string, error_type string, events bigint, cost_usd decimal(28,6), usage_date date")


def build(rejects: DataFrame) -> DataFrame:
    """quarantine/usage_events → one row an (org, day, error_type), of the records with a usable timestamp.

    The original text is read once more: `cost_usd` (USD) sums what is a finite number under 10^12, null if nothing is.
    """
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
    return conform(sums, SCHEMA)
