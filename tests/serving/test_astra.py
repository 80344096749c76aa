"""AstraDB by its double: driver and connector go through the bundle, and every refusal is met or told in one line."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from pyspark.sql import DataFrame, SparkSession

from cloud_analytics.config import Config
from cloud_analytics.errors import PipelineError, StoreUnavailable, UsageError
from cloud_analytics.reading.served import plan
from cloud_analytics.serving.connect import Bundle, Login
from cloud_analytics.serving.load import serve
from cloud_analytics.serving.queries import ask
from cloud_analytics.serving.tables import tables
from cloud_analytics.serving.target import Target
from cloud_analytics.serving.target import astra as target_of_astra
from cloud_analytics.serving.write import delete, forget_connections, pace_connector, partition_keys, upsert
from tests.serving.astra.double import KEYSPACE, RATE, TOKEN, Double
from tests.serving.conftest import OpenLake, unequal, writing_session

pytestmark = [pytest.mark.spark, pytest.mark.cassandra]


@pytest.fixture
def target(double: Double, config: Config) -> Target:
    """The double as the environment describes it, slower than it allows, with no tables in it."""
    double.sleep(0)
    with double.superuser() as session:
        for name in (*tables(), "lake_identity"):
            session.execute(f"DROP TABLE IF EXISTS {KEYSPACE}.{name}")
    environment = {
        "ASTRA_DB_SECURE_BUNDLE": str(double.bundle),
        "ASTRA_DB_APPLICATION_TOKEN": TOKEN,
        "ASTRA_DB_KEYSPACE": KEYSPACE,
    }
    return replace(target_of_astra(config.pipeline.serving, environment), requests_per_second=RATE // 2)


def test_gold_is_served_through_the_bundle(
    open_lake: OpenLake, target: Target, double: Double, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cloud_analytics")
    pipeline = open_lake()
    before = len(double.metadata_requests)
    loaded = serve(pipeline.lake, target)
    rows = sum(loaded.values())
    assert unequal(pipeline) == []
    (budget,) = (line for line in caplog.messages if line.startswith("this load plans"))
    assert budget.startswith(f"this load plans {rows:,} writes ({rows:,} rows, 0 deletions)")
    assert budget.endswith("% of 5,000,000")
    with double.superuser() as session:
        clients = list(session.execute("SELECT driver_name, username FROM system_views.clients"))
        made = list(session.execute("SELECT * FROM system_schema.tables WHERE keyspace_name = %s", [KEYSPACE]))
    assert any("Java" in str(client["driver_name"]) for client in clients if client["username"] == "token")
    assert {table["default_time_to_live"] for table in made} == {90 * 86_400}
    assert not any("Leveled" in str(table["compaction"]) for table in made)
    assert len(double.metadata_requests) >= before + 2  # the Python driver's and the connector's
    assert len(set(double.server_names)) == 1
    with target.session() as session:
        assert ask(session, "carbon", "org_a", top=1).rows


def test_a_plan_counts_what_the_load_then_writes(open_lake: OpenLake, target: Target, double: Double) -> None:
    pipeline = open_lake()
    first = plan(pipeline.lake, target)
    with double.superuser() as session:
        query = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s"
        assert list(session.execute(query, [KEYSPACE])) == []  # it only looked
    assert first.written == 0
    written = serve(pipeline.lake, target)
    assert {part.table: part.rows for part in first.tables if part.rows} == written
    again = plan(pipeline.lake, target)
    assert (again.writes, again.written) == (0, first.writes)


def test_a_database_that_wakes_up_is_waited_for(
    open_lake: OpenLake, target: Target, double: Double, caplog: pytest.LogCaptureFixture
) -> None:
    double.sleep(2.5)
    with pytest.raises(StoreUnavailable, match="the database is waking up"):
        serve(open_lake().lake, target)
    serve(open_lake().lake, target, timedelta(seconds=60))
    assert any("waking up (its metadata service answers 503); trying again in 1 s" in line for line in caplog.messages)
    assert unequal(open_lake()) == []
    double.sleep(2.5)
    with pytest.raises(StoreUnavailable), target.session():
        pass
    with target.session(timedelta(seconds=60)) as session:
        assert ask(session, "carbon", "org_a", top=1).rows


def test_the_connector_meets_a_database_that_sleeps_with_an_error(
    open_lake: OpenLake, target: Target, double: Double
) -> None:
    lake, table = open_lake().lake, tables()["carbon_daily"]
    forget_connections(lake.spark)
    double.sleep(60)
    rows = lake.read(table.source.path, table.source.schema)
    with pytest.raises(StoreUnavailable, match=r"cannot write carbon_daily to Cassandra: .*503") as failure:
        upsert(rows, table, target, 1)
    assert TOKEN not in str(failure.value)


def carbon(spark: SparkSession, rows: int) -> DataFrame:
    """So many rows of carbon_daily, each with an organisation of its own."""
    return spark.range(rows).selectExpr(
        "concat('org_', id) as org_id", "date'2025-05-01' as usage_date", "id as events", "id as events_with_carbon"
    )


@pytest.mark.parametrize(
    "pace", [pytest.param(None, id="no pace"), pytest.param(100_000, id="too high a pace", marks=pytest.mark.slow)]
)
def test_an_overrun_store_gets_everything_in_the_end(spark: SparkSession, target: Target, pace: int | None) -> None:
    greedy, table, rows = replace(target, requests_per_second=pace), tables()["carbon_daily"], 3 * RATE
    pace_connector(spark, pace)
    forget_connections(spark)
    with writing_session(greedy) as session:
        upsert(carbon(spark, rows), table, greedy, 2, session)
        keys = partition_keys(session, table)
        assert len(keys) == rows
        began = time.monotonic()
        delete(session, table, ("org_id",), keys, 3, pace)
        assert time.monotonic() - began > 1  # it was refused on the way, not served at once
        assert partition_keys(session, table) == set()


def test_the_pace_is_kept_by_connector_and_driver(spark: SparkSession, target: Target) -> None:
    slow, table = replace(target, requests_per_second=100), tables()["carbon_daily"]
    pace_connector(spark, 100)
    forget_connections(spark)
    with writing_session(slow) as session:
        for work in (
            lambda: upsert(carbon(spark, 300), table, slow, 2, session),
            lambda: delete(session, table, ("org_id",), {(f"org_{n}",) for n in range(300)}, 3, 100),
        ):
            began = time.monotonic()
            work()
            assert time.monotonic() - began > 1.9  # the first second's worth may go at once


@pytest.mark.parametrize(
    "says", [b"{}", b"null", b"no JSON", b'{"contact_info": {"local_dc": 1}}', b"\xff", b" " * 3_000_000]
)
def test_a_metadata_service_that_says_something_else_is_one_line(
    target: Target, double: Double, says: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(double, "says", says)
    with pytest.raises(PipelineError, match="cannot reach AstraDB .*: download a new bundle$"), target.session():
        pass


def test_a_wrong_token_is_one_line(target: Target) -> None:
    wrong = Login("token", "AstraCS:wrong" + TOKEN[13:], "ASTRA_DB_APPLICATION_TOKEN")
    assert isinstance(target.access, Bundle)
    with (
        pytest.raises(UsageError, match="refused: check ASTRA_DB_APPLICATION_TOKEN") as failure,
        writing_session(replace(target, access=replace(target.access, login=wrong))),
    ):
        pass
    assert "\n" not in str(failure.value)
    assert "AstraCS" not in str(failure.value) + repr(target)


def test_a_missing_keyspace_is_one_line_and_is_not_created(target: Target, double: Double) -> None:
    nowhere = replace(target, keyspace="absent")
    for opened in (partial(writing_session, nowhere), nowhere.looking_session, nowhere.session):
        with (
            pytest.raises(UsageError, match="no keyspace 'absent': create it in the Astra console") as failure,
            opened(),
        ):
            pass
        assert "\n" not in str(failure.value)
    with double.superuser() as session:
        assert not list(session.execute("SELECT * FROM system_schema.keyspaces WHERE keyspace_name = 'absent'"))
