"""Marts on inline frames: windows, ranks, rates and money."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cloud_analytics.gold import cost_anomaly_mart, org_service_cost_summary, revenue_by_org_month, sla_breach_summary


def test_windows_end_on_the_date_and_ties_go_by_name(spark: SparkSession) -> None:
    totals = spark.createDataFrame(
        [
            ("o", date(2025, 7, 1), "storage", Decimal(5)),
            ("o", date(2025, 7, 2), "compute", Decimal(5)),
            ("p", date(2025, 7, 16), "genai", Decimal(1)),
        ],
        "org_id string, usage_date date, service string, total_cost_usd decimal(28,6)",
    )
    rows = {
        (row.org_id, row.summary_date.isoformat(), row.service): row
        for row in org_service_cost_summary.build(totals).where("summary_date <= '2025-07-16'").collect()
    }
    second = rows["o", "2025-07-02", "storage"]
    assert (second.cost_1d, second.cost_7d, second.cost_14d, second.rank_14d) == (0, 5, 5, 2)
    assert rows["o", "2025-07-02", "compute"].rank_14d == 1
    assert rows["o", "2025-07-14", "storage"].cost_7d == 0
    assert ("o", "2025-07-15", "storage") not in rows  # fourteen days later its cost has left the window
    assert ("o", "2025-07-15", "compute") in rows
    assert ("o", "2025-07-17", "compute") not in rows  # after the last usage date of the data
    assert len([key for key in rows if key[0] == "p"]) == 1


def test_revenue_is_rounded_per_invoice_and_usd_is_billed_at_1(spark: SparkSession) -> None:
    rows = [
        ("o", date(2025, 6, 1), Decimal("10.000001"), Decimal(1), Decimal(2), "USD", Decimal("0.97")),
        ("p", date(2025, 6, 1), Decimal("1000.01"), Decimal(0), Decimal(0), "ARS", Decimal("0.0015333333")),
        ("p", date(2025, 6, 1), Decimal(1), Decimal(0), Decimal(0), "EUR", Decimal("1.1")),
    ]
    schema = (
        "org_id string, month date, subtotal decimal(18,6), credits decimal(18,6), taxes decimal(18,6),"
        " currency string, exchange_rate_to_usd decimal(18,10)"
    )
    invoices = spark.createDataFrame(rows, schema)
    found = {row.org_id: row for row in revenue_by_org_month.build(invoices, "identity").collect()}
    usd = found["o"]
    assert (usd.billing_month, usd.gross_revenue_usd, usd.net_revenue_usd) == (
        "2025-06",
        Decimal("10.000001"),
        Decimal("9.000001"),
    )
    assert (usd.total_due_usd, usd.fx_rate, usd.currency_original) == (Decimal("11.000001"), 1, "USD")
    mixed = found["p"]
    assert mixed.gross_revenue_usd == Decimal("1.533349") + Decimal("1.1")
    assert (mixed.currency_original, mixed.fx_rate, mixed.invoice_count) == ("MIXED", None, 2)
    billed = {row.org_id: row for row in revenue_by_org_month.build(invoices, "as_billed").collect()}
    assert billed["o"].gross_revenue_usd == Decimal("9.700001")


def test_impact_is_rounded_once_and_the_smallest_id_is_the_culprit(spark: SparkSession) -> None:
    day = date(2025, 7, 1)
    daily = spark.createDataFrame(
        [("o", day, "compute", Decimal("1555.581788"), Decimal("602.065633"), 9.0, True),
         ("o", day, "genai", Decimal("3"), Decimal("0"), None, False),
         ("o", day, "storage", Decimal("3"), Decimal("2"), 0.1, False)],
        "org_id string, usage_date date, service string, total_cost_usd decimal(28,6), expected_cost_usd decimal(28,8),"
        " anomaly_score double, is_anomaly boolean",
    )  # fmt: skip
    resources = spark.createDataFrame(
        [("o", day, "compute", "r2", Decimal(700), 0), ("o", day, "compute", "r1", Decimal(700), 0),
         ("o", day, "genai", "r3", Decimal(3), 1), ("o", day, "storage", "r3", Decimal(3), 0)],
        "org_id string, usage_date date, service string, resource_id string, cost_usd decimal(28,6),"
        " anomalous_events bigint",
    )  # fmt: skip
    for name in ("zscore_events", "mad_events", "percentile_events", "unit_price_events"):
        resources = resources.withColumn(name, F.lit(0))
    rows = {row.service: row for row in cost_anomaly_mart.build(
        daily, resources.withColumn("anomalous_cost_usd", F.lit(0).cast("decimal(28,6)"))).collect()}  # fmt: skip
    assert sorted(rows) == ["compute", "genai"]  # a usual day without an anomalous event is no row
    compute = rows["compute"]
    assert compute.impact_usd == Decimal("953.516155")
    assert compute.impact_pct == Decimal("158.3741211483")  # 158.37412114834995…: twice rounded it would end in 4
    assert (compute.top_resource_id, compute.top_resource_cost_usd) == ("r1", 700)
    assert rows["genai"].impact_pct is None


def test_breach_rates_and_the_median_of_resolved_tickets(spark: SparkSession) -> None:
    rows = [
        ("o", "high", date(2025, 7, 1), date(2025, 7, 2), True),
        ("o", "high", date(2025, 7, 5), date(2025, 7, 9), False),
        ("o", "high", date(2025, 7, 9), None, None),
        ("o", None, date(2025, 7, 9), None, False),
    ]
    tickets = spark.createDataFrame(
        rows, "org_id string, severity string, created_at date, resolved_at date, sla_breached boolean"
    )
    found = {row.severity: row for row in sla_breach_summary.build(tickets).collect()}
    high = found["high"]
    assert (high.total_tickets, high.sla_breach_count, high.median_resolution_days) == (3, 1, Decimal("2.5"))
    assert high.sla_breach_rate == Decimal("0.3333333333")
    assert found["unknown"].median_resolution_days is None
