"""Gold → the serving tables: a streaming query over Gold's change log, whose `foreachBatch` loads changed partitions.

The log only triggers the query. The lake's state documents of Gold and of the loads decide which partitions are due, so
a lost or truncated record of the log, or a foreign file in it, changes nothing.

A load has a version T, higher than the version of any earlier load. The rows of a changed partition are written through
the Spark Cassandra Connector at writetime T; then the slices that the partition covers are deleted at T - 1. So the
deletion removes the rows that a correction removed or moved to another key (such as a rank), and no reader ever finds a
slice empty. A repeated load changes nothing, and neither does a late write of an earlier load. The lake records what
was loaded at which T in one document for each set of tables (`_state/serving_…`). So nothing is loaded twice if a
checkpoint is lost or delivers a record twice.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from cloud_analytics.engine.marts import CHANGE_LOG
from cloud_analytics.errors import StoreDamaged, StoreUnavailable
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.streams import to_end
from cloud_analytics.lake.uris import escape_glob
from cloud_analytics.serving.backoff import Backoff
from cloud_analytics.serving.connect import readable_errors
from cloud_analytics.serving.keyspace import expect_own, found_tables
from cloud_analytics.serving.loader import Loader
from cloud_analytics.serving.target import Target
from cloud_analytics.serving.write import forget_connections, pace_connector

_LOG_SCHEMA = "version bigint, mart string, partition string, rows bigint"


def serve(lake: Lake, target: Target, patience: timedelta = timedelta(0)) -> dict[str, int]:
    """Load every partition of Gold that the target does not hold yet. Returns table → rows written.

    While the store does not answer, the load is retried with growing pauses. StoreUnavailable if no further table could
    be loaded within `patience`; StoreDamaged at once. The next call loads what was not acknowledged.
    """
    backoff, written = Backoff(patience), list[tuple[str, int]]()
    while True:
        before = len(written)
        try:
            _serve(lake, target, written)
            rows: Counter[str] = Counter()
            for table, number in written:
                rows[table] += number
            return dict(rows)
        except StoreDamaged:
            raise
        except StoreUnavailable as error:
            if len(written) > before:
                backoff.progress()
            if lake.has_spark:
                forget_connections(lake.spark)  # also helps a later call that retries
            backoff.wait(error)


def _serve(lake: Lake, target: Target, written: list[tuple[str, int]]) -> None:
    with target.looking_session() as (session, found):
        owner = expect_own(session, lake, str(target), found, target.take_over)
        target.create(session, found)
        with readable_errors(f"cannot look at keyspace {target.keyspace}"):
            found = found_tables(session, target.keyspace)
        loader = Loader(lake, target, session, found, owner, written)
        checkpoint = loader.document.path.replace("_state/", "_checkpoints/")
        if owner is None and not loader.starts_anew:  # the keyspace was filled before identities existed
            loader.adopt()
        due = loader.due()
        if not due:
            return
        pace_connector(lake.spark, target.requests_per_second)
        if loader.starts_anew:
            lake.files.delete(checkpoint)
            forget_connections(lake.spark)  # an open connection sees new tables only after a second
        if lake.files.exists(CHANGE_LOG):
            _stream(lake, checkpoint, loader)
            due = loader.due()
        loader.load(due)


def _stream(lake: Lake, checkpoint: str, loader: Loader) -> None:
    failures: list[BaseException] = []

    def foreach_batch(_batch: DataFrame, _number: int) -> None:
        try:
            loader.load(loader.due())
        except BaseException as error:
            failures.append(error)
            raise

    def start() -> StreamingQuery:
        return (
            lake.spark.readStream.schema(_LOG_SCHEMA)
            .option("maxFileAge", "36500d")
            .option("pathGlobFilter", "*.json")
            .json(escape_glob(lake.files.full(CHANGE_LOG)))
            .writeStream.queryName("serve")
            .option("checkpointLocation", lake.files.full(checkpoint))
            .foreachBatch(foreach_batch)
            .trigger(availableNow=True)
            .start()
        )

    to_end(lake, checkpoint, failures, start)
