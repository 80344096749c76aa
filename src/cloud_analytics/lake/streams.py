"""Streaming queries that survive the loss of their checkpoint: the lake's state documents know what was ingested.

After a lost or damaged checkpoint the query lists known files a second time; no row is lost or doubled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql.streaming.query import StreamingQuery

from cloud_analytics.errors import PipelineError
from cloud_analytics.lake.lake import Lake


class QueryFailed(PipelineError):
    """Spark ended a query although no micro-batch failed. Its checkpoint has been deleted."""


@contextmanager
def own_failures(lake: Lake, checkpoint: str, failures: Sequence[BaseException]) -> Iterator[None]:
    """Wrap the start of a query and the wait for it: raise the error of its micro-batch (`failures`) unchanged.

    If no micro-batch failed, the query itself failed: the checkpoint is deleted and QueryFailed is raised, in one line.
    UsageError if a link leads out of the checkpoint.
    """
    lake.data_files(checkpoint)
    try:
        yield
    except (PySparkException, Py4JError) as error:
        if failures:
            raise failures[0] from error
        lake.files.delete(checkpoint)
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise QueryFailed(f"the streaming query stopped: {lines[0][:300]}") from error


def to_end(lake: Lake, checkpoint: str, failures: Sequence[BaseException], start: Callable[[], StreamingQuery]) -> None:
    """Run a query that ends by itself. If the query fails because of its checkpoint, run it again with a new one."""
    try:
        with own_failures(lake, checkpoint, failures):
            start().awaitTermination()
    except QueryFailed:
        with own_failures(lake, checkpoint, failures):
            start().awaitTermination()
