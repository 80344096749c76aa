"""Which files of a landing folder are the stream's, and the lines that they hold. Without Spark."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import IO, cast

from cloud_analytics.lake.files import FileInfo, ReadableFiles

FOLDER = "usage_events_stream"
NAME_PATTERN = "*.{jsonl,json,jsonl.gz,json.gz}"
SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz")
# Every character that counts as blank space: Unicode's white space and the ASCII separators, as `str.strip` has them.
BLANKS = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class UnreadableFile(Exception):
    """A file that cannot be unpacked to its end."""


def is_event_file(name: str) -> bool:
    """Whether a file name is one of the stream's; `_` and `.` names are half-written uploads."""
    return name.endswith(SUFFIXES) and name[:1] not in "_."


def event_files(landing: ReadableFiles) -> list[FileInfo]:
    """The event files that lie in the landing folder now."""
    return [info for info in landing.files(FOLDER, recursive=False) if is_event_file(info.name)]


def lines(landing: ReadableFiles, info: FileInfo) -> Iterator[bytes]:
    """Every line of an event file, blank ones too, without `\\n` and the byte order mark of the file.

    UnreadableFile for a compressed file that cannot be unpacked; FileNotFoundError where it went meanwhile.
    """
    with landing.open(info.path) as stored, _unpacked(stored, info.name) as stream:
        try:
            for number, line in enumerate(stream):
                yield (line if number else line.removeprefix(_BYTE_ORDER_MARK)).removesuffix(b"\n")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UnreadableFile(info.name) from error


def _unpacked(stored: IO[bytes], name: str) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(stored)) if name.endswith(".gz") else stored


def has_text(line: bytes) -> bool:
    """Whether anything but blanks stands in a line; blanks are those of Unicode, for which `str.isspace` is true."""
    first = line[:1]
    if b"!" <= first <= b"~":  # the usual line begins with a brace
        return True
    text = line.decode("utf-8", errors="replace")
    return bool(text) and not text.isspace()
