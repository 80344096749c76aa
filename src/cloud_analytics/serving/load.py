"""Gold → the serving tables: a streaming query over Gold's change log whose `foreachBatch` loads what changed.

A load has a version T, higher than that of any load before it. The rows of a changed partition are written through the
Spark Cassandra Connector at writetime T, then the slices that it covers are deleted at T - 1: what a correction
removed or moved to another key (a rank!) goes, and no reader finds a slice empty on the way. Loading again, or a late
write of an earlier load, changes nothing. What was loaded, and at which T, stands in the lake (`_state/serving_…`),
one document for each set of tables: a checkpoint that is lost or delivers twice makes no second load.
"""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from cloud_analytics.engine.refresh import CHANGE_LOG
from cloud_analytics.errors import StoreDamaged, StoreUnavailable
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.streams import to_end
from cloud_analytics.lake.uris import escape_glob
from cloud_analytics.runtime.backoff import Backoff
from cloud_analytics.serving import ownership
from cloud_analytics.serving.connect import readable_errors
from cloud_analytics.serving.loader import Loader, Written
from cloud_analytics.serving.plan import Plan
from cloud_analytics.serving.schema import found_tables
from cloud_analytics.serving.target import Target
from cloud_analytics.serving.write import forget_connections, pace_connector

_LOG_SCHEMA = "version bigint, mart string, partition string, rows bigint"


def serve(lake: Lake, target: Target, patience: timedelta = timedelta(0)) -> dict[str, int]:
    """Load every partition of Gold that the target does not hold yet; returns table → rows written.

    While the store does not answer it tries again, at growing intervals; StoreUnavailable when for `patience` not even
    one more table could be loaded. What was not acknowledged is loaded the next time.
    """
    backoff, written = Backoff(patience), Written()
    while True:
        before = written.tables
        try:
            _serve(lake, target, written)
            return written.rows
        except StoreDamaged:
            raise
        except StoreUnavailable as error:
            if written.tables > before:
                backoff.progress()
            if lake.has_spark:
                forget_connections(lake.spark)  # also for who tries again later, in a call of its own
            backoff.wait(error)


def plan(lake: Lake, target: Target) -> Plan:
    """What `serve` would write now; nothing is written, and nothing created."""
    with target.looking_session() as (session, found):
        owner = ownership.check(session, found, lake.state, str(target), target.take_over)
        loader = Loader(lake, target, session, found, owner)
        log = lake.spark.read.schema(_LOG_SCHEMA).json(escape_glob(lake.path(CHANGE_LOG))) if loader.behind() else None
        due = loader.due(log) if log is not None else {}
        again = loader.due_again()
        return loader.plan({mart: {**again.get(mart, {}), **due.get(mart, {})} for mart in loader.marts})


def _serve(lake: Lake, target: Target, written: Written) -> None:
    with target.looking_session() as (session, found):
        owner = ownership.check(session, found, lake.state, str(target), target.take_over)
        target.create(session, found)
        with readable_errors(f"cannot look at keyspace {target.keyspace}"):
            found = found_tables(session, target.keyspace)
        loader = Loader(lake, target, session, found, owner, written)
        checkpoint = loader.document.replace("_state/", "_checkpoints/")
        if owner is None and not loader.starts_anew:  # it was filled before keyspaces had an identity
            loader.adopt()
        if loader.behind():
            pace_connector(lake.spark, target.requests_per_second)
            if loader.starts_anew:
                lake.files.delete(checkpoint)
                forget_connections(lake.spark)  # one that is open learns of new tables only after a second
            _stream(lake, checkpoint, loader)
        again = loader.due_again()
        if again:
            pace_connector(lake.spark, target.requests_per_second)
            loader.load(again)


def _stream(lake: Lake, checkpoint: str, loader: Loader) -> None:
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
            .json(escape_glob(lake.path(CHANGE_LOG)))
            .writeStream.queryName("serve")
            .option("checkpointLocation", lake.path(checkpoint))
            .foreachBatch(foreach_batch)
            .trigger(availableNow=True)
            .start()
        )

    to_end(lake, checkpoint, failures, start)
