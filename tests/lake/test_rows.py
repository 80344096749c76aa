"""Rows that come to the driver are written as Spark's tasks would write them."""

from __future__ import annotations

import random
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.rows import (
    collected,
    collected_with_contents,
    computed_once,
    is_little,
    parquet_files,
    row_hash,
)

ODD = ["plain", "a/b", "50%", "x=y", "größe", "tab\there", "", None, "[z]", "back\\slash", "a b"]


def test_each_row_lies_in_the_folder_of_its_values(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(number, date(2025, 6, 1 + number % 17), ODD[number % len(ODD)]) for number in range(700)]
    random.Random(7).shuffle(rows)
    frame = spark.createDataFrame(rows, "n int, day date, kind string")
    lake = Lake(spark, str(tmp_path / "lake"))
    with lake.writer(), lake.transaction() as transaction:
        transaction.replace("silver/here", collected(frame), ["day", "kind"])
        transaction.replace("silver/spark", frame.repartition(1), ["day", "kind"])
    here, by_spark = (
        lake.read(f"silver/{name}", frame.select("n", "day", "kind").schema) for name in ("here", "spark")
    )
    # An empty text has no folder of its own: Spark reads it back as null, whoever wrote it.
    expected = sorted((number, day, kind or None) for number, day, kind in rows)
    assert sorted(map(tuple, here.collect()), key=str) == sorted(expected, key=str)
    assert sorted(map(tuple, here.collect()), key=str) == sorted(map(tuple, by_spark.collect()), key=str)
    folders = [{path.rpartition("/")[0] for path in lake.data_files(f"silver/{name}")} for name in ("here", "spark")]
    assert folders[0] == folders[1]


def test_a_table_without_rows_is_one_file_and_one_by_date_is_none(spark: SparkSession) -> None:
    nothing = collected(spark.range(0).selectExpr("id", "current_date() day"))
    assert [
        (folder, pq.read_table(pa.BufferReader(content)).num_rows) for folder, content in parquet_files(nothing, [])
    ] == [("", 0)]
    assert list(parquet_files(nothing, ["day"])) == []


def test_contents_are_what_a_query_over_the_files_would_find(spark: SparkSession) -> None:
    frame = spark.range(1000).selectExpr(
        "id",
        "cast(id as decimal(28,6)) / 7 usd",
        "date_add('2025-06-01', cast(id % 5 as int)) day",
        "if(id % 3 = 0, null, 'x') t",
    )
    rows, contents = collected_with_contents(frame, "day")
    assert rows.column_names == frame.columns
    hashed = frame.select("day", row_hash(frame.columns).alias("hash"))
    found = hashed.groupBy("day").agg({"hash": "count"}).collect()
    sums = {row.day: 0 for row in found}
    for row in hashed.collect():
        sums[row.day] += row.hash
    assert contents == {str(row.day): (str(sums[row.day]), row["count(hash)"]) for row in found}


def test_little_is_told_by_the_files_that_are_read(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(10).write.parquet(str(tmp_path / "small"))
    spark.range(3_000_000).selectExpr("uuid() text").write.parquet(str(tmp_path / "large"))
    small, large = spark.read.parquet(str(tmp_path / "small")), spark.read.parquet(str(tmp_path / "large"))
    assert is_little([small, small.crossJoin(small.withColumnRenamed("id", "other"))])
    assert not is_little([small, large.limit(1)])


@pytest.mark.parametrize("little", [True, False])
def test_rows_are_computed_once_and_kept_until_the_end(spark: SparkSession, little: bool) -> None:
    kept = spark.sparkContext._jsc.sc().getPersistentRDDs
    before = kept().size()
    with ExitStack() as until:
        rows = computed_once(until, spark.range(3).withColumn("dice", F.rand()), little)
        assert rows.collect() == rows.collect()
        assert kept().size() == before + 1
        assert ("Range" in rows._jdf.queryExecution().analyzed().toString()) is not little
    assert kept().size() == before
