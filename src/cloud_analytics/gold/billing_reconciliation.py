"""Usage against invoices, by organisation and month: what is underbilled, overbilled, not invoiced or without usage."""

from __future__ import annotations

from cloud_analytics.gold.measures import month, ratio, total, total_or_zero
from cloud_analytics.spark import Column as SparkColumn
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, Serving, Table, Whole
from cloud_analytics.tables.columns import COUNT, MONEY, ORG_ID, PERCENT, RATIO, USD, Unit

TABLE = Table(
    "billing_reconciliation",
    key=("org_id", "month"),
    columns=(
        ORG_ID,
        Column("month", "string", "the month used and billed (YYYY-MM)"),
        Column("usage_cost_usd", MONEY, "cost of the usage (0 without usage)", USD),
        Column("usage_days", "bigint", "days with usage", Unit("days", 0)),
        Column("charge_rows", "bigint", "rows of resource_daily_usage", COUNT),
        Column("invoiced_usd", MONEY, "what was invoiced before credits and taxes (0 without an invoice)", USD),
        Column("invoice_count", "bigint", "invoices", COUNT),
        Column("currency_original", "string", "currency of the invoices (MIXED when there are several)"),
        Column("difference_usd", MONEY, "invoiced - usage; `validate` (F3) says whether invoices follow usage", USD),
        Column("difference_pct", RATIO, "100 x difference / usage (null without a cost)", PERCENT),
        Column("tolerance_usd", MONEY, "how large a difference is rounding: max(1, 0.005 x root of charge_rows)", USD),
        Column("status", "string", "matched, underbilled, overbilled, not_invoiced or no_usage"),
        Column("covers_month", "boolean", "whether the usage of the lake reaches from its first day to its last"),
        Column("rejected_negative_usd", MONEY, "cost of the events rejected as negative_cost (0 if none)", USD),
        Column("cost_without_quantity_usd", MONEY, "cost of the events that do not say how much", USD),
        Column(
            "currency_suspect",
            "boolean",
            "one currency, not USD, whose subtotals are nearer to the usage unconverted: it may be wrong; see"
            " `validate` (F4)",
        ),
    ),
    reads=(
        Whole("gold/resource_daily_usage"),
        Whole("gold/revenue_by_org_month"),
        Whole("silver/billing_monthly"),
        Whole("gold/rejected_cost_daily"),
    ),
    closes="month",
    serving=Serving(
        "billing_reconciliation",
        question="reconciliation",
        asks="Finance: does what was invoiced to an organisation fit what it used, month by month?",
        key="((org_id), month DESC)",
        shown=("month", "usage_cost_usd", "invoiced_usd", "difference_usd", "status", "covers_month"),
    ),
)


def build(resource_days: DataFrame, revenue: DataFrame, invoices: DataFrame, rejected: DataFrame) -> DataFrame:
    """Usage, revenue, invoices (silver/billing_monthly) and rejected costs → one row per (org, month).

    There is a row for each month with usage or an invoice. Amounts are USD; difference = invoiced − usage.
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
    # Subtotals in the invoices' own currency, if all invoices of the month have the same currency and it is not USD.
    unconverted = (
        invoices.groupBy("org_id", month("month").alias("month"))
        .agg(total("subtotal").alias("_unconverted"), F.min("currency").alias("_from"), F.max("currency").alias("_to"))
        .where("_from = _to AND _from <> 'USD'")
        .drop("_from", "_to")
    )
    negative = (
        rejected.where("error_type = 'negative_cost'")
        .groupBy("org_id", month("usage_date").alias("month"))
        .agg(total_or_zero("cost_usd").alias("rejected_negative_usd"))
    )
    days = resource_days.agg(F.min("usage_date").alias("_first_day"), F.max("usage_date").alias("_last_day"))
    pairs = (
        usage.withColumn("_used", F.lit(True))
        .join(invoiced, list(TABLE.key), "full")
        .join(unconverted, list(TABLE.key), "left")
        .join(negative, list(TABLE.key), "left")
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
        "covers_month": _or_false((F.col("_first_day") <= first) & (F.col("_last_day") >= F.last_day(first))),
        "currency_suspect": _or_false(F.abs(F.col("_unconverted") - used) < F.abs(difference)),
    }
    return TABLE.select(compared.withColumns(verdicts))


def tolerance(charge_rows: SparkColumn) -> SparkColumn:
    """max(1.00, 0.005 × √charge_rows) USD, rounded half-up to 6 decimals, since every charge may have been rounded."""
    # In millionths of a dollar. Up to 25 million rows, √(25·10⁶ n) is never so close to .5 that DOUBLE rounds it wrong.
    millionths = F.round(F.sqrt(charge_rows * 25_000_000)).cast("bigint")
    return (F.greatest(millionths, F.lit(1_000_000)) * F.lit("0.000001").cast("decimal(6,6)")).cast(MONEY)


def _or_false(condition: SparkColumn) -> SparkColumn:
    return F.coalesce(condition, F.lit(False))
