"""Revenue of each organisation and month, in USD."""

from __future__ import annotations

from typing import Literal

from cloud_analytics.gold.measures import month
from cloud_analytics.spark import Column as SparkColumn
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, Serving, Table, Whole
from cloud_analytics.tables.columns import COUNT, MONEY, ORG_ID, USD, Unit

TABLE = Table(
    "revenue_by_org_month",
    key=("org_id", "billing_month"),
    columns=(
        ORG_ID,
        Column("billing_month", "string", "the month billed (YYYY-MM)"),
        Column(
            "gross_revenue_usd",
            MONEY,
            "subtotals; `validate` says whether they follow usage (F3) and fit their currency (F4)",
            USD,
        ),
        Column("credits_applied_usd", MONEY, "credits", USD),
        Column("taxes_usd", MONEY, "taxes", USD),
        Column("net_revenue_usd", MONEY, "net (gross - credits)", USD),
        Column("total_due_usd", MONEY, "what is due (gross - credits + taxes)", USD),
        Column("currency_original", "string", "currency of the invoices (MIXED when there are several)"),
        Column(
            "fx_rate",
            "decimal(18,10)",
            "exchange rate that was applied (USD for one unit; null when there are several)",
            Unit("USD per unit of currency_original", 6),
        ),
        Column("invoice_count", "bigint", "invoices", COUNT),
    ),
    reads=(Whole("silver/billing_monthly"),),
    settings=lambda config: config.pipeline.fx.usd_rate,
    closes="billing_month",
    serving=Serving(
        "revenue_monthly",
        question="revenue",
        asks="Finance: what was billed to an organisation month by month, in USD, before and after credits and taxes?",
        key="((org_id), billing_month DESC)",
        shown=("billing_month", "gross_revenue_usd", "credits_applied_usd", "taxes_usd", "net_revenue_usd"),
    ),
)


def build(invoices: DataFrame, usd_rate: Literal["identity", "as_billed"]) -> DataFrame:
    """silver/billing_monthly → one row per (org, month) in USD.

    The amounts of each invoice are converted and rounded half-up to 6 decimals, then summed. `identity` converts USD
    invoices at the rate 1, since the files have other rates for USD; `as_billed` uses the rates of the files.
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
    return TABLE.select(sums.withColumns({"net_revenue_usd": net, "total_due_usd": net + F.col("taxes_usd")}))


def _converted(name: str) -> SparkColumn:
    return F.sum((F.col(name) * F.col("_rate")).cast(MONEY)).cast(MONEY)


def _only(name: str, several: SparkColumn) -> SparkColumn:
    return F.when(F.min(name) == F.max(name), F.min(name)).otherwise(several)
