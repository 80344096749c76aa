"""Reports in one line what the machine refuses (a full or read-only disk, no memory left), however deep in Spark.

Damaged files of the lake are reported in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from cloud_analytics.errors import CloudAnalyticsError, PipelineError, UsageError
from cloud_analytics.lake.folder import REMEDY_FOR_A_FILE

# Message of the operating system (the same in Java and Python) → what the user can do about it.
_REFUSALS = {
    "No space left on device": "make room there",
    "Disk quota exceeded": "make room there",
    "File too large": "raise the limit on the size of files",
    "Read-only file system": "mount it for writing, or use another --lake",
    "Permission denied": "give this user the right to it, or use another folder",
    "Input/output error": "look at the disk",
    "Remote I/O error": "look at the disk",
    "Stale file handle": "mount it anew",
    "Transport endpoint is not connected": "mount it anew",
    "Too many open files": "raise the limit on open files",
    "Not a directory": "use a folder",
}
# Spark's messages about a file whose column has another type than the table, and about a file that is no Parquet.
# Both messages name the file.
_DAMAGED = ("Parquet column cannot be converted in file", "is not a Parquet file")


@contextmanager
def readable_refusals(root: str) -> Iterator[None]:
    """Turn an error of the file system, or the end of Spark's JVM, into a UsageError of one line.

    A damaged file of the lake becomes a PipelineError. All other errors pass unchanged.
    """
    try:
        yield
    except CloudAnalyticsError:
        raise
    except Exception as error:
        from py4j.protocol import Py4JNetworkError  # imported late: a command that only reads needs no Spark

        if isinstance(error, Py4JNetworkError | ConnectionRefusedError) or "OutOfMemoryError" in "".join(_texts(error)):
            raise UsageError(
                "Spark's Java has ended, most likely because its memory was full: raise spark.driver_memory in"
                " conf/pipeline.yaml, or lower landing.max_line_bytes where lines are very long, then run again;"
                " nothing is lost"
            ) from error
        for text in _texts(error):
            for damage in _DAMAGED:
                if damage in text:
                    raise PipelineError(f"{_line(text, damage).rstrip('.')}: {REMEDY_FOR_A_FILE}") from error
            for refusal, remedy in _REFUSALS.items():
                if refusal in text:
                    raise UsageError(
                        f"{_line(text, refusal)} (lake {root}): {remedy}, then run again; nothing is lost"
                    ) from error
        raise


def _texts(error: BaseException | None) -> Iterator[str]:
    """The messages of an error and of its causes, including Java's."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield str(error)
        yield str(getattr(error, "_stackTrace", ""))  # PySpark keeps the Java causes here
        error = error.__cause__ or error.__context__


def _line(text: str, refusal: str) -> str:
    """The line of `text` that holds the refusal, without the exception class and the error number before it."""
    line = next(line for line in text.splitlines() if refusal in line)
    return re.sub(r"^\[Errno \d+\] ", "", line.rpartition("Exception: ")[2].strip())[:500]
