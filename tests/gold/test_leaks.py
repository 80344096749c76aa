"""Leaks that the generator planted among invoices that follow usage: the reconciliation finds each, and no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cloud_analytics.generate import TRUTH_FILE, GeneratorSettings, generate
from cloud_analytics.gold import billing_reconciliation, revenue_by_org_month

pytestmark = pytest.mark.spark
EVENTS = "timestamp string, org_id string, resource_id string, metric string, cost_usd_increment decimal(18,6)"


def test_every_planted_leak_is_found_and_no_other(spark: SparkSession, tmp_path: Path) -> None:
    generate(tmp_path, GeneratorSettings(events=20_000, days=60, orgs=24, billing="matched", leaks_per_kind=4))
    events = spark.read.schema(EVENTS).json(str(tmp_path / "usage_events_stream"))
    usage = (  # rows of gold/resource_daily_usage, as far as the reconciliation reads them; clean data
        events.where("cost_usd_increment >= -0.01")
        .groupBy("org_id", F.to_date(F.substring("timestamp", 1, 10)).alias("usage_date"), "resource_id", "metric")
        .agg(F.sum("cost_usd_increment").alias("cost_usd"), F.lit(0).alias("cost_without_quantity_usd"))
    )
    invoices = spark.read.option("header", True).csv(str(tmp_path / "billing_monthly.csv"))
    amounts = {name: F.coalesce(F.col(name), F.lit("0")).cast("decimal(18,6)") for name in ("credits", "taxes")}
    invoices = invoices.withColumns(
        {
            **amounts,
            "month": F.to_date("month"),
            "subtotal": F.col("subtotal").cast("decimal(18,6)"),
            "exchange_rate_to_usd": F.col("exchange_rate_to_usd").cast("decimal(18,10)"),
        }
    )
    revenue = revenue_by_org_month.build(invoices, "identity")
    rejected = spark.createDataFrame([], "org_id string, usage_date date, error_type string, cost_usd decimal(28,6)")
    found = {
        (row.org_id, row.month): (row.status, row.currency_suspect)
        for row in billing_reconciliation.build(usage, revenue, invoices, rejected).collect()
    }
    leaks = json.loads((tmp_path / TRUTH_FILE).read_text(encoding="utf-8"))["leaks"]
    planted = {(leak["org_id"], leak["month"]): (leak["status"], leak["currency_suspect"]) for leak in leaks}
    assert {leak["kind"] for leak in leaks} == {"skipped_invoice", "doubled_invoice", "wrong_currency", "wrong_amount"}
    assert len(found) > 2 * len(planted)
    assert {key: verdict for key, verdict in found.items() if verdict != ("matched", False)} == planted
