"""The serving tables against the contract, the Gold marts, and the CQL that is kept for people to read."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from pyspark.sql.types import ArrayType, DecimalType

from cloud_analytics.cli import cli
from cloud_analytics.gold import marts
from cloud_analytics.serving.tables import tables
from tests.conftest import REPOSITORY

# The contract's tables: primary key (partition key in brackets), and the mart each one comes from.
CONTRACT = {
    "finops_daily_usage": ("((org_id), usage_date DESC, service)", "org_daily_usage_by_service"),
    "org_service_cost_summary": ("((org_id, summary_date), rank_14d, service)", "org_service_cost_summary"),
    "support_tickets_summary": ("((org_id), ticket_date DESC, severity)", "tickets_by_org_date"),
    "revenue_monthly": ("((org_id), billing_month DESC)", "revenue_by_org_month"),
    "genai_usage_daily": ("((org_id), usage_date DESC)", "genai_tokens_by_org_date"),
    "cost_anomalies": ("((org_id), usage_date DESC, service)", "cost_anomaly_mart"),
    "carbon_daily": ("((org_id), usage_date DESC)", "carbon_impact"),
    "billing_reconciliation": ("((org_id), month DESC)", "billing_reconciliation"),
    "tag_cost_daily": ("((org_id, tag_key), usage_date DESC, tag_value)", "tag_cost_daily"),
    "support_backlog_daily": ("((org_id), backlog_date DESC, severity)", "support_backlog_daily"),
    "cost_forecast": ("((org_id), as_of_date DESC)", "cost_forecast"),
    "customer_signals": ("((org_id))", "customer_signals"),
    "provider_daily_usage": ("((month), usage_date DESC, service)", "provider_daily_usage"),
    "top_organisations": ("((summary_date), rank_14d, org_id)", "top_organisations"),
}
CQL_TYPES = {"string": "text"}  # the others have Spark's names
SERVE_SCHEMA = "cloud-analytics serve --schema > docs/schema.cql"


@pytest.mark.parametrize("name", tables())
def test_keys_are_those_of_the_contract(name: str) -> None:
    table = tables()[name]
    if name in CONTRACT:
        assert (table.key, table.mart) == CONTRACT[name]
    assert f"PRIMARY KEY {table.key_text()}" in table.statement()
    assert [word.lower() for _, word in table.clustering_order] == [
        "desc" if f"{column} DESC" in table.statement() else "asc" for column in table.clustering_key
    ]


def test_the_first_seven_tables_are_there_and_each_answers_a_question_of_its_own() -> None:
    assert set(list(CONTRACT)[:7]) <= tables().keys()
    assert len({table.question for table in tables().values()}) == len(tables())


def test_the_cql_that_people_read_has_not_drifted() -> None:
    text = CliRunner().invoke(cli, ["serve", "--schema"]).stdout
    assert text.count("CREATE TABLE") == len(tables())
    assert (REPOSITORY / "docs" / "schema.cql").read_text(encoding="utf-8") == text, f"run {SERVE_SCHEMA}"


@pytest.mark.parametrize("name", tables())
def test_columns_are_the_marts_under_their_names(name: str) -> None:
    table = tables()[name]
    expected = {
        field.name: "decimal"
        if isinstance(field.dataType, DecimalType)
        else "frozen<list<text>>"
        if isinstance(field.dataType, ArrayType)
        else CQL_TYPES.get(field.dataType.simpleString(), field.dataType.simpleString())
        for field in marts()[table.mart].table.schema
    }
    assert table.columns == expected


@pytest.mark.parametrize("name", tables())
def test_rows_live_90_days_in_levelled_files(name: str) -> None:
    table = tables()[name]
    assert table.ttl_seconds == 90 * 24 * 3600
    assert "compaction = {'class': 'LeveledCompactionStrategy'}" in table.statement()
    assert table.asks.endswith("?")


def test_what_one_partition_of_a_mart_covers() -> None:
    assert tables()["finops_daily_usage"].slice_key == ("org_id", "usage_date")
    assert tables()["org_service_cost_summary"].slice_key == ("org_id", "summary_date")
    assert tables()["revenue_monthly"].slice_key == ("org_id",)
    for table in tables().values():  # a slice is a prefix of the key: one DELETE covers it
        assert table.primary_key[: len(table.slice_key)] == table.slice_key
