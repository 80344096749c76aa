"""Touches, clicks and conversions of each campaign, channel and month."""

from __future__ import annotations

from cloud_analytics.gold.measures import month, or_unknown, ratio
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, Table, Whole
from cloud_analytics.tables.columns import COUNT, MONTH, RATIO, SHARE

TABLE = Table(
    "campaign_performance",
    key=("campaign", "channel", "month"),
    columns=(
        Column("campaign", "string", "the campaign"),
        Column("channel", "string", "where it reached the organisation"),
        MONTH,
        Column("touches", "bigint", "contacts", COUNT),
        Column("clicks", "bigint", "contacts that were clicked", COUNT),
        Column("conversions", "bigint", "contacts that led to a sale", COUNT),
        Column("click_rate", RATIO, "clicks / touches", SHARE),
        Column("conversion_rate", RATIO, "conversions / touches", SHARE),
    ),
    reads=(Whole("silver/marketing_touches"),),
)


def build(touches: DataFrame) -> DataFrame:
    """silver/marketing_touches → one row per (campaign, channel, month). Rates are shares (0–1) of the touches."""
    sums = touches.groupBy(or_unknown("campaign"), or_unknown("channel"), month("timestamp").alias("month")).agg(
        F.count("*").alias("touches"),
        F.count_if("clicked").alias("clicks"),
        F.count_if("converted").alias("conversions"),
    )
    rates = {"click_rate": ratio("clicks", "touches"), "conversion_rate": ratio("conversions", "touches")}
    return TABLE.select(sums.withColumns(rates))
