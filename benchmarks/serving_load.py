"""Rows per second into the embedded Cassandra node: by the connector's defaults, and by a load of the package.

    .venv/bin/python benchmarks/serving_load.py [--rows 30000] [--orgs 300] [--times 3]

Both write the same rows of finops_daily_usage, each into tables of its own. The defaults take the rows in the order
that a shuffle into four partitions leaves, and write nulls. `ours` is the upsert of a load: rows ordered by partition
key, one batch per partition, many batches at once, no nulls.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from cloud_analytics.config import SparkSettings
from cloud_analytics.serving.node import EmbeddedNode
from cloud_analytics.serving.tables import tables
from cloud_analytics.serving.target import Target, local_target
from cloud_analytics.serving.write import upsert
from cloud_analytics.session import build_session
from cloud_analytics.tables.cql import ServingTable


def rows_of(spark: SparkSession, rows: int, orgs: int) -> DataFrame:
    """Rows like the mart's, in no useful order, each with a null."""
    frame = spark.range(rows).selectExpr(
        f"concat('org_', id % {orgs}) as org_id",
        f"date_add(date'2025-01-01', cast(id / ({orgs} * 6) as int)) as usage_date",
        f"element_at(array('analytics','compute','database','genai','networking','storage'),"
        f" cast((id / {orgs}) % 6 as int) + 1) as service",
        "id % 500 as total_events",
        "cast(id / 7 as decimal(28,6)) as total_cost_usd",
        "id as total_requests",
        "cast(id / 3 as decimal(28,6)) as total_cpu_hours",
        "cast(null as decimal(28,6)) as total_genai_tokens",
        "id % 50 = 0 as is_anomaly",
        "cast(id as double) / 11 as anomaly_score",
    )
    return frame.orderBy("total_cpu_hours").repartition(4).cache()


def by_default(rows: DataFrame, table: ServingTable, target: Target) -> None:
    """Write the rows with the defaults of the Cassandra connector."""
    options = {**target.connector_options(), "table": table.name}
    rows.write.format("org.apache.spark.sql.cassandra").mode("append").options(**options).save()


def as_a_load(rows: DataFrame, table: ServingTable, target: Target, number: int) -> None:
    """Write the rows as a load does, which knows their number."""
    upsert(rows, table, target, time.time_ns() // 1_000, number=number)


def main() -> None:
    """Print the rows per second of each way in each round, and their medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--orgs", type=int, default=300)
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    ways: dict[str, Callable[[DataFrame, ServingTable, Target], None]] = {
        "defaults": by_default,
        "ours": partial(as_a_load, number=arguments.rows),
    }
    table, rates = tables()["finops_daily_usage"], {name: list[float]() for name in ways}
    spark = build_session(SparkSettings(master="local[2]", shuffle_partitions=4))
    with tempfile.TemporaryDirectory() as folder, EmbeddedNode(Path(folder) / "_cassandra").in_use() as access:
        rows = rows_of(spark, arguments.rows, arguments.orgs)
        rows.count()
        rounds = ["warm", *range(arguments.times)]  # the first round connects and warms the JVM: it does not count
        targets = {(name, number): local_target(access, f"{name}_{number}") for name in ways for number in rounds}
        for target in targets.values():  # the connector's session knows only keyspaces that exist when it is opened
            with target.looking_session() as (session, found):
                target.create(session, found)
        for number in rounds:
            for name, write in ways.items():
                began = time.monotonic()
                write(rows, table, targets[name, number])
                rate = arguments.rows / (time.monotonic() - began)
                print(f"{number} {name}: {rate:,.0f} rows/s", flush=True)
                if number != "warm":
                    rates[name].append(rate)
        spark.stop()
    medians = {name: statistics.median(found) for name, found in rates.items()}
    ratio = medians["ours"] / medians["defaults"]
    print("median: " + ", ".join(f"{name} {rate:,.0f} rows/s" for name, rate in medians.items()) + f" ({ratio:.1f} x)")


if __name__ == "__main__":
    main()
