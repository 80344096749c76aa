"""Sums and ratios as every mart computes them: exact decimals, nothing divided by zero."""

from __future__ import annotations

from cloud_analytics.spark import Column, DataFrame, F
from cloud_analytics.tables.columns import LONGEST_KEY, MONEY, RATIO


def ratio(numerator: Column, denominator: Column, factor: int = 1) -> Column:
    """factor × numerator / denominator with 10 decimals, rounded half-up; null where there is nothing to divide by."""
    # A quotient gets 38 − (digits before the point) decimals: 22 + 6 of those here leave the 10 that are promised.
    top = (numerator.cast("decimal(28,6)") * F.lit(factor).cast("decimal(9,0)")).cast("decimal(28,6)")
    return F.when(denominator != 0, (top / denominator.cast("decimal(28,6)")).cast(RATIO))


def total(column: Column | str, kind: str = MONEY) -> Column:
    """Sum that ignores nulls; null when there is nothing but nulls."""
    return F.sum(column).cast(kind)


def total_or_zero(column: Column | str, kind: str = MONEY) -> Column:
    """Sum that ignores nulls; 0 when there is nothing but nulls."""
    return F.coalesce(F.sum(column), F.lit(0)).cast(kind)


def count_if(condition: Column) -> Column:
    """How many rows meet the condition (BIGINT)."""
    return F.sum(F.coalesce(condition, F.lit(False)).cast("bigint"))


def month(day: str) -> Column:
    """DATE → `YYYY-MM`."""
    return F.date_format(day, "yyyy-MM")


def or_unknown(name: str, longest: int = LONGEST_KEY) -> Column:
    """A text that is part of a mart's key: null reads `unknown`, and what is too long (Cassandra takes neither)."""
    return F.when(F.octet_length(name) <= longest, F.col(name)).otherwise(F.lit("unknown")).alias(name)


def resource_days(events: DataFrame) -> DataFrame:
    """silver/usage_events → one row an (org, day, service, resource): the one pass that all marts share."""
    is_metric = {name: F.col("metric") == name for name in ("requests", "cpu_hours", "storage_gb_hours")}
    value = {name: F.when(condition, F.col("value")) for name, condition in is_metric.items()}
    return events.groupBy("org_id", F.col("date").alias("usage_date"), "service", "resource_id").agg(
        F.count("*").alias("events"),
        total("cost_usd").alias("cost_usd"),
        total("cost_usd_capped").alias("cost_usd_capped"),
        *[total(column).alias(name) for name, column in value.items()],
        total("carbon_kg").alias("carbon_kg"),
        F.count("carbon_kg").alias("events_with_carbon"),
        total("genai_tokens").alias("genai_tokens"),
        *[
            count_if(F.col(flag)).alias(name)
            for flag, name in (
                ("flag_zscore", "zscore_events"),
                ("flag_mad", "mad_events"),
                ("flag_percentile", "percentile_events"),
                ("flag_unit_price", "unit_price_events"),
                ("is_anomaly", "anomalous_events"),
            )
        ],
        total_or_zero(F.when(F.col("is_anomaly"), F.col("cost_usd"))).alias("anomalous_cost_usd"),
    )
