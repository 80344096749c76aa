"""Usage and cost of each resource, region and metric on a day: the source of every other mart of the events."""

from __future__ import annotations

from collections.abc import Mapping

from cloud_analytics.gold.measures import total, total_or_zero
from cloud_analytics.landing.text import lookup
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, SameDate, Table
from cloud_analytics.tables.columns import (
    ANOMALOUS_COST,
    COUNT,
    EVENTS,
    FLAGGED_EVENTS,
    MONEY,
    ORG_ID,
    SERVICE,
    TOTAL_CARBON,
    TOTAL_TOKENS,
    USAGE_DATE,
    USD,
    Unit,
)

TABLE = Table(
    "resource_daily_usage",
    key=("org_id", "usage_date", "resource_id", "service", "region_code", "metric"),
    columns=(
        ORG_ID,
        USAGE_DATE,
        Column("resource_id", "string", "the resource"),
        SERVICE,
        Column("region_code", "string", "the canonical region; `unknown` where it is not known"),
        Column("metric", "string", "what is measured"),
        EVENTS,
        Column("cost_usd", MONEY, "cost", USD),
        Column("quantity", MONEY, "how much of the metric; null where no event says", Unit("unit of the metric", 2)),
        Column("unit", "string", "the metric's unit"),
        Column("cost_without_quantity_usd", MONEY, "cost of the events that do not say how much", USD),
        TOTAL_CARBON,
        TOTAL_TOKENS,
        Column("events_with_carbon", "bigint", "events that tell their carbon", COUNT),
        Column("cost_usd_capped", MONEY, "cost without outliers", USD),
        *FLAGGED_EVENTS,
        ANOMALOUS_COST,
    ),
    reads=(SameDate("silver/usage_events"),),
    partition="usage_date",
    settings=lambda config: config.taxonomy.metric_units(),
    in_parts=True,
)
_FLAGS = {
    "zscore_events": "flag_zscore",
    "mad_events": "flag_mad",
    "percentile_events": "flag_percentile",
    "unit_price_events": "flag_unit_price",
    "anomalous_events": "is_anomaly",
}


def build(events: DataFrame, metric_units: Mapping[str, str]) -> DataFrame:
    """silver/usage_events → one row per (org, day, resource, service, region, metric) with counts and exact sums.

    Costs are USD, quantities in the unit of the metric.
    """
    date, region = F.col("date"), F.coalesce("region_code", F.lit("unknown"))
    renamed = date.alias("usage_date"), region.alias("region_code")
    sums = events.groupBy("org_id", "resource_id", "service", "metric", *renamed).agg(
        F.count("*").alias("events"),
        total("cost_usd").alias("cost_usd"),
        total("value").alias("quantity"),
        total_or_zero(F.when(F.col("value").isNull(), F.col("cost_usd"))).alias("cost_without_quantity_usd"),
        total("carbon_kg").alias("total_carbon_kg"),
        total("genai_tokens").alias("total_genai_tokens"),
        F.count("carbon_kg").alias("events_with_carbon"),
        total("cost_usd_capped").alias("cost_usd_capped"),
        *[F.count_if(flag).alias(name) for name, flag in _FLAGS.items()],
        total_or_zero(F.when(F.col("is_anomaly"), F.col("cost_usd"))).alias("anomalous_cost_usd"),
    )
    return TABLE.select(sums.withColumn("unit", lookup(metric_units, F.col("metric"))))
