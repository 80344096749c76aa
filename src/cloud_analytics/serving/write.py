"""Writes rows into a serving table at a writetime, and deletes the older rows just below that writetime."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.errors import StoreUnavailable, cause_line
from cloud_analytics.serving.connect import readable_errors
from cloud_analytics.serving.target import Target
from cloud_analytics.tables.cql import ServingTable

if TYPE_CHECKING:
    from cassandra.cluster import Session

_WRITETIME = "load_version"
_OUTPUT = "spark.cassandra.output."
# Settings that differ from the connector's defaults; benchmarks/serving_load.py measures their effect.
TUNING = {
    # A batch holds rows of one partition and stays below the 5 KiB at which Cassandra warns.
    f"{_OUTPUT}batch.grouping.key": "partition",
    f"{_OUTPUT}batch.size.bytes": "4096",
    # The acknowledgement of a write waits for a shared fsync, so many writes should wait together.
    f"{_OUTPUT}concurrent.writes": "64",
}
# The deletion below the writetime clears old values. So nulls are not written: each one would be a tombstone.
_MEANING = {"writetime": _WRITETIME, f"{_OUTPUT}ignoreNulls": "true"}
_CONCURRENCY = 64
_ONE_TASK = 10_000  # rows that one task writes sooner than Spark shuffles them for several
_TICK, _LONGEST_PAUSE = 0.1, 5.0  # seconds
_LOOK_EVERY = 2.0  # seconds between two checks of the store while the connector writes
_THROTTLER = "datastax-java-driver.advanced.throttler."

Keys = set[tuple[Any, ...]]


def upsert(
    rows: DataFrame,
    table: ServingTable,
    target: Target,
    writetime: int,
    session: Session | None = None,
    number: int | None = None,
) -> None:
    """Write rows of a mart through the Spark Cassandra Connector. StoreUnavailable if the write fails.

    With a session the store is checked meanwhile, since the connector would wait forever for a store that is away.
    `number`: how many rows there are, if known; few are not shuffled.
    """
    # The rows of a partition of the table stay in one task and lie together, so that batches of them are full.
    little = number is not None and number <= _ONE_TASK
    in_tasks = rows.coalesce(1) if little else rows.repartition(*map(F.col, table.partition_key))
    by_key = in_tasks.sortWithinPartitions(*table.primary_key)
    options = {**target.connector_options(), **TUNING, **_MEANING}
    if target.requests_per_second is not None:
        options[f"{_OUTPUT}batch.size.rows"] = "1"  # one write per request, so that the limit counts both
    try:
        with _given_up_when_away(rows.sparkSession, session, table.name):
            (
                by_key.withColumn(_WRITETIME, F.lit(writetime))
                .write.format("org.apache.spark.sql.cassandra")
                .mode("append")
                .options(table=table.name, **options)
                .save()
            )
    except (Py4JError, AnalysisException) as error:
        raise StoreUnavailable(f"cannot write {table.name} to Cassandra: {cause_line(error)}") from error


@contextmanager
def _given_up_when_away(spark: SparkSession, session: Session | None, name: str) -> Iterator[None]:
    """Cancel the Spark jobs started inside, and raise StoreUnavailable, if the store stops answering the session."""
    if session is None:
        yield
        return
    context: Any = spark.sparkContext
    group, ended = f"serving {name} {time.monotonic_ns()}", threading.Event()
    lost: list[StoreUnavailable] = []

    def look() -> None:
        while not ended.wait(_LOOK_EVERY) and not lost:
            try:
                with readable_errors(f"cannot write {name}"):
                    session.execute("SELECT release_version FROM system.local")
            except StoreUnavailable as error:
                if not _answers(error.__cause__):
                    lost.append(error)
                    context.cancelJobGroup(group)

    looker = threading.Thread(target=look, name=f"look {name}", daemon=True)
    context.setJobGroup(group, group, interruptOnCancel=True)
    looker.start()
    try:
        yield
    except Py4JError as error:
        if lost:
            raise lost[0] from error
        raise
    finally:
        ended.set()
        looker.join()
        context._jsc.clearJobGroup()


def pace_connector(spark: SparkSession, requests_per_second: int | None) -> None:
    """Limit the requests per second of sessions that the connector opens from now on. None removes the limit.

    The connector's own limit counts bytes and begins after the first megabyte. So the limit is set in the Java driver
    below it, through system properties of the JVM. (On a Spark cluster set them for the executors in
    `spark.executor.extraJavaOptions`.)
    """
    jvm: Any = spark.sparkContext._jvm
    system = jvm.java.lang.System
    if requests_per_second is None:
        system.clearProperty(f"{_THROTTLER}class")
        return
    values = {
        "class": "RateLimitingRequestThrottler",
        "max-requests-per-second": str(requests_per_second),
        "max-queue-size": "100000",
        "drain-interval": "10 milliseconds",
    }
    for name, value in values.items():
        system.setProperty(_THROTTLER + name, value)


def forget_connections(spark: SparkSession) -> None:
    """Make the connector open new sessions: its cached sessions know only the earlier nodes and tables."""
    jvm: Any = spark.sparkContext._jvm
    jvm.com.datastax.spark.connector.cql.CassandraConnector.evictCache()


def partition_keys(session: Session, table: ServingTable) -> Keys:
    """The keys of all partitions of the table."""
    with readable_errors(f"cannot read {table.name}"):
        rows = session.execute(f"SELECT DISTINCT {', '.join(table.partition_key)} FROM {table.name}")
        return {tuple(row.values()) for row in rows}


def slices(session: Session, table: ServingTable, partitions: Sequence[str], pace: int | None = None) -> Keys:
    """The slices (values of `slice_key`) in the table that belong to these partitions of its mart."""
    keys = sorted(partition_keys(session, table))
    day = table.source.partition
    if day is None:
        return set(keys)
    if day in table.partition_key:
        return {key for key in keys if str(key[table.partition_key.index(day)]) in partitions}
    named = " AND ".join(f"{column} = ?" for column in table.partition_key)
    with readable_errors(f"cannot read {table.name}"):
        dates = session.prepare(f"SELECT {day} FROM {table.name} WHERE {named} AND {day} >= ? AND {day} <= ?")
        found = _concurrently(session, dates, [(*key, min(partitions), max(partitions)) for key in keys], pace)
    return {(*key, row[day]) for key, rows in zip(keys, found) for row in rows if str(row[day]) in partitions}


def delete(
    session: Session, table: ServingTable, columns: Sequence[str], keys: Keys, writetime: int, pace: int | None = None
) -> None:
    """Delete the rows with these values of `columns` (the first columns of the key) written up to `writetime`."""
    where = " AND ".join(f"{column} = ?" for column in columns)
    with readable_errors(f"cannot delete from {table.name}"):
        statement = session.prepare(f"DELETE FROM {table.name} USING TIMESTAMP ? WHERE {where}")
        _concurrently(session, statement, [(writetime, *values) for values in keys], pace)


def _concurrently(
    session: Session, statement: Any, parameters: Sequence[tuple[Any, ...]], pace: int | None
) -> list[Any]:
    """The rows for each of the parameters. At most `pace` statements are sent per second.

    Statements that an overloaded store refuses are retried after a pause, fewer at a time. While all are refused the
    pause doubles; once it exceeds five seconds the error is raised.
    """
    from cassandra.concurrent import execute_concurrent_with_args

    found: list[Any] = [[] for _ in parameters]
    todo, pause = list(range(len(parameters))), _TICK
    size = max(1, round(pace * _TICK)) if pace else len(parameters)
    while todo:
        began, now, todo = time.monotonic(), todo[:size], todo[size:]
        results = execute_concurrent_with_args(
            session, statement, [parameters[n] for n in now], concurrency=_CONCURRENCY, raise_on_first_error=False
        )
        refused = []
        for n, (success, result) in zip(now, results):
            if success:
                found[n] = list(result)
            elif _overrun(result) and pause < _LONGEST_PAUSE:
                refused.append(n)
            else:
                raise result
        todo = refused + todo
        pause = 2 * pause if len(refused) == len(now) else _TICK
        if refused:
            size = max(1, size // 2)
        if todo and (pace or refused):
            time.sleep(max(0.0, began + pause - time.monotonic()))
    return found


def _overrun(error: BaseException | None) -> bool:
    """Whether the store refused a request because it is overloaded."""
    from cassandra.cluster import NoHostAvailable
    from cassandra.protocol import OverloadedErrorMessage

    reasons = list(dict(error.errors).values()) if isinstance(error, NoHostAvailable) else [error]
    return bool(reasons) and all(isinstance(reason, OverloadedErrorMessage) for reason in reasons)


def _answers(error: BaseException | None) -> bool:
    """Whether a node returned this error, which means that the store is not away."""
    from cassandra import RequestExecutionException

    return isinstance(error, RequestExecutionException) or _overrun(error)
