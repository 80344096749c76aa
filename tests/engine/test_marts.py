"""The engine on small tables: what it builds again, what it replaces, what goes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.config import Config
from cloud_analytics.engine.marts import CHANGE_LOG, Source, refresh
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.periods import DOCUMENT, Closing, Periods
from cloud_analytics.tables import Column, Days, Earlier, Mart, SameDate, Table, Whole

DAY, N = Column("day", "date", "the day"), Column("n", "bigint", "a number")
MONTH = Column("month", "string", "the month")
EVENTS = Table("events", ("day", "n"), (DAY, N), partition="day", zone="silver")
DOUBLE = Table("double", ("day", "n"), (DAY, N), reads=(SameDate("silver/events"),), partition="day")
RUNNING = Table(
    "running", ("day",), (DAY, N), reads=(SameDate("gold/double"), Earlier("gold/running")), partition="day"
)
WINDOW = Table("window", ("day",), (DAY, N), reads=(Days("gold/double", before=1),), partition="day")
ONCE = Table("once", ("day",), (DAY, N), reads=(Whole("gold/double"),), partition="day", write_once=True)
SUM = Table("sum", ("n",), (N,), reads=(Whole("gold/double"),))
BY_MONTH = Table("by_month", ("month",), (MONTH, N), reads=(Whole("silver/events"),), closes="month")


def double(events: DataFrame) -> DataFrame:
    return DOUBLE.select(events.where("n <> 0").withColumn("n", F.col("n") * 2))


def running(today: DataFrame, earlier: DataFrame) -> DataFrame:
    """The largest number of a day and of all days before."""
    days = today.select("day").distinct().withColumnRenamed("day", "last")
    rows = today.unionByName(earlier).join(days, F.col("day") <= F.col("last"))
    return RUNNING.select(rows.groupBy(F.col("last").alias("day")).agg(F.max("n").alias("n")))


def window(double: DataFrame) -> DataFrame:
    """The sum of a day and the day before."""
    spread = double.withColumn("day", F.explode(F.sequence("day", F.date_add("day", 1))))
    return WINDOW.select(spread.groupBy("day").agg(F.sum("n").alias("n")))


def total(double: DataFrame) -> DataFrame:
    return SUM.select(double.agg(F.sum("n").alias("n")))


def once(double: DataFrame) -> DataFrame:
    """The sum of all days, named by the newest one."""
    return ONCE.select(double.agg(F.max("day").alias("day"), F.sum("n").alias("n")))


def by_month(events: DataFrame) -> DataFrame:
    return BY_MONTH.select(events.groupBy(F.date_format("day", "yyyy-MM").alias("month")).agg(F.sum("n").alias("n")))


MARTS = [Mart(SUM, total, ""), Mart(WINDOW, window, ""), Mart(RUNNING, running, ""), Mart(DOUBLE, double, "")]


def _lies_in(folder: str, path: str) -> bool:
    return path.startswith(f"{folder}/")


@dataclass
class House:
    """A lake with one table that the engine reads, and the marts above it."""

    lake: Lake
    config: Config
    marts: Iterable[Mart] = field(default_factory=lambda: MARTS)
    versions: dict[str, str] = field(default_factory=dict)

    def put(self, **days: list[int]) -> None:
        """Replace days (`d1=[3, 4]`: the first of January) of the table that is read; no number removes the day."""
        for name, numbers in days.items():
            day = f"2025-01-{int(name[1:]):02d}"
            rows = [(n, day) for n in numbers]
            frame = self.lake.spark.createDataFrame(rows, "n bigint, day string").coalesce(1) if rows else None
            with self.lake.transaction() as transaction:
                transaction.replace(EVENTS.path, frame, ["day"], partial(_lies_in, f"day={day}"))
                self.versions[day] = str(transaction.number)
            if not rows:
                del self.versions[day]

    def refresh(self, settling: bool = False) -> dict[str, int]:
        return refresh(self.lake, self.config, self.marts, [Source(EVENTS, self.versions)], settling)

    def rows(self, table: Table) -> dict[int, int]:
        """Day of January → number."""
        return {row.day.day: row.n for row in self.lake.read(table.path, table.schema).collect()}

    def log(self) -> list[tuple[str, str, int]]:
        """(mart, day, rows) of the newest record of the change log."""
        newest = sorted(self.lake.files.files(CHANGE_LOG), key=lambda info: info.name)[-1]
        records = json.loads(self.lake.files.read_text(f"{CHANGE_LOG}/{newest.name}") or "[]")
        return sorted((record["mart"], record["partition"][-2:], record["rows"]) for record in records)


@pytest.fixture
def house(spark: SparkSession, config: Config, tmp_path: Path) -> House:
    return House(Lake(spark, str(tmp_path / "lake")), config)


def test_tables_are_built_in_the_order_of_what_they_read_and_then_kept(house: House) -> None:
    house.put(d1=[1], d2=[5], d4=[2])
    assert house.refresh() == {"double": 3, "running": 3, "window": 4, "sum": 1}
    assert house.rows(DOUBLE) == {1: 2, 2: 10, 4: 4}
    assert house.rows(RUNNING) == {1: 2, 2: 10, 4: 10}
    assert house.rows(WINDOW) == {1: 2, 2: 12, 3: 10, 4: 4}  # every calendar date, and none after the last
    assert [row.n for row in house.lake.read(SUM.path, SUM.schema).collect()] == [16]
    assert house.refresh() == {}

    house.put(d2=[5])  # built again, and the same
    assert house.refresh() == {}
    assert house.refresh() == {}

    house.put(d1=[7])
    assert house.refresh() == {"double": 1, "running": 3, "window": 2, "sum": 1}
    assert house.log() == [
        ("double", "01", 1), ("running", "01", 1), ("running", "02", 1), ("running", "04", 1), ("sum", "", 1),
        ("window", "01", 1), ("window", "02", 1),
    ]  # fmt: skip
    assert house.rows(RUNNING) == {1: 14, 2: 14, 4: 14}
    assert house.refresh() == {}


def test_partitions_without_rows_go_and_the_calendar_ends_with_the_data(house: House) -> None:
    house.put(d1=[1], d3=[2], d6=[3])
    house.refresh()
    house.put(d6=[0])  # a date of which nothing is left above
    assert house.refresh() == {"double": 1, "running": 1, "window": 2, "sum": 1}
    assert house.rows(WINDOW) == {1: 2, 2: 2, 3: 4}
    assert sorted(house.rows(RUNNING)) == [1, 3]
    assert not house.lake.files.exists(f"{DOUBLE.path}/day=2025-01-06")
    house.put(d3=[])  # a date that is gone
    house.refresh()
    assert house.rows(WINDOW) == house.rows(RUNNING) == house.rows(DOUBLE) == {1: 2}
    house.put(d6=[3])
    house.refresh()
    assert house.rows(WINDOW) == {1: 2, 2: 2, 6: 6}
    assert house.refresh() == {}


def test_a_mart_that_is_new_is_built_and_the_others_are_left_alone(house: House) -> None:
    house.marts = [mart for mart in MARTS if mart.table is not WINDOW]
    house.put(d1=[1], d2=[2])
    house.refresh()
    house.marts = MARTS
    assert house.refresh() == {"window": 2}
    assert house.rows(WINDOW) == {1: 2, 2: 6}


def test_what_is_written_once_gets_the_newest_date_at_a_settling_and_is_left_as_it_was(house: House) -> None:
    house.marts = [Mart(DOUBLE, double, ""), Mart(ONCE, once, "")]
    house.put(d1=[1], d2=[2], d3=[0])  # nothing is left of the third above
    assert house.refresh() == {"double": 2}
    assert house.refresh(settling=True) == {"once": 1}
    assert house.rows(ONCE) == {2: 6}
    house.put(d1=[5])
    assert house.refresh(settling=True) == {"double": 1}
    house.put(d4=[1], d5=[0])
    assert house.refresh(settling=True) == {"double": 1, "once": 1}
    assert house.rows(ONCE) == {2: 6, 4: 16}
    assert house.refresh(settling=True) == {}


def test_a_closed_month_that_had_no_row_gets_none(house: House) -> None:
    """Nor does one of a table that had no row at all, which has no file either."""
    house.marts = [Mart(BY_MONTH, by_month, "")]
    house.put(d1=[])
    house.refresh()
    sources = [Source(EVENTS, house.versions)]
    january = Periods().with_closed("2025-01", Closing("2025-02-01T00:00:00Z", 0, "0"))
    refresh(house.lake, house.config, house.marts, sources, documents={DOCUMENT: january})
    house.put(d2=[5])
    assert house.refresh() == {}
    assert house.lake.read(BY_MONTH.path, BY_MONTH.schema).collect() == []
    refresh(house.lake, house.config, house.marts, sources, documents={DOCUMENT: Periods()})
    house.refresh()
    assert [row.n for row in house.lake.read(BY_MONTH.path, BY_MONTH.schema).collect()] == [5]
