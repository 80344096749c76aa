"""Lines that are too long are found before anything reads them whole."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from pathlib import Path
from typing import IO, Any

import pytest
from pyspark.sql import SparkSession

from cloud_analytics.lake.file_system import FileInfo
from cloud_analytics.lake.files import LocalFileSystem
from cloud_analytics.landing.events import stored_lines
from cloud_analytics.landing.folder import has_long_line

LIMIT = 1000


def found(folder: Path, name: str, content: bytes, limit: int = LIMIT) -> bool:
    (folder / name).write_bytes(content)
    return has_long_line(LocalFileSystem(str(folder)), FileInfo(f"file:{folder}/{name}", len(content), 0), limit)


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
@pytest.mark.parametrize(
    ("lines", "is_long"),
    [
        ([LIMIT], False),
        ([LIMIT + 1], True),
        ([LIMIT] * 50, False),
        ([7] * 999 + [LIMIT + 1], True),
        ([7] * 999 + [LIMIT], False),
        ([LIMIT + 1] + [7] * 999, True),
        ([LIMIT // 2] * 99 + [LIMIT + 1] + [LIMIT // 2] * 99, True),
        ([0] * 5000, False),
        ([499, 1001], True),
        ([500, 999, 501, 1000, 1], False),
    ],
)
def test_by_lengths(tmp_path: Path, name: str, lines: list[int], is_long: bool) -> None:
    text = b"\n".join(b"x" * length for length in lines)
    for content in (text, text + b"\n"):
        packed = gzip.compress(content[: len(content) // 3]) + gzip.compress(content[len(content) // 3 :])
        assert found(tmp_path, name, packed if name.endswith(".gz") else content) == is_long


@pytest.mark.parametrize("content", [b"no gzip at all " * 99, gzip.compress(b"x\n" * 99_999)[:-9]])
def test_a_file_that_cannot_be_unpacked_is_left_to_its_reader(tmp_path: Path, content: bytes) -> None:
    assert not found(tmp_path, "x.jsonl.gz", content)


def test_memory_is_bounded_for_what_unpacks_to_gigabytes(tmp_path: Path) -> None:
    part = gzip.compress(bytes(2**26))  # 64 MiB in 64 KiB; a line may stand in several members
    tracemalloc.start()
    try:
        assert found(tmp_path, "bomb.jsonl.gz", part * 40, limit=2**26)
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


class _Counted(LocalFileSystem):
    read = 0

    def open(self, path: str) -> IO[bytes]:
        outer = self

        class Stream(io.FileIO):
            def readinto(self, buffer: Any) -> int:
                size: int = super().readinto(buffer)
                outer.read += size
                return size

        return io.BufferedReader(Stream(self._path(path)))


def test_of_a_large_file_with_usual_lines_little_is_read(tmp_path: Path) -> None:
    content = (b"x" * 300 + b"\n") * 100_000  # 30 MB
    (tmp_path / "x.jsonl").write_bytes(content)
    files = _Counted(str(tmp_path))
    assert not has_long_line(files, FileInfo(f"file:{tmp_path}/x.jsonl", len(content), 0), 2**20)
    assert files.read < len(content) / 4
    files.read = 0
    assert not has_long_line(files, FileInfo(f"file:{tmp_path}/x.jsonl", len(content), 0), 2**25)
    assert files.read == 0


@pytest.mark.spark
def test_no_setting_of_the_machine_leaves_out_a_line(tmp_path: Path, spark: SparkSession) -> None:
    (tmp_path / "x.jsonl").write_text("short\n" + 500 * "x" + "\n")
    spark.conf.set("mapreduce.input.linerecordreader.line.maxlength", "300")  # as in somebody's core-site.xml
    try:
        assert stored_lines(spark, [str(tmp_path / "x.jsonl")]).count() == 2
    finally:
        spark.conf.unset("mapreduce.input.linerecordreader.line.maxlength")
