"""Usage against invoices, by organisation and month: what is underbilled, overbilled, not invoiced or without usage."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cloud_analytics.gold.measures import MONEY, month, ratio, total, total_or_zero
from cloud_analytics.lake.schemas import columns, conform

SCHEMA = columns(
    "org_id string, month string, usage_cost_usd decimal(28,6), usage_days bigint, charge_rows bigint,"
    " invoiced_usd decimal(28,6), invoice_count bigint, currency_original string, difference_usd decimal(28,6),"
    " difference_pct decimal(38,10), tolerance_usd decimal(28,6), status string, covers_month boolean,"
    " rejected_negative_usd decimal(28,6), cost_without_quantity_usd decimal(28,6), currency_suspect boolean"
)
KEY = ["org_id", "month"]


def build(resource_days: DataFrame, revenue: DataFrame, invoices: DataFrame, rejected: DataFrame) -> DataFrame:
    """Usage, revenue, invoices (silver/billing_monthly) and rejected costs → one row an (org, month).

    Every pair that has usage or an invoice is there. Amounts are USD; difference = invoiced − usage.
    """
    usage = resource_days.groupBy("org_id", month("usage_date").alias("month")).agg(
        total_or_zero("cost_usd").alias("usage_cost_usd"),
        F.countDistinct("usage_date").alias("usage_days"),
        F.count("*").alias("charge_rows"),
        total_or_zero("cost_without_quantity_usd").alias("cost_without_quantity_usd"),
    )
    invoiced = revenue.select(
        "org_id",
        F.col("billing_month").alias("month"),
        F.col("gross_revenue_usd").alias("invoiced_usd"),
        "invoice_count",
        "currency_original",
    )
    # The subtotals as they stand on the invoices, where all of them are in one currency that is not USD.
    unconverted = (
        invoices.groupBy("org_id", month("month").alias("month"))
        .agg(
            total("subtotal").alias("_unconverted"),
            F.min("currency").alias("_currency"),
            F.max("currency").alias("_last"),
        )
        .where("_currency = _last AND _currency <> 'USD'")
        .drop("_currency", "_last")
    )
    negative = (
        rejected.where("error_type = 'negative_cost'")
        .groupBy("org_id", month("usage_date").alias("month"))
        .agg(total_or_zero("cost_usd").alias("rejected_negative_usd"))
    )
    days = resource_days.agg(F.min("usage_date").alias("_first_day"), F.max("usage_date").alias("_last_day"))
    pairs = (
        usage.withColumn("_used", F.lit(True))
        .join(invoiced, KEY, "full")
        .join(unconverted, KEY, "left")
        .join(negative, KEY, "left")
        .crossJoin(F.broadcast(days))
    )
    zeros = ("usage_cost_usd", "usage_days", "charge_rows", "invoiced_usd", "invoice_count", "rejected_negative_usd")
    filled = pairs.na.fill(0, [*zeros, "cost_without_quantity_usd"])
    used, difference = F.col("usage_cost_usd"), F.col("difference_usd")
    compared = filled.withColumn("difference_usd", (F.col("invoiced_usd") - used).cast(MONEY)).withColumn(
        "tolerance_usd", tolerance(F.col("charge_rows"))
    )
    first = F.to_date(F.concat("month", F.lit("-01")))
    verdicts = {
        "difference_pct": ratio(difference, used, 100),
        "status": F.when(F.col("invoice_count") == 0, "not_invoiced")
        .when(F.col("_used").isNull(), "no_usage")
        .when(F.abs(difference) <= F.col("tolerance_usd"), "matched")
        .when(difference < 0, "underbilled")
        .otherwise("overbilled"),
        "covers_month": F.coalesce(
            (F.col("_first_day") <= first) & (F.col("_last_day") >= F.last_day(first)), F.lit(False)
        ),
        "currency_suspect": _or_false(F.abs(F.col("_unconverted") - used) < F.abs(difference)),
    }
    return conform(compared.withColumns(verdicts), SCHEMA)


def tolerance(charge_rows: Column) -> Column:
    """max(1.00, 0.005 × √charge_rows) USD, rounded half-up to 6 decimals: each charge is rounded somewhere."""
    # In millionths: below 25 million rows √(25·10⁶ n) is so far from any half that a DOUBLE rounds as exact digits do.
    millionths = F.round(F.sqrt(charge_rows * 25_000_000)).cast("bigint")
    return (F.greatest(millionths, F.lit(1_000_000)) * F.lit("0.000001").cast("decimal(6,6)")).cast(MONEY)


def _or_false(condition: Column) -> Column:
    return F.coalesce(condition, F.lit(False))
