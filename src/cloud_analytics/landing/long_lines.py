"""Finds lines that are too long for memory, before anything reads them whole. Takes bounded memory and time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import IO

from cloud_analytics.lake.files import FileInfo, ReadableFiles
from cloud_analytics.landing.folder import unpacked

_CHUNK = 2**20
_PROBE = 2**16
_DEFLATE_AT_MOST = 1032  # bytes that one byte of a deflate stream can become


def has_long_line(landing: ReadableFiles, info: FileInfo, limit: int) -> bool:
    """Whether a line of a file has more than `limit` bytes. False also where the file cannot be read to its end.

    A file that is too small for such a line is not opened. A plain file is first sampled: only where one of its blocks
    of half the limit holds no line end, it is read from the start. A compressed file is unpacked at once. Reading ends
    with the first line that is too long.
    """
    is_packed = info.name.endswith(".gz")
    if info.length * (_DEFLATE_AT_MOST if is_packed else 1) <= limit:
        return False
    try:
        with landing.open(info.path) as stored:
            if is_packed:
                return _exceeds(unpacked(stored, info.name), limit)
            half = limit // 2
            # A line of two such blocks covers one of them. Each is read only as far as its first line end.
            if all(_ends_a_line(stored, start, half) for start in range(0, info.length - half + 1, half)):
                return False
            stored.seek(0)
            return _exceeds(stored, limit)
    except (EOFError, OSError, zlib.error):
        return False


def _ends_a_line(stream: IO[bytes], start: int, length: int) -> bool:
    stream.seek(start)
    return any(b"\n" in part for part in _parts(stream, _PROBE, length))


def _exceeds(stream: IO[bytes], limit: int) -> bool:
    length = 0  # of the line that began in an earlier part
    for part in _parts(stream, min(_CHUNK, limit)):
        end = part.find(b"\n")
        if length + (len(part) if end < 0 else end) > limit:
            return True
        # A line that begins and ends in this part is no longer than the part.
        length = length + len(part) if end < 0 else len(part) - part.rfind(b"\n") - 1
    return False


def _parts(stream: IO[bytes], size: int, most: int | None = None) -> Iterator[bytes]:
    """The next bytes of a stream, at most `most` of them, in parts of `size` bytes."""
    while most is None or most > 0:
        part = stream.read(size if most is None else min(size, most))
        if not part:
            return
        most = None if most is None else most - len(part)
        yield part
