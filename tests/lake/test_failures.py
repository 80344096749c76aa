"""What the file system refuses is one line, wherever in the chain of errors it was said."""

from __future__ import annotations

import errno
import os

import pytest
from py4j.protocol import Py4JNetworkError

from cloud_analytics.errors import PipelineError, UsageError
from cloud_analytics.lake.failures import readable_refusals

JAVA = """An error occurred while calling o99.parquet.
: org.apache.spark.SparkException: Job aborted.
\tat org.apache.spark.sql.errors.QueryExecutionErrors$.jobAborted(QueryExecutionErrors.scala:638)
Caused by: java.io.IOException: /lake/_staging/1/part-0.parquet: No space left on device
\tat java.base/java.io.FileOutputStream.writeBytes(Native Method)
"""


WRONG_TYPE = """An error occurred while calling o99.collect.
: org.apache.spark.SparkException: Job aborted due to stage failure
Caused by: org.apache.spark.SparkException: Parquet column cannot be converted in file file:///lake/gold/a.parquet. \
Column: [events], Expected: bigint, Found: BINARY.
\tat org.apache.spark.sql.errors.QueryExecutionErrors$.unsupportedSchemaColumnConvertError(QueryExecutionErrors.scala:1)
Caused by: org.apache.spark.sql.execution.datasources.SchemaColumnConvertNotSupportedException: column: [events], x
"""


def test_the_cause_of_a_java_error_is_told_with_what_to_do() -> None:
    with pytest.raises(UsageError) as told, readable_refusals("/lake"):
        raise RuntimeError(JAVA)
    assert str(told.value) == (
        "/lake/_staging/1/part-0.parquet: No space left on device (lake /lake): make room there, then run again;"
        " nothing is lost"
    )


def test_a_file_of_another_type_is_named_with_what_to_do() -> None:
    with pytest.raises(PipelineError) as told, readable_refusals("/lake"):
        raise RuntimeError(WRONG_TYPE)
    assert str(told.value).startswith(
        "Parquet column cannot be converted in file file:///lake/gold/a.parquet. Column: [events], Expected: bigint,"
        " Found: BINARY: restore it from a backup. One of Silver or Gold can be deleted with its folder"
    )


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EIO, "look at the disk"), (errno.ESTALE, "mount it anew"), (errno.EMFILE, "raise the limit on open files")],
)
def test_an_error_of_the_disk_or_a_mount_says_what_to_do(number: int, remedy: str) -> None:
    text = os.strerror(number)
    with pytest.raises(UsageError, match=rf"{text}.* \(lake /lake\): {remedy}"), readable_refusals("/lake"):
        raise OSError(number, text, "/lake/bronze")


def test_also_of_an_error_that_hides_it() -> None:
    def fail() -> None:
        try:
            raise OSError(30, "Read-only file system", "/lake/_state")
        except OSError as error:
            raise ValueError("something else") from error

    with pytest.raises(UsageError, match="Read-only file system.*mount it for writing"), readable_refusals("/lake"):
        fail()


@pytest.mark.parametrize(
    "error",
    [
        Py4JNetworkError("Answer from Java side is empty"),
        ConnectionRefusedError(111, "Connection refused"),
        RuntimeError("Caused by: java.lang.OutOfMemoryError: Java heap space"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_end_of_a_java_process_is_told_with_its_likely_reason(error: Exception) -> None:
    with pytest.raises(UsageError, match=r"its memory was full: raise spark.driver_memory"), readable_refusals("/lake"):
        raise error


def test_other_errors_and_our_own_pass_as_they_are() -> None:
    for error in (ValueError("x"), PipelineError("a store says: Permission denied")):
        with pytest.raises(type(error)) as told, readable_refusals("/lake"):
            raise error
        assert told.value is error
