from __future__ import annotations
import pytest
from pyspark.sql import functions as F, SparkSession
from pathlib import Path
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.schemas import *
from cloud_analytics.gold import *
from cloud_analytics.gold import billing_reconciliation, rejected_cost_daily, tag_cost_daily, revenue_by_org_month
from cloud_analytics.gold.measures import total, total_or_zero
from tests.integration import agreement
from tests.integration.test_oracle_agreement import compared
from tests.oracle import compute
from datetime import datetime, timezone
pytestmark = pytest.mark.spark

def check(spark, lakep, expected):
    lake = Lake(spark, str(lakep))
    ev = lake.read("silver/usage_events", SILVER_EVENTS)
    rdu = ev.groupBy("org_id", F.col("date").alias("usage_date"), "resource_id", "service", F.coalesce("region_code", F.lit("unknown")).alias("region_code"), "metric").agg(
      total("cost_usd").alias("cost_usd"), total_or_zero(F.when(F.col("value").isNull(), F.col("cost_usd"))).alias("cost_without_quantity_usd")).persist()
    rej = rejected_cost_daily.build(lake.read("quarantine/usage_events", QUARANTINE)).persist()
    inv = lake.read("silver/billing_monthly", SILVER_MASTERS["billing_monthly"])
    res = lake.read("silver/resources", SILVER_MASTERS["resources"])
    rev = lake.read("gold/revenue_by_org_month", revenue_by_org_month.SCHEMA)
    found = []
    for name, frame, key in (("rejected_cost_daily", rej, ("org_id", "usage_date", "error_type")),
       ("billing_reconciliation", billing_reconciliation.build(rdu, rev, inv, rej), ("org_id", "month")),
       ("tag_cost_daily", tag_cost_daily.build(rdu, res), ("org_id", "usage_date", "tag_key", "tag_value"))):
        rows = [r.asDict() for r in frame.collect()]
        print(name, len(rows))
        found += agreement.table_differences(name, rows, expected.gold[name], key)
    agreement.assert_none(found)

def test_h(spark, hostile_run):
    check(spark, hostile_run.lake, hostile_run.expected)

def test_r(spark):
    check(spark, Path("/tmp/finance-lake"), compute(Path('/work/shared/reference_landing'),datetime.now(timezone.utc)))
