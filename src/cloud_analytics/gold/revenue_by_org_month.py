"""Revenue of each organisation and month, in USD."""

from __future__ import annotations

from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cloud_analytics.gold.measures import MONEY, month
from cloud_analytics.lake.schemas import columns, conform

SCHEMA = columns(
    "org_id string, billing_month string, gross_revenue_usd decimal(28,6), credits_applied_usd decimal(28,6),"
    " taxes_usd decimal(28,6), net_revenue_usd decimal(28,6), total_due_usd decimal(28,6), currency_original string,"
    " fx_rate decimal(18,10), invoice_count bigint"
)


def build(invoices: DataFrame, usd_rate: Literal["identity", "as_billed"]) -> DataFrame:
    """silver/billing_monthly → one row an (org, month) in USD.

    Each amount is converted and rounded half-up to 6 decimals per invoice, then summed. `identity` converts USD
    invoices at 1; the file's rates for USD are not 1.
    """
    rate = F.col("exchange_rate_to_usd")
    if usd_rate == "identity":
        rate = F.when(F.col("currency") == "USD", F.lit(1)).otherwise(rate)
    applied = invoices.withColumn("_rate", rate.cast("decimal(18,10)"))
    sums = applied.groupBy("org_id", month("month").alias("billing_month")).agg(
        _converted("subtotal").alias("gross_revenue_usd"),
        _converted("credits").alias("credits_applied_usd"),
        _converted("taxes").alias("taxes_usd"),
        _only("currency", F.lit("MIXED")).alias("currency_original"),
        _only("_rate", F.lit(None)).alias("fx_rate"),
        F.count("*").alias("invoice_count"),
    )
    net = F.col("gross_revenue_usd") - F.col("credits_applied_usd")
    return conform(
        sums.withColumn("net_revenue_usd", net).withColumn("total_due_usd", net + F.col("taxes_usd")), SCHEMA
    )


def _converted(name: str) -> Column:
    return F.sum((F.col(name) * F.col("_rate")).cast(MONEY)).cast(MONEY)


def _only(name: str, several: Column) -> Column:
    return F.when(F.min(name) == F.max(name), F.min(name)).otherwise(several)
