"""Streaming queries whose checkpoint may be lost: the lake's own state documents know what was taken in.

A checkpoint that is lost or damaged costs a second look at what is known already, and nothing else.
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
    """A query ended for a reason of Spark's own; its checkpoint is deleted."""


@contextmanager
def own_failures(lake: Lake, checkpoint: str, failures: Sequence[BaseException]) -> Iterator[None]:
    """Wrap the start of a query and the wait for it: raise the error of its micro-batch (`failures`) unchanged.

    Where no micro-batch failed, the query itself did: QueryFailed, in one line; the next start has a new checkpoint.
    UsageError where a link leads out of the checkpoint.
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
    """Run a query that ends by itself; where its checkpoint makes it fail, run it again from a new one."""
    try:
        with own_failures(lake, checkpoint, failures):
            start().awaitTermination()
    except QueryFailed:
        with own_failures(lake, checkpoint, failures):
            start().awaitTermination()
