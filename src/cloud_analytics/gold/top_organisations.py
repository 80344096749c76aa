"""Cost of each organisation in the 1, 7 and 14 calendar days that end on a date, ranked by the 14 days."""

from __future__ import annotations

from cloud_analytics.gold.measures import total_or_zero
from cloud_analytics.gold.org_service_cost_summary import COSTS, RANK_14D, SUMMARY_DATE
from cloud_analytics.spark import DataFrame, F, Window
from cloud_analytics.tables import SameDate, Serving, Table
from cloud_analytics.tables.columns import ORG_ID

TABLE = Table(
    "top_organisations",
    key=("summary_date", "org_id"),
    columns=(SUMMARY_DATE, ORG_ID, *COSTS, RANK_14D),
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
    """gold/org_service_cost_summary → one row per (date, organisation) with usage in the 14 days up to the date; USD.

    rank_14d 1 is the highest cost of all organisations; ties are ranked by org_id.
    """
    costs = [total_or_zero(column.name).alias(column.name) for column in COSTS]
    sums = summary.groupBy("summary_date", "org_id").agg(*costs)
    order = Window.partitionBy("summary_date").orderBy(F.desc("cost_14d"), "org_id")
    return TABLE.select(sums.withColumn("rank_14d", F.row_number().over(order)))
