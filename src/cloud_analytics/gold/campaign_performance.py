"""Touches, clicks and conversions of each campaign, channel and month."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.gold.measures import count_if, month, or_unknown, ratio
from cloud_analytics.lake.schemas import columns, conform

SCHEMA = columns(
    "campaign string, channel string, month string, touches bigint, clicks bigint, conversions bigint,"
    " click_rate decimal(38,10), conversion_rate decimal(38,10)"
)


def build(touches: DataFrame) -> DataFrame:
    """silver/marketing_touches → one row a (campaign, channel, month). Rates are shares 0–1 of the touches."""
    sums = touches.groupBy(or_unknown("campaign"), or_unknown("channel"), month("timestamp").alias("month")).agg(
        F.count("*").alias("touches"),
        count_if(F.col("clicked")).alias("clicks"),
        count_if(F.col("converted")).alias("conversions"),
    )
    touched = F.col("touches")
    return conform(
        sums.withColumn("click_rate", ratio(F.col("clicks"), touched)).withColumn(
            "conversion_rate", ratio(F.col("conversions"), touched)
        ),
        SCHEMA,
    )
