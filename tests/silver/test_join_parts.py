"""Files that many micro-batches added to a date are joined: fewer files, the same rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cloud_analytics.config import Config
from cloud_analytics.lake.lake import Lake
from cloud_analytics.silver import state as silver_state
from cloud_analytics.silver.parts import join_parts, small_files
from cloud_analytics.silver.state import Inputs, SilverDate, SilverEvents
from cloud_analytics.tables.zones import SILVER_EVENTS
from tests.integration.agreement import rows_of


@pytest.mark.parametrize(
    ("lengths", "joined"),
    [
        ({"a/1": 10, "a/2": 10, "a/3": 10, "a/4": 10}, ["a/1", "a/2", "a/3", "a/4"]),
        ({"a/1": 10, "a/2": 20, "a/3": 31, "a/4": 123}, ["a/1", "a/2", "a/3"]),  # 123 wait for more smaller ones
        ({"a/1": 10, "a/2": 21}, []),
        ({"a/1": 10, "b/1": 10, "b/2": 5, "b/3": 5}, ["b/2", "b/3", "b/1"]),  # each partition by itself
        ({}, []),
    ],
)
def test_a_file_is_joined_with_half_as_many_bytes_of_smaller_ones(lengths: dict[str, int], joined: list[str]) -> None:
    assert small_files(lengths) == joined


@pytest.mark.spark
def test_rows_stay_and_only_a_date_of_many_parts_is_touched(
    spark: SparkSession, config: Config, tmp_path: Path
) -> None:
    lake = Lake(spark, str(tmp_path))
    stream = config.pipeline.stream.model_copy(update={"max_parts": 3})
    config = config.model_copy(update={"pipeline": config.pipeline.model_copy(update={"stream": stream})})
    inputs = Inputs(1, "", "", "", "")
    written: dict[str, list[int]] = {"2025-06-01": [], "2025-06-02": []}
    for number, date in enumerate(["2025-06-01"] * 4 + ["2025-06-02"] * 3):
        rows = spark.createDataFrame([(f"e{number}", "genai")], "event_id string, service string")
        rows = rows.withColumn("date", F.lit(date).cast("date"))
        missing = {
            field.name: F.lit(None).cast(field.dataType)
            for field in SILVER_EVENTS.schema
            if field.name not in rows.columns
        }
        with lake.transaction() as transaction:
            added = rows.withColumns(missing).select(SILVER_EVENTS.schema.names)
            transaction.replace(SILVER_EVENTS.path, added, ["date", "service"], remove=None)
            written[date].append(transaction.number)
            dates = {
                date: SilverDate(inputs, numbers[-1], numbers[0], tuple(numbers[1:]))
                for date, numbers in written.items()
                if numbers
            }
            transaction.store(silver_state.DOCUMENT, SilverEvents(dates))
    before = rows_of(tmp_path, SILVER_EVENTS.path)
    assert join_parts(lake, config) == ["2025-06-01"]
    assert sorted(rows_of(tmp_path, SILVER_EVENTS.path), key=str) == sorted(before, key=str)
    assert [len(list(tmp_path.glob(f"{SILVER_EVENTS.path}/date={date}/*/*.parquet"))) for date in written] == [1, 3]
    newest = written["2025-06-01"][-1]
    entry = lake.load(silver_state.DOCUMENT).dates["2025-06-01"]
    assert entry == SilverDate(inputs, newest, base=newest)  # the rows have no other version
    assert join_parts(lake, config) == []
