"""Backlog, daily usage of the provider, its top organisations and the signals of a customer, on inline frames."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from cloud_analytics.gold import (
    csat_trends,
    customer_signals,
    org_daily_usage_by_service,
    provider_daily_usage,
    support_backlog_daily,
    top_organisations,
)
from cloud_analytics.tables.zones import SILVER_MASTERS

JULY = date(2025, 7, 1)


def frame(spark: SparkSession, schema: Any, *rows: dict[str, Any]) -> DataFrame:
    """Rows that name the columns which matter; the others are null."""
    return spark.createDataFrame([tuple(row.get(name) for name in schema.names) for row in rows], schema)


def test_a_ticket_waits_from_its_creation_to_the_day_before_its_resolution(spark: SparkSession) -> None:
    def ticket(**values: Any) -> dict[str, Any]:
        return {"org_id": "o", "severity": "high", "warnings": [], **values}

    tickets = frame(
        spark,
        SILVER_MASTERS["support_tickets"].schema,
        ticket(created_at=JULY, resolved_at=JULY + timedelta(days=2)),
        ticket(created_at=JULY + timedelta(days=1), resolved_at=JULY + timedelta(days=1)),
        ticket(org_id="p", severity=None, created_at=JULY, resolved_at=JULY + timedelta(days=90)),
        ticket(org_id="q", created_at=JULY + timedelta(days=9), resolved_at=None),
        ticket(org_id="q", created_at=date(9999, 12, 31), warnings=["invalid_csat", "implausible_created_at"]),
        ticket(org_id="r", created_at=date(1, 1, 1), warnings=["implausible_created_at"]),
    )
    rows = {
        (row.org_id, (row.backlog_date - JULY).days): (
            row.opened,
            row.resolved,
            row.open_tickets,
            row.oldest_open_days,
            row.open_over_7_days,
        )
        for row in support_backlog_daily.build(tickets).collect()
    }
    assert rows["o", 0] == (1, 0, 1, 0, 0)
    assert rows["o", 1] == (1, 1, 1, 1, 0)
    assert rows["o", 2] == (0, 1, 0, None, 0)
    assert ("o", 3) not in rows  # nothing but zeros
    assert rows["p", 7] == (0, 0, 1, 7, 0)
    assert rows["p", 8] == (0, 0, 1, 8, 1)
    assert max(day for org, day in rows if org == "p") == 9  # the last plausible creation date of all tickets
    assert rows["q", 9] == (1, 0, 1, 0, 0)
    assert "r" not in {org for org, _ in rows}  # nothing is known of when it came


def test_the_share_of_good_scores_and_scores_of_open_tickets(spark: SparkSession) -> None:
    resolved = {"resolved_at": JULY}
    scores = [(5, resolved), (4, {}), (3, resolved), (None, {})]
    rows = [{"org_id": "o", "created_at": JULY, "csat": score and Decimal(score), **more} for score, more in scores]
    rows.append({"org_id": "p", "created_at": JULY})
    tickets = frame(spark, SILVER_MASTERS["support_tickets"].schema, *rows)
    found = {row.org_id: row for row in csat_trends.build(tickets).collect()}
    assert found["o"].top_2_box_rate == Decimal("0.6666666667")
    assert (found["o"].responses, found["o"].responses_unresolved) == (3, 1)
    assert (found["p"].top_2_box_rate, found["p"].responses_unresolved) == (None, 0)


def _day(org_id: str, day: date, service: str, cost: int, **more: Any) -> dict[str, Any]:
    zeros = {"total_requests": 0, "total_cpu_hours": Decimal(0), "total_storage_gb_hours": Decimal(0)}
    row = {"org_id": org_id, "usage_date": day, "service": service, "total_cost_usd": Decimal(cost), "total_events": 2}
    return {**row, **zeros, "is_anomaly": False, **more}


def test_the_provider_sees_the_sums_of_its_organisations(spark: SparkSession) -> None:
    daily = frame(
        spark,
        org_daily_usage_by_service.TABLE.schema,
        _day("o", JULY, "genai", 3, total_genai_tokens=Decimal(7), is_anomaly=True),
        _day("p", JULY, "genai", 4, total_requests=5),
        _day("p", JULY, "compute", 1),
    )
    rows = {row.service: row for row in provider_daily_usage.build(daily).collect()}
    genai = rows["genai"]
    assert (genai.month, genai.organisations, genai.events, genai.total_cost_usd) == ("2025-07", 2, 4, 7)
    assert (genai.total_requests, genai.total_genai_tokens, genai.anomalous_days) == (5, 7, 1)
    assert (rows["compute"].total_genai_tokens, rows["compute"].total_carbon_kg) == (None, None)


def test_organisations_are_ranked_by_14_days_and_ties_go_by_id(spark: SparkSession) -> None:
    costs = [("b", "compute", 5), ("b", "genai", 1), ("a", "compute", 6), ("c", "compute", 7)]
    summary = spark.createDataFrame(
        [(org, service, JULY, Decimal(0), Decimal(cost), Decimal(cost)) for org, service, cost in costs],
        "org_id string, service string, summary_date date, cost_1d decimal(28,6), cost_7d decimal(28,6),"
        " cost_14d decimal(28,6)",
    )
    rows = top_organisations.build(summary).collect()
    assert sorted((row.rank_14d, row.org_id, row.cost_14d) for row in rows) == [(1, "c", 7), (2, "a", 6), (3, "b", 6)]


def test_signals_of_a_customer_and_what_does_not_fit_together(spark: SparkSession) -> None:
    last = JULY + timedelta(days=60)
    masters = {name: table.schema for name, table in SILVER_MASTERS.items()}
    organisations = frame(
        spark,
        masters["customers_orgs"],
        {"org_id": "o", "plan_tier": "pro", "lifecycle_stage": "churned", "signup_date": last,
         "warnings": ["enterprise_flag_contradicts_plan"]},
        {"org_id": "quiet", "lifecycle_stage": "lead", "warnings": []},
    )  # fmt: skip
    daily = frame(
        spark,
        org_daily_usage_by_service.TABLE.schema,
        _day("o", last, "compute", 10),
        _day("o", last, "genai", 5),
        _day("o", last - timedelta(days=27), "genai", 1),
        _day("o", last - timedelta(days=28), "genai", 4),
        _day("stranger", JULY, "genai", 2),
    )
    tickets = frame(
        spark,
        masters["support_tickets"],
        {"org_id": "o", "created_at": last, "sla_breached": True, "csat": Decimal(4)},
        {"org_id": "o", "created_at": last - timedelta(days=90), "sla_breached": True, "csat": Decimal(1)},
    )
    surveys = frame(
        spark,
        masters["nps_surveys"],
        {"org_id": "o", "survey_date": JULY, "nps_score": Decimal(30)},
        {"org_id": "o", "survey_date": last, "nps_score": None},
    )
    reconciliation = spark.createDataFrame(
        [("o", "2025-07", Decimal(-3), True), ("o", "2025-08", Decimal(9), False)],
        "org_id string, month string, difference_usd decimal(28,6), covers_month boolean",
    )
    rows = {
        row.org_id: row
        for row in customer_signals.build(organisations, daily, tickets, surveys, reconciliation).collect()
    }
    known = rows["o"]
    assert (known.as_of_date, known.cost_28d_usd, known.cost_previous_28d_usd) == (last, 16, 4)
    assert (known.cost_ratio, known.active_days_28d, known.last_usage_date) == (4, 2, last)
    assert (known.open_tickets, known.sla_breaches_90d, known.avg_csat_90d) == (2, 1, 4)
    assert (known.last_survey_date, known.last_nps_score) == (JULY, 30)
    assert (known.reconciled_month, known.invoiced_minus_used_usd) == ("2025-07", -3)
    assert known.contradictions == ["churned_with_usage", "usage_before_signup", "enterprise_flag"]
    assert (rows["quiet"].cost_28d_usd, rows["quiet"].contradictions) == (0, [])
    assert (rows["stranger"].plan_tier, rows["stranger"].last_usage_date) == (None, JULY)

    recent = daily.where("org_id = 'o'")
    short = customer_signals.build(organisations, recent, tickets, surveys, reconciliation)
    found = {row.org_id: row for row in short.collect()}["o"]
    assert (found.cost_previous_28d_usd, found.cost_ratio) == (None, None)  # the data do not reach so far back
