"""Lake and landing on an object store: whole partitions replaced, healed after a death at any request, one writer."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from cloud_analytics.config import Config
from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.generate import GeneratorSettings, generate
from cloud_analytics.lake.files import LocalFileSystem, file_system, open_files
from cloud_analytics.lake.folder import Document
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.locks import LEASES, Lease
from cloud_analytics.lake.object_store import S3Files, is_understood
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.reading.audit import audit
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.tables.spark_types import schema
from tests.cluster.conftest import Bucket
from tests.cluster.lakes import differences
from tests.conftest import MakePipeline

SCHEMA = schema({"n": "bigint", "date": "string"})
X = Document("_state/x", dict[str, int], {})


class _Killed(BaseException):
    pass


def _frame(spark: SparkSession, *rows: tuple[int, str]) -> DataFrame:
    return spark.createDataFrame(list(rows), SCHEMA).coalesce(1)


def _rows(lake: Lake) -> list[tuple[int, str]]:
    return sorted((row.n, row.date) for row in lake.read("silver/t", SCHEMA).collect())


def _second_version(spark: SparkSession, lake: Lake) -> None:
    with lake.transaction() as transaction:
        transaction.replace("silver/t", _frame(spark, (8, "a"), (9, "c")), ["date"])
        transaction.store(X, {"version": 2})


@pytest.fixture
def lake(spark: SparkSession, bucket: Bucket) -> Lake:
    lake = Lake(spark, bucket.uri("lake"))
    with lake.transaction() as transaction:
        transaction.replace("silver/t", _frame(spark, (1, "a"), (2, "b")), ["date"])
        transaction.store(X, {"version": 1})
    return lake


def test_partitions_are_replaced_and_leave_nothing_behind(lake: Lake, bucket: Bucket, spark: SparkSession) -> None:
    with lake.transaction() as transaction:
        transaction.replace(
            "silver/t", _frame(spark, (8, "a"), (9, "c")), ["date"], lambda path: not path.startswith("date=z")
        )
    assert _rows(lake) == [(8, "a"), (9, "c")]
    assert lake.files.folders("silver/t") == ["date=a", "date=c"]
    assert not bucket.keys("lake/_staging/")


@pytest.mark.parametrize("step", [0, 1, 3, 5])
def test_a_death_at_any_step_after_the_commit_is_finished_by_the_next_start(
    spark: SparkSession, lake: Lake, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    calls = 0

    def dying(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            if "lake/_state/journal.json" in bucket.keys("lake/_state/journal.json"):
                calls += 1
                if calls > step:
                    raise _Killed
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patched:
        for name in ("delete", "move", "write_text"):
            patched.setattr(lake.files, name, dying(getattr(lake.files, name)))
        with pytest.raises(_Killed):
            _second_version(spark, lake)
    again = Lake(spark, lake.root)
    with again.writer():
        assert _rows(again) == [(8, "a"), (9, "c")]
        assert again.load(X) == {"version": 2}
    assert not bucket.keys("lake/_staging/")
    assert not bucket.keys(f"lake/{LEASES}/")


def test_a_rename_that_died_between_its_copy_and_its_delete_is_repeated(lake: Lake, bucket: Bucket) -> None:
    moves = [["_staging/1/a.parquet", "silver/u/a.parquet"], ["_staging/1/b.parquet", "silver/u/b.parquet"]]
    journal = {"number": 1, "remove": [], "move": moves, "documents": {}}
    for key, body in (
        ("_staging/1/a.parquet", b"a"),
        ("silver/u/a.parquet", b"a"),  # copied, the source not yet deleted
        ("_staging/1/b.parquet", b"b"),
        ("_state/journal.json", json.dumps(journal).encode()),
    ):
        bucket.client.put_object(Bucket=bucket.name, Key=f"lake/{key}", Body=body)
    assert lake.recover()
    assert bucket.keys("lake/silver/u/") == ["lake/silver/u/a.parquet", "lake/silver/u/b.parquet"]
    assert not bucket.keys("lake/_staging/")


def test_a_second_writer_is_told_who_writes(spark: SparkSession, lake: Lake) -> None:
    started = time.monotonic()
    second = Lease(file_system(spark, lake.root), "writer", "writing", beat=1, patience=30)
    with lake.writer(), pytest.raises(UsageError, match=f"process {os.getpid()} on .* is writing;"), second:
        pass
    assert time.monotonic() - started < 30
    with Lease(file_system(spark, lake.root), "writer", "writing"):  # the first one has gone
        pass


def test_a_dead_writer_is_outlived_and_cannot_come_back(spark: SparkSession, lake: Lake) -> None:
    dead = Lease(lake.files, "writer", "writing", beat=1000, patience=1000)  # its heart does not beat
    dead.__enter__()
    other = Lease(file_system(spark, lake.root), "writer", "writing", beat=0.5, patience=2)
    with other, pytest.raises(PipelineError, match="lost its right to write"):
        dead.check()
    dead.__exit__(None, None, None)
    assert lake.files.files(LEASES) == []


def test_who_lost_the_lake_commits_nothing(spark: SparkSession, lake: Lake, bucket: Bucket) -> None:
    def lose_and_write() -> None:
        with lake.writer():
            for key in bucket.keys(f"lake/{LEASES}/"):
                bucket.client.delete_object(Bucket=bucket.name, Key=key)
            _second_version(spark, lake)

    with pytest.raises(PipelineError, match="lost its right to write"):
        lose_and_write()
    again = Lake(spark, lake.root)
    assert not again.recover()
    assert _rows(again) == [(1, "a"), (2, "b")]


def test_two_that_come_at_once_do_not_both_write(spark: SparkSession, lake: Lake) -> None:
    first, second = (Lease(file_system(spark, lake.root), "writer", "writing", beat=0.5, patience=4) for _ in range(2))
    for lease in (first, second):
        lease._announce()  # both, before either looks for others
    with pytest.raises(UsageError, match="another run"):
        second._outlive_the_others()
    second.__exit__(None, None, None)
    first._outlive_the_others()
    first.check()
    first.__exit__(None, None, None)


def test_one_that_holds_by_turns_is_waited_for(spark: SparkSession, lake: Lake) -> None:
    turns = Lease(file_system(spark, lake.root), "writer", "writing", by_turns=True, beat=0.3, patience=60)
    other = Lease(file_system(spark, lake.root), "writer", "writing", beat=0.3, patience=60)
    ending = threading.Event()

    def end() -> None:
        ending.set()
        turns.__exit__(None, None, None)

    turns.__enter__()
    threading.Timer(3, end).start()
    with other:
        assert ending.is_set()


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    generate(folder, GeneratorSettings(events=80, days=2, orgs=1, files=2))
    return folder


def test_a_run_over_an_object_store_equals_one_over_folders(
    spark: SparkSession, bucket: Bucket, config: Config, make_pipeline: MakePipeline, landing: Path, tmp_path: Path
) -> None:
    make_pipeline(landing, tmp_path / "local").run()
    bucket.upload(landing, "landing")
    pipeline = Pipeline(Lake(spark, bucket.uri("lake")), bucket.uri("landing"), config)
    assert pipeline.run().changed
    assert differences(tmp_path / "local", bucket.download("lake", tmp_path)) == []
    assert not pipeline.run().changed
    # Who only reads gets in with the same credentials, without Spark, and finds the same files.
    conf = {f"spark.hadoop.{key}": value for key, value in bucket.options.items()}
    files, source = (open_files(bucket.uri(place), conf) for place in ("lake", "landing"))
    assert isinstance(files, S3Files)
    assert files.files("gold") == pipeline.lake.files.files("gold") != []
    assert files.folders("") == pipeline.lake.files.folders("")
    assert (files.read_text("_state/none.json"), files.exists("gold"), files.exists("no")) == (None, True, False)
    zones = LakeReader(files)
    local = audit(LakeReader(open_files(str(tmp_path / "local"))), open_files(str(landing)), config)
    assert audit(zones, source, config) == local
    assert local.balanced
    with pytest.raises(UsageError, match="Cannot access file"):
        zones.sql(f"SELECT * FROM read_text('{bucket.uri('lake/_state/last_transaction.json')}')")


@pytest.mark.slow
def test_a_run_killed_between_two_renames_is_healed_by_the_next(
    bucket: Bucket, make_pipeline: MakePipeline, landing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renames, move = itertools.count(), LocalFileSystem.move
    with monkeypatch.context() as patch:
        patch.setattr(LocalFileSystem, "move", lambda *args: (next(renames), move(*args))[1])
        make_pipeline(landing, tmp_path / "local").run()
    half_way = str(next(renames) // 2)
    bucket.upload(landing, "landing")
    options = [part for key, value in bucket.options.items() for part in ("--spark", f"spark.hadoop.{key}={value}")]
    run = ["--master", "local[2]", *options, "run", "--serving", "none"]
    run += ["--landing", bucket.uri("landing"), "--lake", bucket.uri("lake")]
    killed = subprocess.run([sys.executable, "-m", "tests.cluster.dying", half_way, *run], timeout=600)
    assert killed.returncode == -signal.SIGKILL
    assert "lake/_state/journal.json" in bucket.keys("lake/_state/")
    subprocess.run([sys.executable, "-m", "cloud_analytics", *run], check=True, timeout=600)
    assert differences(tmp_path / "local", bucket.download("lake", tmp_path)) == []


def test_where_credentials_come_from_a_place_that_spark_alone_knows_spark_is_asked() -> None:
    keys = {"spark.hadoop.fs.s3a.access.key": "a", "spark.hadoop.fs.s3a.bucket.mine.endpoint": "http://h:1"}
    assert is_understood("mine", keys)
    own = "spark.hadoop.fs.s3a.bucket.mine.aws.credentials.provider"
    assert not is_understood("mine", {**keys, own: "org.example.OwnProvider"})
    assert is_understood("other", {**keys, own: "org.example.OwnProvider"})
    assert not is_understood("mine", {"spark.hadoop.fs.s3a.assumed.role.arn": "arn:aws:iam::1:role/r"})
