"""schema.cql against the contract and the Gold marts."""

from __future__ import annotations

import pytest
from pyspark.sql.types import DecimalType

from cloud_analytics.gold.build import SCHEMAS
from cloud_analytics.serving.tables import MARTS, Table, schema_text, tables

# The contract's tables: primary key (partition key in brackets), and the mart each one comes from.
CONTRACT = {
    "finops_daily_usage": ("((org_id), usage_date DESC, service)", "org_daily_usage_by_service"),
    "org_service_cost_summary": ("((org_id, summary_date), rank_14d, service)", "org_service_cost_summary"),
    "support_tickets_summary": ("((org_id), ticket_date DESC, severity)", "tickets_by_org_date"),
    "revenue_monthly": ("((org_id), billing_month DESC)", "revenue_by_org_month"),
    "genai_usage_daily": ("((org_id), usage_date DESC)", "genai_tokens_by_org_date"),
    "cost_anomalies": ("((org_id), usage_date DESC, service)", "cost_anomaly_mart"),
    "carbon_daily": ("((org_id), usage_date DESC)", "carbon_impact"),
}
CQL_TYPES = {"string": "text"}  # the others have Spark's names


def key(table: Table) -> str:
    descending = [name for name in table.clustering_key if f"{name} DESC" in table.create]
    clustering = [f"{name} DESC" if name in descending else name for name in table.clustering_key]
    return f"(({', '.join(table.partition_key)}), {', '.join(clustering)})"


def test_the_seven_tables_and_no_other() -> None:
    assert {name: (key(table), table.mart) for name, table in tables().items()} == CONTRACT
    assert schema_text().count("CREATE TABLE") == len(tables()) == len(MARTS)
    assert len({table.query for table in tables().values()}) == len(MARTS)


@pytest.mark.parametrize("name", CONTRACT)
def test_columns_are_the_marts_under_their_names(name: str) -> None:
    table = tables()[name]
    expected = {
        field.name: "decimal"
        if isinstance(field.dataType, DecimalType)
        else CQL_TYPES.get(field.dataType.simpleString(), field.dataType.simpleString())
        for field in SCHEMAS[table.mart]
    }
    assert table.columns == expected


@pytest.mark.parametrize("name", CONTRACT)
def test_rows_live_90_days_in_levelled_files(name: str) -> None:
    table = tables()[name]
    assert table.ttl_seconds == 90 * 24 * 3600
    assert "compaction = {'class': 'LeveledCompactionStrategy'}" in table.create
    assert table.question.endswith("?")


def test_what_one_partition_of_a_mart_covers() -> None:
    assert tables()["finops_daily_usage"].slice_key == ("org_id", "usage_date")
    assert tables()["org_service_cost_summary"].slice_key == ("org_id", "summary_date")
    assert tables()["revenue_monthly"].slice_key == ("org_id",)
    for table in tables().values():  # a slice is a prefix of the key: one DELETE covers it
        assert table.primary_key[: len(table.slice_key)] == table.slice_key
