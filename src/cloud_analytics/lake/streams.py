"""Streaming queries over checkpoints that nobody depends on: state documents of the lake know what was taken in.

So a checkpoint that is lost, or that Spark cannot go on from (a file of it missing or cut short), costs a second look
at what is known already, and nothing else.
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
    """Spark ended a query for a reason of its own; the checkpoint it failed on is gone."""


@contextmanager
def own_failures(lake: Lake, checkpoint: str, failures: Sequence[BaseException]) -> Iterator[None]:
    """Around the start of a query and the wait for it: raises what failed in its micro-batches (`failures`) as it was.

    Where nothing did, the query itself failed: QueryFailed, in one line, and the next start has a new checkpoint.
    """
    try:
        yield
    except (PySparkException, Py4JError) as error:
        if failures:
            raise failures[0] from error
        lake.files.delete(checkpoint)
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise QueryFailed(f"the streaming query stopped: {lines[0][:300]}") from error


def to_end(lake: Lake, checkpoint: str, failures: Sequence[BaseException], start: Callable[[], StreamingQuery]) -> None:
    """Run a query that ends by itself; a second time, from a new checkpoint, when the first one failed on the old."""
    try:
        with own_failures(lake, checkpoint, failures):
            start().awaitTermination()
    except QueryFailed:
        with own_failures(lake, checkpoint, failures):
            start().awaitTermination()
