"""What follows from a declaration alone: keys, CREATE TABLE, what a question can be asked with."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cloud_analytics.errors import UsageError
from cloud_analytics.gold import marts
from cloud_analytics.serving import queries
from cloud_analytics.serving.queries import explain, request
from cloud_analytics.tables import MONEY, Column, SameDate, Serving, Table
from cloud_analytics.tables.columns import COUNT, ORG_ID, USAGE_DATE, USD
from cloud_analytics.tables.cql import ServingTable, serving_tables

RANK = Column("rank", "int", "1: the highest", COUNT)
COST = Column("cost_usd", MONEY, "cost", USD)


def declared(name: str, key: str, *columns: Column, **more: Any) -> ServingTable:
    serving = Serving(name, question=name, asks=f"Who asks: {name}?", key=key)
    table = Table(name, tuple(column.name for column in columns), (*columns, COST), serving=serving, **more)
    return serving_tables([table])[name]


PROVIDER = declared(
    "provider", "((month), usage_date DESC)", Column("month", "string", "the month"), USAGE_DATE, partition="usage_date"
)
TOP = declared("top-organisations", "((usage_date), rank, org_id)", USAGE_DATE, ORG_ID, RANK, partition="usage_date")
TAGS = declared(
    "tags",
    "((org_id, tag_key), usage_date DESC, tag_value)",
    ORG_ID,
    USAGE_DATE,
    Column("tag_key", "string", "the key"),
    Column("tag_value", "string", "its value"),
    partition="usage_date",
)
SIGNALS = declared("signals", "((org_id))", ORG_ID)


@pytest.fixture(autouse=True)
def _these_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {table.name: table for table in (PROVIDER, TOP, TAGS, SIGNALS)}
    monkeypatch.setattr(queries, "tables", lambda: tables)


def test_every_mart_is_found_and_reads_what_there_is() -> None:
    paths = {mart.table.path for mart in marts().values()}
    for name, mart in marts().items():
        assert mart.table.name == name
        assert {read.table for read in mart.table.reads if read.table.startswith("gold/")} <= paths


def test_parquet_has_the_partition_column_last_and_cql_the_key_first() -> None:
    assert TOP.source.schema.names == ["org_id", "rank", "cost_usd", "usage_date"]
    assert list(TOP.columns) == ["usage_date", "rank", "org_id", "cost_usd"]
    assert list(TAGS.columns)[:4] == ["org_id", "tag_key", "usage_date", "tag_value"]


def test_create_table_without_an_order_has_none() -> None:
    assert SIGNALS.statement().splitlines()[-3:] == [
        "    PRIMARY KEY ((org_id))",
        ") WITH default_time_to_live = 7776000",
        "   AND compaction = {'class': 'LeveledCompactionStrategy'}",
    ]
    assert SIGNALS.statement({"default_time_to_live", "compaction"}).endswith("\n)")


def test_a_slice_is_what_one_partition_of_the_mart_covers() -> None:
    assert PROVIDER.slice_key == ("month", "usage_date")
    assert TOP.slice_key == ("usage_date",)
    assert TAGS.slice_key == ("org_id", "tag_key", "usage_date")
    assert SIGNALS.slice_key == ("org_id",)


def test_what_a_question_can_be_asked_with_follows_from_the_key() -> None:
    asked = request("tags", "o", since="2025-01-02", tag_key="team")
    assert asked.about == "tags of o team"
    assert "WHERE org_id = 'o'\n  AND tag_key = 'team'\n  AND usage_date >= '2025-01-02'" in explain(asked)
    assert "WHERE org_id = 'o';" in explain(request("signals", "o"))
    months = explain(request("provider", until=date(2025, 2, 3), top=2))
    assert "SELECT DISTINCT month\n" in months
    assert "WHERE month = '<month>'\n  AND usage_date <= '2025-02-03'\nLIMIT 2;" in months
    assert "SELECT DISTINCT usage_date\n" in explain(request("top-organisations"))
    assert "WHERE usage_date = '2025-02-03';" in explain(request("top-organisations", until="2025-02-03"))


@pytest.mark.parametrize(
    ("question", "arguments", "message"),
    [
        ("tags", {"org": "o"}, "Missing option '--tag-key'"),
        ("tags", {"org": "o", "tag_key": ""}, "--tag-key is empty"),
        ("signals", {"org": "o", "since": "2025-01-01"}, "--from and --to are not for signals"),
        ("signals", {"org": "o", "tag_key": "team"}, "--tag-key is not for signals"),
        ("provider", {"org": "o"}, "--org is not for provider"),
        ("top-organisations", {"since": "2025-01-01"}, "give that date with --to"),
    ],
)
def test_what_a_question_cannot_be_asked_with(question: str, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        request(question, **arguments)  # type: ignore[arg-type]


def test_a_declaration_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="no column usage_date"):
        Table("t", ("org_id",), (ORG_ID,), reads=(SameDate("silver/usage_events"),), partition="usage_date")
    with pytest.raises(ValueError, match="does not tell the rows"):
        declared("t", "((org_id))", ORG_ID, USAGE_DATE)
    with pytest.raises(ValueError, match="is not like"):
        Serving("t", question="t", asks="?", key="(org_id)")
