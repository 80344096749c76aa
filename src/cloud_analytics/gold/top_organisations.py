"""Cost of each organisation in the 1, 7 and 14 calendar days that end on a date, ranked by the 14 days."""

from __future__ import annotations

from cloud_analytics.gold.measures import total_or_zero
from cloud_analytics.spark import DataFrame, F, Window
from cloud_analytics.tables import Column, SameDate, Serving, Table
from cloud_analytics.tables.columns import MONEY, ORG_ID, RANK, USD

_COSTS = ("cost_1d", "cost_7d", "cost_14d")

TABLE = Table(
    "top_organisations",
    key=("summary_date", "org_id"),
    columns=(
        Column("summary_date", "date", "last day of the windows"),
        ORG_ID,
        Column("cost_1d", MONEY, "cost of the date itself", USD),
        Column("cost_7d", MONEY, "cost of the 7 days up to the date", USD),
        Column("cost_14d", MONEY, "cost of the 14 days up to the date", USD),
        Column("rank_14d", "int", "1: the highest cost_14d", RANK),
    ),
    reads=(SameDate("gold/org_service_cost_summary"),),
    partition="summary_date",
    serving=Serving(
        "top_organisations",
        question="top-organisations",
        asks="Provider: which organisations cost the most in the 14 days up to a date?",
        key="((summary_date), rank_14d, org_id)",
        shown=("summary_date", "rank_14d", "org_id", "cost_1d", "cost_7d", "cost_14d"),
    ),
)


def build(summary: DataFrame) -> DataFrame:
    """gold/org_service_cost_summary → one row a (date, organisation) with usage in the 14 days up to it (USD).

    rank_14d: 1 is the highest cost of all organisations, ties by org_id.
    """
    sums = summary.groupBy("summary_date", "org_id").agg(*[total_or_zero(name).alias(name) for name in _COSTS])
    order = Window.partitionBy("summary_date").orderBy(F.desc("cost_14d"), "org_id")
    return TABLE.select(sums.withColumn("rank_14d", F.row_number().over(order)))
