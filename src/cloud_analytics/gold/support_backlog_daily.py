"""Support tickets that were opened, resolved and still open on each day, and the age of the open ones."""

from __future__ import annotations

from cloud_analytics.gold.measures import or_unknown
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, Serving, Table, Unit, Whole
from cloud_analytics.tables.columns import COUNT, ORG_ID, SEVERITY

_OLD_DAYS = 7
_IMPLAUSIBLE = "implausible_created_at"  # a warning of conf/rules.yaml

TABLE = Table(
    "support_backlog_daily",
    key=("org_id", "backlog_date", "severity"),
    columns=(
        ORG_ID,
        Column("backlog_date", "date", "the day, at whose end the backlog is counted"),
        SEVERITY,
        Column("opened", "bigint", "tickets created on the day", COUNT),
        Column("resolved", "bigint", "tickets resolved on the day", COUNT),
        Column("open_tickets", "bigint", "tickets that were created by then and not resolved", COUNT),
        Column("oldest_open_days", "int", "days since the oldest of them was created; null: none", Unit("days", 0)),
        Column("open_over_7_days", "bigint", "of them, those created more than 7 days before", COUNT),
    ),
    reads=(Whole("silver/support_tickets"),),
    serving=Serving(
        "support_backlog_daily",
        question="backlog",
        asks="Support: how many tickets were waiting at the end of each day, and for how long?",
        key="((org_id), backlog_date DESC, severity)",
        shown=("backlog_date", "severity", "opened", "resolved", "open_tickets", "oldest_open_days"),
    ),
)


def build(tickets: DataFrame) -> DataFrame:
    """silver/support_tickets → one row per (org, day, severity) with a ticket that was opened, resolved or open.

    The last day is the last creation date of all tickets: later days are not known. Tickets with the warning
    `implausible_created_at` are left out: a ticket of the year 9999 would give every open ticket a row for each day of
    eight thousand years.
    """
    tickets = tickets.where(~F.array_contains("warnings", _IMPLAUSIBLE))
    last = tickets.agg(F.max("created_at").alias("last"))
    # A ticket has a row for each day from its creation to its resolution.
    until = F.least(F.coalesce("resolved_at", "last"), "last")
    days = tickets.crossJoin(F.broadcast(last)).select(
        "org_id",
        or_unknown("severity"),
        "created_at",
        "resolved_at",
        F.explode(F.sequence("created_at", until)).alias("backlog_date"),
    )
    day = F.col("backlog_date")
    is_open = F.col("resolved_at").isNull() | (F.col("resolved_at") > day)
    age = F.datediff(day, "created_at")
    sums = days.groupBy("org_id", "backlog_date", "severity").agg(
        F.count_if(F.col("created_at") == day).alias("opened"),
        F.count_if(F.col("resolved_at") == day).alias("resolved"),
        F.count_if(is_open).alias("open_tickets"),
        F.max(F.when(is_open, age)).alias("oldest_open_days"),
        F.count_if(is_open & (age > _OLD_DAYS)).alias("open_over_7_days"),
    )
    return TABLE.select(sums)
