"""Gold → the serving tables: a streaming query over Gold's change log whose `foreachBatch` loads what changed.

A load has a version T, higher than that of any load before it. The rows of a changed partition are written through the
Spark Cassandra Connector at writetime T, then the slices that it covers are deleted at T - 1: what a correction
removed or moved to another key (a rank!) goes, and no reader finds a slice empty on the way. Loading again, or a late
write of an earlier load, changes nothing. What was loaded, and at which T, stands in the lake (`_state/serving_…`),
one document for each set of tables: a checkpoint that is lost or delivers twice makes no second load.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from cloud_analytics.errors import StoreUnavailable
from cloud_analytics.gold import build as gold
from cloud_analytics.serving.tables import Table, tables
from cloud_analytics.serving.target import Target, table_ids
from cloud_analytics.serving.write import delete, forget_connections, partition_keys, slices, upsert
from cloud_analytics.storage.lake import Lake
from cloud_analytics.storage.streams import to_end

if TYPE_CHECKING:
    from cassandra.cluster import Session

_LOG_SCHEMA = "version bigint, mart string, partition string, rows bigint"
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
            forget_connections(lake.spark)
        time.sleep(pause)
        pause = min(2 * pause, 30.0)


def _serve(lake: Lake, target: Target, say: Callable[[str], None]) -> dict[str, int]:
    with target.writing_session() as session:
        identity = sha256(repr(sorted(table_ids(session).items())).encode()).hexdigest()[:12]
        loader = _Loader(lake, target, session, f"_state/serving_{identity}", say)
        checkpoint = f"_checkpoints/serving_{identity}"
        if not loader.state["clock"]:  # tables that nobody has loaded, or nobody remembers to: everything is due
            lake.files.delete(checkpoint)
            forget_connections(lake.spark)  # one that is open learns of new tables only after a second
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

    def start() -> StreamingQuery:
        return (
            lake.spark.readStream.schema(_LOG_SCHEMA)
            .option("maxFileAge", "36500d")
            .json(lake.path(gold.CHANGE_LOG))
            .writeStream.queryName("serve")
            .option("checkpointLocation", lake.path(checkpoint))
            .foreachBatch(foreach_batch)
            .trigger(availableNow=True)
            .start()
        )

    to_end(lake, checkpoint, failures, start)


class _Loader:
    """Loads partitions of Gold, and keeps what was loaded.

    The state: `clock`, the highest T; `complete`, whether a first load of everything has ended; `log`, the newest
    record seen; `partitions`, mart → partition → [version of its content, T of its load].
    """

    def __init__(self, lake: Lake, target: Target, session: Session, document: str, say: Callable[[str], None]) -> None:
        self.lake, self.target, self.session, self.document, self.say = lake, target, session, document, say
        self.tables = {table.mart: table for table in tables().values()}
        self.written: dict[str, int] = {}

    @property
    def state(self) -> dict[str, Any]:
        """As it is stored, or that of tables which were never loaded."""
        new = {"clock": 0, "complete": False, "log": 0, "partitions": {}}
        stored: dict[str, Any] = self.lake.state(self.document, new)
        return stored

    def behind(self) -> bool:
        """Whether the change log holds a record that was never seen."""
        log = self.lake.files.files(gold.CHANGE_LOG)
        return any(int(info.name.partition(".")[0]) > self.state["log"] for info in log)

    def take(self, records: DataFrame) -> None:
        """Load the partitions that these records of the change log name, unless that was done."""
        newest = records.groupBy("mart", "partition").agg(F.max("version").alias("version")).collect()
        # A first load goes over every table, so that rows which are not this lake's go also where Gold has none.
        # It clears them whole: after one that died in its very last moment, nothing counts as loaded.
        complete = self.state["complete"]
        due: Partitions = {} if complete else {mart: {} for mart in self.tables}
        known = self.state["partitions"] if complete else {}
        for row in newest:
            loaded = known.get(row.mart, {}).get(row.partition, [0, 0])[0]
            if row.mart in self.tables and row.version > loaded:
                due.setdefault(row.mart, {})[row.partition] = row.version
        self.load(due)
        self._keep(complete=True, log=max([self.state["log"], *(row.version for row in newest)]))

    def expiring(self) -> Partitions:
        """Partitions with rows that were written more than half their TTL ago."""
        now, rows = time.time_ns() // 1_000, self._gold_rows()
        due: Partitions = {}
        for mart, partitions in self.state["partitions"].items():
            limit = now - self.tables[mart].ttl_seconds * 1_000_000 // 2
            old = {name: version for name, (version, at) in partitions.items() if at < limit and (mart, name) in rows}
            due.update({mart: old} if old else {})
        return due

    def load(self, due: Partitions) -> None:
        """Make the slices of these partitions what Gold holds now."""
        if not due:
            return
        self.say(f"serving: {sum(map(len, due.values()))} partitions of {len(due)} marts")
        before, rows = self.state["partitions"], self._gold_rows()
        versions = [version for partitions in due.values() for version in partitions.values()]
        clock = max(self.state["clock"] + 1, time.time_ns() // 1_000, *versions)
        # Before the first write: should this load die, the next one has a higher T and knows which slices to clear.
        self._keep(clock=clock, partitions=_merged(before, due, lambda _version, old: old or [0, clock]))
        with ThreadPoolExecutor(4) as pool:
            pending = [
                pool.submit(self._load_table, self.tables[mart], sorted(partitions), clock, before.get(mart, {}))
                for mart, partitions in due.items()
            ]
            for future in pending:
                future.result()
        for mart, partitions in due.items():
            name = self.tables[mart].name
            self.written[name] = self.written.get(name, 0) + sum(rows.get((mart, p), 0) for p in partitions)
        self._keep(partitions=_merged(self.state["partitions"], due, lambda version, _old: [version, clock]))

    def _load_table(self, table: Table, partitions: list[str], clock: int, attempted: dict[str, Any]) -> None:
        complete = self.state["complete"]
        columns = table.slice_key if complete else table.partition_key
        stale = slices(self.session, table, partitions) if complete else partition_keys(self.session, table)
        if partitions:
            day = gold.partition_column(table.mart)
            paths = [f"{day}={partition}" for partition in partitions] if day else None
            rows = self.lake.read(gold.table(table.mart), gold.SCHEMAS[table.mart], paths)
            if attempted.keys() & set(partitions):
                # An earlier load may have left rows that no reader sees yet (a replica that was away): those go, too.
                stale |= {tuple(row) for row in rows.select(*columns).distinct().collect()}
            upsert(rows, table, self.target, clock)
        delete(self.session, table, columns, stale, clock - 1)

    def _gold_rows(self) -> dict[tuple[str, str], int]:
        """(mart, partition) → rows that Gold holds."""
        hashes = self.lake.state(gold.STATE, {"hashes": {}})["hashes"]
        return {(mart, name): rows for mart, entries in hashes.items() for name, (_, rows) in entries.items()}

    def _keep(self, **values: Any) -> None:
        with self.lake.transaction() as transaction:
            transaction.put(self.document, {**self.state, **values})


def _merged(known: dict[str, Any], due: Partitions, value: Callable[[int, Any], Any]) -> dict[str, Any]:
    merged = {mart: dict(partitions) for mart, partitions in known.items()}
    for mart, partitions in due.items():
        entries = merged.setdefault(mart, {})
        entries.update({p: value(version, entries.get(p)) for p, version in partitions.items()})
    return merged
