"""Changes to the figures of closed months since they were closed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_

from cloud_analytics.gold import org_daily_usage_by_service, resource_daily_usage
from cloud_analytics.gold.measures import month
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, SameDate, Table
from cloud_analytics.tables.columns import ORG_ID, SERVICE, USAGE_DATE, USAGE_TOTALS

TABLE = Table(
    "restatements",
    key=("closed_month", "org_id", "usage_date", "service", "booked_month"),
    columns=(
        Column("closed_month", "string", "the closed month whose figures they concern (YYYY-MM)"),
        ORG_ID,
        USAGE_DATE,
        SERVICE,
        *USAGE_TOTALS,
        Column("booked_month", "string", "the open month in which the difference was first seen (YYYY-MM)"),
        Column("reason", "string", "late_events, fewer_events or other_figures"),
    ),
    reads=(
        SameDate("silver/usage_events"),
        SameDate("gold/org_daily_usage_by_service"),
        SameDate("gold/restatements"),
    ),
    partition="usage_date",
    settings=lambda config: config.taxonomy.metric_units(),
    of_closed_months=True,
)
_KEY = ["org_id", "usage_date", "service"]
_MEASURES = {column.name: column.type for column in USAGE_TOTALS}


def build(
    events: DataFrame, frozen: DataFrame, before: DataFrame, metric_units: Mapping[str, str], open_month: str
) -> DataFrame:
    """silver/usage_events, the daily mart as it was closed, and this table as it is → one row per (org, day, service).

    A row holds the difference between the figures from the present events and the figures at the closing, if it is not
    0. A row stays if its booked month has been closed since. The rest of the difference is booked in `open_month`,
    unless it is already booked in an open month.
    """
    clean = org_daily_usage_by_service.totals(resource_daily_usage.build(events, metric_units))
    is_settled = F.col("booked_month") < open_month
    settled = before.where(is_settled)
    # If a month was reopened, a difference may be booked in this month and in a later one: the first month gets it.
    first_seen = before.where(~is_settled).groupBy(*_KEY).agg(F.min("booked_month").alias("booked_month"))
    parts = _part(clean, 1, "total_events"), _part(frozen, -1, "-total_events"), _part(settled, -1, "0")
    sums = reduce(DataFrame.unionByName, parts).groupBy(*_KEY)
    totals = [F.sum(name).cast(kind).alias(name) for name, kind in _MEASURES.items()]
    differs = reduce(or_, [F.coalesce(F.col(name) != 0, F.lit(False)) for name in _MEASURES])
    left = sums.agg(*totals, F.sum("_events").alias("_events")).where(differs)
    open_rows = left.join(first_seen, _KEY, "left").withColumns(
        {
            "closed_month": month("usage_date"),
            "booked_month": F.coalesce("booked_month", F.lit(open_month)),
            "reason": F.expr(
                "CASE signum(_events) WHEN 1 THEN 'late_events' WHEN -1 THEN 'fewer_events' ELSE 'other_figures' END"
            ),
        }
    )
    return TABLE.select(open_rows).unionByName(TABLE.select(settled))


def _part(rows: DataFrame, sign: int, events: str) -> DataFrame:
    amounts = [f"{name} * {sign} AS {name}" for name in _MEASURES]
    return rows.selectExpr(*_KEY, *amounts, f"bigint({events}) AS _events")
