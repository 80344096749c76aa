"""One load of a serving table: rows upserted at a writetime, and what its slices held before deleted just below it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.errors import StoreUnavailable
from cloud_analytics.serving.connect import readable_errors
from cloud_analytics.serving.tables import Table
from cloud_analytics.serving.target import Target

if TYPE_CHECKING:
    from cassandra.cluster import Session

_WRITETIME = "load_version"
_OPTIONS = {
    "writetime": _WRITETIME,
    # The deletion below the writetime clears old values, so that a null need not be written: it would be a tombstone.
    "spark.cassandra.output.ignoreNulls": "true",
    # One batch holds rows of one partition, below the 5 KiB from which Cassandra warns.
    "spark.cassandra.output.batch.grouping.key": "partition",
    "spark.cassandra.output.batch.size.bytes": "4096",
    # An acknowledged write waits for a shared fsync: many wait together.
    "spark.cassandra.output.concurrent.writes": "64",
}
_CONCURRENCY = 64

Keys = set[tuple[Any, ...]]


def upsert(rows: DataFrame, table: Table, target: Target, writetime: int) -> None:
    """Write the rows through the Spark Cassandra Connector; StoreUnavailable when it does not take them."""
    by_key = rows.repartition(*map(F.col, table.partition_key)).sortWithinPartitions(*table.primary_key)
    try:
        (
            by_key.withColumn(_WRITETIME, F.lit(writetime))
            .write.format("org.apache.spark.sql.cassandra")
            .mode("append")
            .options(table=table.name, **target.connector_options(), **_OPTIONS)
            .save()
        )
    except (Py4JError, AnalysisException) as error:
        raise StoreUnavailable(f"cannot write {table.name}: {_cause(error)}") from error


def forget_connections(spark: SparkSession) -> None:
    """Have the connector open new sessions: those it keeps know the nodes and tables of before."""
    jvm: Any = spark.sparkContext._jvm
    jvm.com.datastax.spark.connector.cql.CassandraConnector.evictCache()


def partition_keys(session: Session, table: Table) -> Keys:
    """Every partition of the table."""
    with readable_errors(f"cannot read {table.name}"):
        rows = session.execute(f"SELECT DISTINCT {', '.join(table.partition_key)} FROM {table.name}")
        return {tuple(row.values()) for row in rows}


def slices(session: Session, table: Table, partitions: Sequence[str]) -> Keys:
    """The slices of these partitions of the mart that the table holds: its `slice_key` values."""
    keys = sorted(partition_keys(session, table))
    if table.slice_key == ("org_id",):
        return set(keys)
    if table.slice_key == table.partition_key:
        return {key for key in keys if str(key[1]) in partitions}
    day = table.slice_key[1]
    with readable_errors(f"cannot read {table.name}"):
        dates = session.prepare(f"SELECT {day} FROM {table.name} WHERE org_id = ? AND {day} >= ? AND {day} <= ?")
        found = _concurrently(session, dates, [(*key, min(partitions), max(partitions)) for key in keys])
    return {(*key, row[day]) for key, rows in zip(keys, found) for row in rows if str(row[day]) in partitions}


def delete(session: Session, table: Table, columns: Sequence[str], keys: Keys, writetime: int) -> None:
    """Delete what lies under these values of `columns` (the first columns of the key), as of `writetime`."""
    where = " AND ".join(f"{column} = ?" for column in columns)
    with readable_errors(f"cannot delete from {table.name}"):
        statement = session.prepare(f"DELETE FROM {table.name} USING TIMESTAMP ? WHERE {where}")
        _concurrently(session, statement, [(writetime, *values) for values in keys])


def _concurrently(session: Session, statement: Any, parameters: Iterable[tuple[Any, ...]]) -> list[Any]:
    from cassandra.concurrent import execute_concurrent_with_args

    results = execute_concurrent_with_args(session, statement, list(parameters), concurrency=_CONCURRENCY)
    return [list(result.result_or_exc) for result in results]


def _cause(error: BaseException) -> str:
    """The innermost cause that the JVM gives, as one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return " ".join((causes or lines[:1])[-1].split())[:300]
