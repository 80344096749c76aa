"""Facts about each organisation for customer success, side by side and without a score."""

from __future__ import annotations

from cloud_analytics.gold.measures import ratio, total_or_zero
from cloud_analytics.spark import DataFrame, F
from cloud_analytics.tables import Column, Serving, Table, Whole
from cloud_analytics.tables.columns import COUNT, CSAT, MONEY, NPS, ORG_ID, RATIO, USD, Unit

_COST_DAYS = 28
_TICKET_DAYS = 90

TABLE = Table(
    "customer_signals",
    key=("org_id",),
    columns=(
        ORG_ID,
        Column("as_of_date", "date", "the last usage date of all data; windows end on it"),
        Column("plan_tier", "string", "plan of the organisation; null: not known"),
        Column("lifecycle_stage", "string", "where it stands as a customer; null: not known"),
        Column("cost_28d_usd", MONEY, "cost of the last 28 days", USD),
        Column("cost_previous_28d_usd", MONEY, "cost of the 28 days before; null: the data do not reach so far", USD),
        Column("cost_ratio", RATIO, "cost_28d_usd / cost_previous_28d_usd", Unit("ratio", 2)),
        Column("active_days_28d", "bigint", "days with usage among the last 28", COUNT),
        Column("last_usage_date", "date", "its last day with usage"),
        Column("open_tickets", "bigint", "tickets that are not resolved", COUNT),
        Column("sla_breaches_90d", "bigint", "SLA breaches among the tickets created in the last 90 days", COUNT),
        Column("avg_csat_90d", RATIO, "mean satisfaction with the tickets created in the last 90 days", CSAT),
        Column("last_survey_date", "date", "its last survey that holds a score"),
        Column("last_nps_score", "decimal(18,6)", "the score of that survey", NPS),
        Column("reconciled_month", "string", "the last month that the usage data cover from end to end"),
        Column("invoiced_minus_used_usd", MONEY, "invoiced - used in that month; see `validate` (F3)", USD),
        Column(
            "contradictions",
            "array<string>",
            "what does not fit: churned_with_usage (in the last 28 days), lead_with_usage, usage_before_signup,"
            " enterprise_flag",
        ),
    ),
    reads=(
        Whole("silver/customers_orgs"),
        Whole("gold/org_daily_usage_by_service"),
        Whole("silver/support_tickets"),
        Whole("silver/nps_surveys"),
        Whole("gold/billing_reconciliation"),
    ),
    serving=Serving(
        "customer_signals",
        question="signals",
        asks="Customer success: what do usage, tickets, surveys and invoices say of an organisation, side by side?",
        key="((org_id))",
    ),
)


def build(
    organisations: DataFrame, daily: DataFrame, tickets: DataFrame, surveys: DataFrame, reconciliation: DataFrame
) -> DataFrame:
    """Masters, daily usage and the billing reconciliation → one row per organisation that is known or has usage.

    Amounts are USD. A window is a number of calendar days that end on as_of_date, the last usage date of all data. The
    cost of the 28 days before the last 28 is null, not 0, if these days begin before the first usage date.
    """
    dates = daily.agg(F.max("usage_date").alias("as_of_date"), F.min("usage_date").alias("_first_date"))
    known = organisations.select(
        "org_id",
        "plan_tier",
        "lifecycle_stage",
        "signup_date",
        F.array_contains("warnings", "enterprise_flag_contradicts_plan").alias("_enterprise_flag"),
    )
    rows = (
        known.join(_usage(daily, dates), "org_id", "full_outer")
        .join(_tickets(tickets, dates), "org_id", "left")
        .join(_last_survey(surveys), "org_id", "left")
        .join(_last_reconciliation(reconciliation), "org_id", "left")
        .crossJoin(F.broadcast(dates))
    )
    reaches_back = F.col("_first_date") <= F.date_sub("as_of_date", 2 * _COST_DAYS - 1)
    previous = F.when(reaches_back, F.coalesce("cost_previous_28d_usd", F.lit(0))).cast(MONEY)
    counts = ("active_days_28d", "open_tickets", "sla_breaches_90d")
    found = rows.withColumns(
        {
            "cost_28d_usd": F.coalesce("cost_28d_usd", F.lit(0)).cast(MONEY),
            "cost_previous_28d_usd": previous,
            **{name: F.coalesce(name, F.lit(0)) for name in counts},
        }
    )
    contradictions = {
        "churned_with_usage": (F.col("lifecycle_stage") == "churned") & (F.col("active_days_28d") > 0),
        "lead_with_usage": (F.col("lifecycle_stage") == "lead") & F.col("last_usage_date").isNotNull(),
        "usage_before_signup": F.col("_first_usage_date") < F.col("signup_date"),
        "enterprise_flag": F.col("_enterprise_flag"),
    }
    words = F.array(*[F.when(condition, F.lit(word)) for word, condition in contradictions.items()])
    costs = ratio("cost_28d_usd", "cost_previous_28d_usd")
    return TABLE.select(found.withColumns({"cost_ratio": costs, "contradictions": F.array_compact(words)}))


def _usage(daily: DataFrame, dates: DataFrame) -> DataFrame:
    age = F.datediff("as_of_date", "usage_date")
    recent, before = age < _COST_DAYS, (age >= _COST_DAYS) & (age < 2 * _COST_DAYS)
    cost, day = F.col("total_cost_usd"), F.col("usage_date")
    of_org = daily.crossJoin(F.broadcast(dates)).groupBy("org_id")
    return of_org.agg(
        total_or_zero(F.when(recent, cost)).alias("cost_28d_usd"),
        total_or_zero(F.when(before, cost)).alias("cost_previous_28d_usd"),
        F.count_distinct(F.when(recent, day)).alias("active_days_28d"),
        F.min(day).alias("_first_usage_date"),
        F.max(day).alias("last_usage_date"),
    )


def _tickets(tickets: DataFrame, dates: DataFrame) -> DataFrame:
    age = F.datediff("as_of_date", "created_at")
    recent = (age >= 0) & (age < _TICKET_DAYS)
    scores = F.when(recent, F.col("csat"))
    of_org = tickets.crossJoin(F.broadcast(dates)).groupBy("org_id")
    return of_org.agg(
        F.count_if(F.col("resolved_at").isNull()).alias("open_tickets"),
        F.count_if(recent & F.col("sla_breached")).alias("sla_breaches_90d"),
        ratio(F.sum(scores), F.count(scores)).alias("avg_csat_90d"),
    )


def _last_survey(surveys: DataFrame) -> DataFrame:
    day, score = F.max("survey_date"), F.max_by("nps_score", "survey_date")
    scored = surveys.where("nps_score IS NOT NULL").groupBy("org_id")
    return scored.agg(day.alias("last_survey_date"), score.alias("last_nps_score"))


def _last_reconciliation(reconciliation: DataFrame) -> DataFrame:
    covered = reconciliation.where("covers_month")
    last = covered.agg(F.max("month").alias("reconciled_month"))
    return covered.join(F.broadcast(last), covered["month"] == F.col("reconciled_month")).select(
        "org_id", "reconciled_month", F.col("difference_usd").alias("invoiced_minus_used_usd")
    )
