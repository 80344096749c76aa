"""The target `cassandra`: TLS by an authority, a login, and a keyspace that is created as the settings say."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cloud_analytics.config.pipeline import CassandraSettings, ServingSettings
from cloud_analytics.errors import UsageError
from cloud_analytics.serving.tables import tables
from cloud_analytics.serving.target import Target
from cloud_analytics.serving.target import cassandra as target_of_cluster
from cloud_analytics.serving.write import forget_connections, pace_connector, upsert
from tests.serving.astra.bundle import Authority
from tests.serving.astra.double import RATE, Double
from tests.serving.conftest import writing_session

pytestmark = [pytest.mark.spark, pytest.mark.cassandra]


def cluster(double: Double, folder: Path, authority: Authority | None = None, password: str | None = None) -> Target:
    """The node behind the double, reached directly and over TLS, as a cluster with one node in its data centre."""
    ca_file = folder / "ca.pem"
    ca_file.write_bytes((authority or double.authority).identity.certificate_pem)
    chosen = CassandraSettings(
        port=double.node.port,
        keyspace="of_a_cluster",
        replication={"datacenter1": 1},
        ca_file=ca_file,
        requests_per_second=RATE // 2,
    )
    login = double.node.login
    assert login is not None
    environment = {"CASSANDRA_USERNAME": login.username, "CASSANDRA_PASSWORD": password or login.password}
    return target_of_cluster(ServingSettings(cassandra=chosen), environment)


def test_driver_and_connector_come_over_tls(double: Double, tmp_path: Path, spark: SparkSession) -> None:
    target, table = cluster(double, tmp_path), tables()["carbon_daily"]
    pace_connector(spark, target.requests_per_second)
    with writing_session(target) as session:
        rows = spark.range(3).selectExpr("concat('org_', id) as org_id", "date'2025-05-01' as usage_date")
        upsert(rows, table, target, 1, session)
        assert len(list(session.execute("SELECT org_id FROM carbon_daily"))) == 3
        clients = list(session.execute("SELECT * FROM system_views.clients"))
        secured = {("Java" in str(one["driver_name"])) for one in clients if one["ssl_enabled"]}
        assert secured == {True, False}
        made = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = 'of_a_cluster'"
        replication = session.execute(made).one()["replication"]
    assert replication["class"].endswith("NetworkTopologyStrategy")
    assert replication["datacenter1"] == "1"
    forget_connections(spark)


def test_a_wrong_password_is_one_line(double: Double, tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="refused: check CASSANDRA_USERNAME and CASSANDRA_PASSWORD") as failure,
        cluster(double, tmp_path, password="hush").looking_session(),
    ):
        pass
    assert "\n" not in str(failure.value)
    assert "hush" not in str(failure.value)


def test_another_authority_is_one_line(double: Double, tmp_path: Path) -> None:
    stranger = cluster(double, tmp_path, Authority())
    with pytest.raises(UsageError, match="ca_file") as failure, stranger.looking_session():
        pass
    assert "\n" not in str(failure.value)
