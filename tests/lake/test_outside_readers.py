"""Law 8: who reads a table of Gold from outside finds each partition as it was or as it is, at any moment."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from cloud_analytics.lake.lake import Lake
from cloud_analytics.tables.spark_types import schema

ROWS, DATES, REPLACEMENTS = 200, ("2025-07-01", "2025-07-02"), 200
SCHEMA = schema({"version": "bigint", "n": "bigint", "usage_date": "string"})
Versions = dict[str, Counter[int]]  # date → version → rows


class _Rows:
    """One file a date, as Spark would write it aside; 200 times through Spark itself would take half a minute."""

    def __init__(self, version: int) -> None:
        self.version = version

    def __getattr__(self, _name: str) -> Any:
        return self

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self

    def parquet(self, folder: str) -> None:
        for day in DATES:
            place = Path(folder.removeprefix("file:")) / f"usage_date={day}"
            place.mkdir(parents=True)
            # Longer each time: what is read by the length of another file would break.
            rows = pa.table({"version": [self.version] * ROWS, "n": [self.version * 10**6 + n for n in range(ROWS)]})
            pq.write_table(rows, place / f"part-{self.version}.parquet")


def _by_pyarrow(table: Path) -> Versions:
    found = ds.dataset(table, partitioning="hive").to_table(["version", "usage_date"])
    return _counted(zip(found["usage_date"].to_pylist(), found["version"].to_pylist()))


def _by_duckdb(table: Path) -> Versions:
    with duckdb.connect() as connection:
        query = f"SELECT usage_date, version FROM read_parquet('{table}/*/*.parquet', hive_partitioning = true)"
        return _counted(connection.execute(query).fetchall())


def _counted(rows: Any) -> Versions:
    found: Versions = {}
    for day, version in rows:
        found.setdefault(str(day)[:10], Counter())[version] += 1
    return found


@pytest.mark.spark
def test_a_partition_is_never_empty_doubled_or_gone_while_it_is_replaced(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, str(tmp_path / "lake"))

    def replace(version: int) -> None:
        with lake.writer(), lake.transaction() as transaction:
            transaction.replace("gold/t", cast(DataFrame, _Rows(version)), ["usage_date"])

    replace(0)
    ended, seen = threading.Event(), Counter[str]()
    wrong: list[object] = []

    def watch(read: Callable[[Path], Versions]) -> None:
        while not ended.is_set():
            try:
                found = read(tmp_path / "lake" / "gold" / "t")
                whole = set(found) == set(DATES) and all(list(rows.values()) == [ROWS] for rows in found.values())
                wrong.extend([] if whole else [found])
            except Exception as error:
                wrong.append(error)
            seen[read.__name__] += 1

    readers = [threading.Thread(target=watch, args=(read,)) for read in (_by_pyarrow, _by_duckdb)]
    for reader in readers:
        reader.start()
    for version in range(1, REPLACEMENTS + 1):
        replace(version)
    ended.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert min(seen["_by_pyarrow"], seen["_by_duckdb"]) > 5
    assert set(_by_duckdb(tmp_path / "lake" / "gold" / "t")[DATES[0]]) == {REPLACEMENTS}


@pytest.mark.spark
def test_what_spark_writes_takes_the_name_of_what_was_there(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, str(tmp_path / "lake"))

    def files() -> list[str]:
        return list(lake.data_files("gold/t"))

    def replace(*rows: tuple[int, int, str]) -> None:
        with lake.transaction() as transaction:
            transaction.replace("gold/t", spark.createDataFrame(list(rows), SCHEMA).coalesce(1), ["usage_date"])

    replace((1, 1, DATES[0]), (1, 2, DATES[1]))
    before = files()
    replace((2, 1, DATES[0]), (2, 2, "2025-07-03"))
    assert len(files()) == 2
    assert files()[0] == before[0]
    assert sorted(tuple(row) for row in lake.read("gold/t", SCHEMA).collect()) == [
        (2, 1, DATES[0]), (2, 2, "2025-07-03"),
    ]  # fmt: skip
