"""Cost of each service in the 1, 7 and 14 calendar days that end on a date, ranked by the 14 days."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from cloud_analytics.gold.measures import total_or_zero
from cloud_analytics.lake.schemas import columns, conform

SCHEMA = columns(
    "org_id string, service string, cost_1d decimal(28,6), cost_7d decimal(28,6), cost_14d decimal(28,6),"
    " rank_14d int, summary_date date"
)
WINDOW_DAYS = 14


def build(totals: DataFrame, last_date: str, since: str | None = None) -> DataFrame:
    """Daily totals → one row an (org, date, service) with usage in the 14 days up to the date (USD).

    Dates run to `last_date`, the last usage date of the data; `since` leaves out earlier ones. rank_14d: 1 is the
    highest cost, ties by service name.
    """
    # Each day's cost counts in the windows of that day and the 13 after it: one explode and one sum, no range join.
    spread = totals.select("org_id", "usage_date", "service", "total_cost_usd").withColumn(
        "_age", F.explode(F.sequence(F.lit(0), F.lit(WINDOW_DAYS - 1)))
    )
    spread = spread.withColumn("summary_date", F.date_add("usage_date", F.col("_age"))).where(
        F.col("summary_date") <= F.lit(last_date).cast("date")
    )
    if since is not None:
        spread = spread.where(F.col("summary_date") >= F.lit(since).cast("date"))
    cost = F.col("total_cost_usd")
    sums = spread.groupBy("org_id", "summary_date", "service").agg(
        total_or_zero(F.when(F.col("_age") < 1, cost)).alias("cost_1d"),
        total_or_zero(F.when(F.col("_age") < 7, cost)).alias("cost_7d"),
        total_or_zero(cost).alias("cost_14d"),
    )
    order = Window.partitionBy("org_id", "summary_date").orderBy(F.desc("cost_14d"), "service")
    return conform(sums.withColumn("rank_14d", F.row_number().over(order)), SCHEMA)
