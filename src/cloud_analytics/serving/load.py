"""Gold → the serving tables: a streaming query over Gold's change log whose `foreachBatch` loads what changed.

A load has a version T, higher than that of any load before it. The rows of a changed partition are written through the
Spark Cassandra Connector at writetime T, then the slices that it covers are deleted at T - 1: what a correction
removed or moved to another key (a rank!) goes, and no reader finds a slice empty on the way. Loading again, or a late
write of an earlier load, changes nothing. What was loaded, and at which T, stands in the lake (`_state/serving_…`),
one document for each set of tables: a checkpoint that is lost or delivers twice makes no second load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.errors import StoreUnavailable
from cloud_analytics.gold import build as gold
from cloud_analytics.serving.connect import readable_errors
from cloud_analytics.serving.tables import Table, tables
from cloud_analytics.serving.target import Target, table_ids
from cloud_analytics.storage.lake import Lake

if TYPE_CHECKING:
    from cassandra.cluster import Session

_WRITETIME = "load_version"
_LOG_SCHEMA = "version bigint, mart string, partition string, rows bigint"
_WRITE_OPTIONS = {
    "writetime": _WRITETIME,
    # The delete at T - 1 clears old values, so that a null need not be written: it would be a tombstone.
    "spark.cassandra.output.ignoreNulls": "true",
    # One batch holds rows of one partition, below the 5 KiB from which Cassandra warns.
    "spark.cassandra.output.batch.grouping.key": "partition",
    "spark.cassandra.output.batch.size.bytes": "4096",
    # An acknowledged write waits for a shared fsync: many wait together.
    "spark.cassandra.output.concurrent.writes": "64",
}
_CONCURRENT_DELETES = 64

Partitions = dict[str, dict[str, int]]  # mart → partition → version of its content in Gold


def serve(
    lake: Lake, target: Target, patience: timedelta = timedelta(0), say: Callable[[str], None] = lambda _line: None
) -> dict[str, int]:
    """Load every partition of Gold that the target does not hold yet; returns table → rows written.

    While the store does not answer it tries again, at growing intervals; StoreUnavailable when `patience` is over.
    What was not acknowledged is loaded the next time.
    """
    pause, give_up = 1.0, time.monotonic() + patience.total_seconds()
    while True:
        try:
            return _serve(lake, target, say)
        except StoreUnavailable as error:
            if time.monotonic() + pause > give_up:
                raise
            say(f"warning: {error}; trying again in {pause:.0f} s")
        time.sleep(pause)
        pause = min(2 * pause, 30.0)


def _serve(lake: Lake, target: Target, say: Callable[[str], None]) -> dict[str, int]:
    with target.writing_session() as session:
        identity = sha256(repr(sorted(table_ids(session).items())).encode()).hexdigest()[:12]
        loader = _Loader(lake, target, session, f"_state/serving_{identity}", say)
        checkpoint = f"_checkpoints/serving_{identity}"
        if not loader.state["clock"]:  # tables that nobody has loaded, or nobody remembers to: everything is due
            lake.files.delete(checkpoint)
        if loader.behind():
            _stream(lake, checkpoint, loader)
        loader.load(loader.expiring())
    return loader.written


def _stream(lake: Lake, checkpoint: str, loader: _Loader) -> None:
    failures: list[BaseException] = []

    def foreach_batch(batch: DataFrame, _number: int) -> None:
        try:
            loader.take(batch)
        except BaseException as error:
            failures.append(error)
            raise

    log = (
        lake.spark.readStream.schema(_LOG_SCHEMA)
        .option("maxFileAge", "36500d")
        .json(lake.path(gold.CHANGE_LOG))
        .writeStream.queryName("serve")
        .option("checkpointLocation", lake.path(checkpoint))
        .foreachBatch(foreach_batch)
        .trigger(availableNow=True)
        .start()
    )
    try:
        log.awaitTermination()
    except StreamingQueryException as error:
        if failures:
            raise failures[0] from error
        raise


class _Loader:
    """Loads partitions, and keeps what was loaded: {clock: highest T, log: newest record seen, partitions}."""

    def __init__(self, lake: Lake, target: Target, session: Session, document: str, say: Callable[[str], None]) -> None:
        self.lake, self.target, self.session, self.document, self.say = lake, target, session, document, say
        self.tables = {table.mart: table for table in tables().values()}
        self.written: dict[str, int] = {}

    @property
    def state(self) -> dict[str, Any]:
        """`partitions` is mart → partition → [version of its content, T of its load]."""
        known: dict[str, Any] = self.lake.state(self.document, {"clock": 0, "log": 0, "partitions": {}})
        return known

    def behind(self) -> bool:
        """Whether the change log holds a record that was never seen."""
        return any(
            int(info.name.partition(".")[0]) > self.state["log"] for info in self.lake.files.files(gold.CHANGE_LOG)
        )

    def take(self, records: DataFrame) -> None:
        """Load the partitions that these records of the change log name, unless that was done."""
        newest = records.groupBy("mart", "partition").agg(F.max("version").alias("version")).collect()
        due: Partitions = {}
        for row in newest:
            loaded = self.state["partitions"].get(row.mart, {}).get(row.partition, [0, 0])[0]
            if row.mart in self.tables and row.version > loaded:
                due.setdefault(row.mart, {})[row.partition] = row.version
        self.load(due)
        self._keep(log=max([self.state["log"], *(row.version for row in newest)]))

    def expiring(self) -> Partitions:
        """Partitions whose rows were written more than half their TTL ago."""
        now = time.time_ns() // 1_000
        hashes = self.lake.state(gold.STATE, {"hashes": {}})["hashes"]
        return {
            mart: due
            for mart, partitions in self.state["partitions"].items()
            if (limit := now - self.tables[mart].ttl_seconds * 500_000)
            and (due := {p: v for p, (v, at) in partitions.items() if at < limit and p in hashes.get(mart, {})})
        }

    def load(self, due: Partitions) -> None:
        """Make the slices of these partitions what Gold holds now."""
        if not due:
            return
        self.say(f"serving: {sum(map(len, due.values()))} partitions of {len(due)} marts")
        before = self.state["partitions"]
        newest = max(version for partitions in due.values() for version in partitions.values())
        clock = max(self.state["clock"] + 1, newest, time.time_ns() // 1_000)
        # Before the first write: should this load die, the next one has a higher T and knows which slices to clear.
        self._keep(clock=clock, partitions=_merged(before, due, lambda _version, old: old or [0, clock]))
        with ThreadPoolExecutor(4) as pool:
            futures = {
                mart: pool.submit(self._load_table, self.tables[mart], sorted(partitions), clock, before.get(mart, {}))
                for mart, partitions in due.items()
            }
            for mart, future in futures.items():
                rows = future.result()
                self.written[self.tables[mart].name] = self.written.get(self.tables[mart].name, 0) + rows
        self._keep(partitions=_merged(self.state["partitions"], due, lambda version, _old: [version, clock]))

    def _keep(self, **values: Any) -> None:
        with self.lake.transaction() as transaction:
            transaction.put(self.document, {**self.state, **values})

    def _load_table(self, table: Table, partitions: list[str], clock: int, attempted: dict[str, Any]) -> int:
        with readable_errors(f"cannot read {table.name}"):
            old = _slices(self.session, table, set(partitions))
        column = gold.partition_column(table.mart)
        paths = [f"{column}={partition}" for partition in partitions] if column else None
        rows = self.lake.read(gold.table(table.mart), gold.SCHEMAS[table.mart], paths)
        if attempted.keys() & set(partitions):
            # An earlier load may have left rows that no reader sees yet (a replica that was away): those go, too.
            old |= {tuple(row) for row in rows.select(*table.slice_key).distinct().collect()}
        _write(rows, table, self.target, clock)
        _delete(self.session, table, old, clock - 1)
        hashes = self.lake.state(gold.STATE, {"hashes": {}})["hashes"].get(table.mart, {})
        return sum(hashes.get(partition, [None, 0])[1] for partition in partitions)


def _merged(known: dict[str, Any], due: Partitions, value: Callable[[int, Any], Any]) -> dict[str, Any]:
    merged = {mart: dict(partitions) for mart, partitions in known.items()}
    for mart, partitions in due.items():
        entries = merged.setdefault(mart, {})
        entries.update({p: value(version, entries.get(p)) for p, version in partitions.items()})
    return merged


def _write(rows: DataFrame, table: Table, target: Target, clock: int) -> None:
    """Upsert the rows at writetime `clock`; sorted by key, so that batches are full."""
    # A slice of many partitions needs tasks for speed; the rows of one day do not pay for a shuffle into many.
    sorted_rows = rows.repartition(*map(F.col, table.partition_key)).sortWithinPartitions(*table.primary_key)
    try:
        (
            sorted_rows.withColumn(_WRITETIME, F.lit(clock))
            .write.format("org.apache.spark.sql.cassandra")
            .mode("append")
            .options(table=table.name, **target.connector_options(), **_WRITE_OPTIONS)
            .save()
        )
    except Py4JError as error:
        raise StoreUnavailable(f"cannot write {table.name}: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    """The innermost cause that the JVM gives, as one line."""
    lines = [line.strip() for line in str(error).splitlines() if "Exception" in line or "Error" in line]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return " ".join((causes or lines or [type(error).__name__])[-1].split())[:300]


def _slices(session: Session, table: Table, partitions: set[str]) -> set[tuple[Any, ...]]:
    """The slices of these Gold partitions that the table holds now."""
    keys = [
        tuple(row.values())
        for row in session.execute(f"SELECT DISTINCT {', '.join(table.partition_key)} FROM {table.name}")
    ]
    if table.slice_key == table.partition_key:
        return {key for key in keys if len(key) == 1 or str(key[1]) in partitions}
    day = table.slice_key[1]
    dates = session.prepare(f"SELECT {day} FROM {table.name} WHERE org_id = ? AND {day} >= ? AND {day} <= ?")
    found = _concurrently(session, dates, [(*key, min(partitions), max(partitions)) for key in keys])
    return {(*key, row[day]) for key, rows in zip(keys, found) for row in rows if str(row[day]) in partitions}


def _delete(session: Session, table: Table, slices: set[tuple[Any, ...]], clock: int) -> None:
    where = " AND ".join(f"{column} = ?" for column in table.slice_key)
    statement = session.prepare(f"DELETE FROM {table.name} USING TIMESTAMP ? WHERE {where}")
    with readable_errors(f"cannot delete from {table.name}"):
        _concurrently(session, statement, [(clock, *key) for key in slices])


def _concurrently(session: Session, statement: Any, parameters: Iterable[tuple[Any, ...]]) -> list[Any]:
    from cassandra.concurrent import execute_concurrent_with_args

    results = execute_concurrent_with_args(session, statement, list(parameters), concurrency=_CONCURRENT_DELETES)
    return [list(result.result_or_exc) for result in results]
