"""Finds lines that are too long for memory before anything reads them whole, in bounded memory and time."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import IO, cast

from cloud_analytics.lake.files import FileInfo, ReadableFiles

_CHUNK = 2**20
_PROBE = 2**16
_DEFLATE_AT_MOST = 1032  # bytes that one byte of a deflate stream can become


def has_long_line(landing: ReadableFiles, info: FileInfo, limit: int) -> bool:
    """Whether a line of a file has more than `limit` bytes. False also where the file cannot be read to its end.

    A file that is too small for it is not opened. Of a plain file the first bytes of each half limit are read, and all
    of it only where there is half a limit without the end of a line. A compressed file is unpacked as far as that.
    """
    is_packed = info.name.endswith(".gz")
    if info.length * (_DEFLATE_AT_MOST if is_packed else 1) <= limit:
        return False
    try:
        with landing.open(info.path) as stored:
            if is_packed:
                return _exceeds(cast(IO[bytes], gzip.open(stored)), limit)
            if not _has_empty_half(stored, info.length, limit // 2):
                return False
            stored.seek(0)
            return _exceeds(stored, limit)
    except (EOFError, OSError, zlib.error):
        return False


def _has_empty_half(stream: IO[bytes], length: int, half: int) -> bool:
    """Whether one of the blocks of so many bytes holds no end of a line; each line of two such blocks covers one."""
    return any(not _ends_a_line(stream, start, half) for start in range(0, length - half + 1, half))


def _ends_a_line(stream: IO[bytes], start: int, length: int) -> bool:
    stream.seek(start)
    return any(b"\n" in part for part in _parts(stream, _PROBE, length))


def _exceeds(stream: IO[bytes], limit: int) -> bool:
    length = 0  # of the line that goes on from the parts before
    for part in _parts(stream, min(_CHUNK, limit)):
        end = part.find(b"\n")
        if length + (len(part) if end < 0 else end) > limit:
            return True
        # A line that lies inside of the part is not longer than it.
        length = length + len(part) if end < 0 else len(part) - part.rfind(b"\n") - 1
    return False


def _parts(stream: IO[bytes], size: int, most: int | None = None) -> Iterator[bytes]:
    """The next bytes in parts of a size, at most so many."""
    while most is None or most > 0:
        part = stream.read(size if most is None else min(size, most))
        if not part:
            return
        most = None if most is None else most - len(part)
        yield part
