"""Carbon of each organisation and day, and how much of the usage reports it."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.gold.measures import ratio, total, total_or_zero
from cloud_analytics.lake.schemas import columns, conform

SCHEMA = columns(
    "org_id string, total_carbon_kg decimal(28,6), events bigint, events_with_carbon bigint,"
    " coverage decimal(38,10), carbon_kg_per_usd decimal(38,10), usage_date date"
)


def build(resource_days: DataFrame) -> DataFrame:
    """Resource days → one row an (org, day). `coverage` is the share (0–1) of events that report carbon."""
    sums = resource_days.groupBy("org_id", "usage_date").agg(
        total("carbon_kg").alias("total_carbon_kg"),
        F.sum("events").alias("events"),
        F.sum("events_with_carbon").alias("events_with_carbon"),
        total_or_zero("cost_usd").alias("_cost"),
    )
    return conform(
        sums.withColumn("coverage", ratio(F.col("events_with_carbon"), F.col("events"))).withColumn(
            "carbon_kg_per_usd", ratio(F.col("total_carbon_kg"), F.col("_cost"))
        ),
        SCHEMA,
    )
