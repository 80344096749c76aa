"""What a machine refuses (a full or read-only disk, more memory) as one line, however deep in Spark it was raised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JNetworkError

from cloud_analytics.errors import CloudAnalyticsError, UsageError

# What the operating system says, in Java as in Python, and what to do about it.
_REFUSALS = {
    "No space left on device": "make room there",
    "Disk quota exceeded": "make room there",
    "File too large": "raise the limit on the size of files",
    "Read-only file system": "mount it for writing, or use another --lake",
    "Permission denied": "give this user the right to it, or use another folder",
    "Input/output error": "look at the disk",
    "Not a directory": "use a folder",
}


@contextmanager
def readable_refusals(root: str) -> Iterator[None]:
    """Turn an error of the file system, or the end of Spark's JVM, into a UsageError of one line; others pass."""
    try:
        yield
    except CloudAnalyticsError:
        raise
    except Exception as error:
        if isinstance(error, Py4JNetworkError | ConnectionRefusedError) or "OutOfMemoryError" in "".join(_texts(error)):
            raise UsageError(
                "Spark's Java has ended, most likely because its memory was full: raise spark.driver_memory in"
                " conf/pipeline.yaml, or lower landing.max_line_bytes where lines are very long, then run again;"
                " nothing is lost"
            ) from error
        for text in _texts(error):
            for refusal, remedy in _REFUSALS.items():
                if refusal in text:
                    raise UsageError(
                        f"{_line(text, refusal)} (lake {root}): {remedy}, then run again; nothing is lost"
                    ) from error
        raise


def _texts(error: BaseException | None) -> Iterator[str]:
    """The messages of an error and of the errors that caused it, Java's included."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield str(error)
        yield str(getattr(error, "_stackTrace", ""))  # where PySpark keeps the causes of what it translates
        error = error.__cause__ or error.__context__


def _line(text: str, refusal: str) -> str:
    """The line that says what was refused, without the classes of the exceptions before it."""
    line = next(line for line in text.splitlines() if refusal in line)
    return line.rpartition("Exception: ")[2].strip()[:200]
