"""Cost of each service in the 1, 7 and 14 calendar days that end on a date, ranked by the 14 days."""

from __future__ import annotations

from cloud_analytics.gold.measures import total_or_zero
from cloud_analytics.spark import DataFrame, F, Window
from cloud_analytics.tables import Column, Days, Serving, Table
from cloud_analytics.tables.columns import MONEY, ORG_ID, RANK, SERVICE, USD

_DAYS_BEFORE = 13

SUMMARY_DATE = Column("summary_date", "date", "last day of the windows")
COSTS = (
    Column("cost_1d", MONEY, "cost of the date itself", USD),
    Column("cost_7d", MONEY, "cost of the 7 days up to the date", USD),
    Column("cost_14d", MONEY, "cost of the 14 days up to the date", USD),
)
RANK_14D = Column("rank_14d", "int", "1: the highest cost_14d", RANK)

TABLE = Table(
    "org_service_cost_summary",
    key=("org_id", "summary_date", "service"),
    columns=(ORG_ID, SUMMARY_DATE, SERVICE, *COSTS, RANK_14D),
    reads=(Days("gold/org_daily_usage_by_service", before=_DAYS_BEFORE),),
    partition="summary_date",
    serving=Serving(
        "org_service_cost_summary",
        question="top-services",
        asks="FinOps: which services cost an organisation the most in the 14 days up to a date?",
        key="((org_id, summary_date), rank_14d, service)",
        shown=("summary_date", "rank_14d", "service", "cost_1d", "cost_7d", "cost_14d"),
        newest=("finops_daily_usage", _DAYS_BEFORE),
    ),
)


def build(daily: DataFrame) -> DataFrame:
    """gold/org_daily_usage_by_service → one row per (org, date, service) with usage in the 14 days up to the date; USD.

    rank_14d 1 is the highest cost; ties are ranked by service name. The result also has rows for the 13 days after the
    last usage date: the caller selects the dates that the mart has.
    """
    # The cost of a day counts in the windows of this day and of the 13 days after it. So one row per window and one sum
    # replace a range join.
    age = F.explode(F.sequence(F.lit(0), F.lit(_DAYS_BEFORE)))
    spread = daily.select("org_id", "usage_date", "service", "total_cost_usd").withColumn("_age", age)
    spread = spread.withColumn("summary_date", F.date_add("usage_date", F.col("_age")))
    cost = F.col("total_cost_usd")
    sums = spread.groupBy("org_id", "summary_date", "service").agg(
        total_or_zero(F.when(F.col("_age") < 1, cost)).alias("cost_1d"),
        total_or_zero(F.when(F.col("_age") < 7, cost)).alias("cost_7d"),
        total_or_zero(cost).alias("cost_14d"),
    )
    order = Window.partitionBy("org_id", "summary_date").orderBy(F.desc("cost_14d"), "service")
    return TABLE.select(sums.withColumn("rank_14d", F.row_number().over(order)))
