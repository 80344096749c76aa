"""`--master` and `--spark`: checked before anything starts, all problems at once."""

from __future__ import annotations

from unittest.mock import Mock, call

import pytest
from click.testing import CliRunner
from pyspark import SparkConf, SparkContext

from cloud_analytics import session
from cloud_analytics.cli import cli
from cloud_analytics.config import SparkSettings
from cloud_analytics.errors import ConfigError, UsageError
from cloud_analytics.runtime import jvm
from cloud_analytics.runtime.jars import object_store_jars


@pytest.mark.parametrize(
    "master", ["local", "local[*]", "local[3]", "spark://a:7077,b:7077", "yarn", "k8s://https://h:1"]
)
def test_masters_that_spark_has(master: str) -> None:
    assert SparkSettings().overridden(master, []).master == master


def test_the_command_line_wins_over_the_configuration() -> None:
    settings = SparkSettings(conf={"spark.executor.memory": "1g", "spark.executor.cores": "2"})
    changed = settings.overridden(None, ["spark.executor.memory=4g", "spark.x=a=b"])
    assert changed.master == settings.master
    assert changed.conf == {"spark.executor.memory": "4g", "spark.executor.cores": "2", "spark.x": "a=b"}


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as told:
        SparkSettings().overridden(
            "local[2,4]", ["nonsense", "x=1", "spark.master=yarn", "spark.sql.session.timeZone=CET"]
        )
    text = str(told.value)
    for part in ("local[2,4]", "nonsense", "x: Spark's settings", "or --master", "all timestamps are UTC"):
        assert part in text


def test_under_spark_submit_the_master_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    monkeypatch.setenv("PYSPARK_GATEWAY_SECRET", "s")
    done = CliRunner().invoke(cli, ["--master", "yarn", "gold", "--lake", "nowhere"])
    assert isinstance(done.exception, UsageError)
    assert "give --master to it" in str(done.exception)


def test_s3a_is_fetched_for_its_own_paths_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_analytics.runtime.jars.ensure", lambda jar_set: [jar_set.name])
    assert object_store_jars(["data", "file:///data", "s3://emr"]) == []
    assert object_store_jars(["data", "s3a://bucket/lake"]) == ["s3a"]


def test_what_is_secret_does_not_stand_in_the_list_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark is told of it when its Java runs: the session's builder has it."""
    secret = [
        "spark.hadoop.fs.s3a.access.key",
        "spark.hadoop.fs.s3a.bucket.mine.secret.key",
        "spark.hadoop.fs.s3a.session.token",
        "spark.hadoop.fs.azure.account.key.mine.dfs.core.windows.net",
        "spark.hadoop.fs.gs.auth.service.account.private.key",
        "spark.ssl.keyPassword",
        "spark.executorEnv.AWS_SECRET_ACCESS_KEY",
        "spark.authenticate.secret",
    ]
    started: list[SparkConf] = []

    def launch(conf: SparkConf, _options: object) -> None:
        started.append(conf)
        raise OSError("no Java here")

    monkeypatch.setattr(SparkContext, "_gateway", None)
    monkeypatch.setattr(jvm, "launch_gateway", launch)
    builder = Mock()
    builder.config.return_value = builder
    monkeypatch.setattr(jvm, "SparkSession", Mock(builder=builder))
    with pytest.raises(OSError, match="no Java here"):
        jvm.started({**dict.fromkeys(secret, "HUSH"), "spark.master": "local"})
    assert started[0].getAll() == [("spark.master", "local")]
    assert builder.config.call_args_list[:-1] == [call(key, "HUSH") for key in secret]


def test_options_of_the_jvm_come_behind_ours_and_one_collector_is_chosen() -> None:
    ours = {"spark.driver.extraJavaOptions": "-Da=1", "spark.master": "local"}
    conf = {"spark.driver.extraJavaOptions": "-Da=2", "spark.executor.extraJavaOptions": "-Db=1", "spark.x": "y"}
    assert session._added(ours, conf) == {**conf, "spark.driver.extraJavaOptions": "-Da=1 -Da=2"}
    for chosen, kept in (("-XX:+UseG1GC", False), ("-Dx=1", True)):
        settings = SparkSettings(conf={"spark.driver.extraJavaOptions": chosen}, driver_memory="600m")
        options = jvm.driver_options(settings, False, False)["spark.driver.extraJavaOptions"]
        assert ("UseParallelGC" in options) is kept
        assert "-Xms600m" in options
