"""CSV masters → records of text, with the original text of each (SPEC 3, RFC 4180).

A quoted field may hold commas and newlines, so a record, not a line, is the unit. Masters are dimension tables: their
files are read on the driver, one job for all that changed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cloud_analytics.config import SourceContract
from cloud_analytics.lake.files import FileInfo, ReadableFiles
from cloud_analytics.landing import header

# Blanks are Unicode's, as `str.strip` takes them off.
csv.field_size_limit(2**31 - 1)
_NUL = "\udc00"  # stands for a NUL, which Python 3.10's reader refuses; no decoded text holds it


@dataclass(frozen=True)
class Record:
    """One CSV record: fields by column name, the text it stood in, and whether it can be trusted.

    `fits_header`: valid UTF-8, as many fields as the header, and no quote that stays open to the end of the file.
    `raw_bytes` holds the bytes of what is no UTF-8.
    """

    values: dict[str, str]
    raw: str
    fits_header: bool
    raw_bytes: bytes | None = None


def master_files(files: ReadableFiles, source: str) -> list[FileInfo]:
    """`<source>.csv` and `<source>/*.csv`, by name; `_` and `.` names are half-written uploads."""
    found = [info for info in files.files("", recursive=False) if info.name == f"{source}.csv"]
    found += [info for info in files.files(source, recursive=False) if info.name.endswith(".csv")]
    return sorted(found, key=lambda info: (info.name, info.path))


def parse(content: bytes, file: str, contract: SourceContract) -> tuple[list[str], list[Record], str | None]:
    """A file's bytes → (header, records, problem). The problem names the file, and says what is wrong with its header.

    The header's names are those of `header.names`. An empty file has no header, no records and no problem. Text that
    is no UTF-8 is marked, never dropped.
    """
    text = content.decode("utf-8-sig", errors="surrogateescape")
    rows = _rows(text)
    first = next(rows, None)
    if first is None:
        return [], [], None
    names, problem = header.names(first[0], contract), header.problem(content, first[0], contract)
    if problem is not None:
        return names, [], f"{file}: {problem}"
    return names, [_record(names, fields, raw, closed) for fields, raw, closed in rows], None


def _record(names: list[str], fields: list[str], raw: str, closed: bool) -> Record:
    original = raw.encode("utf-8", errors="surrogateescape")
    readable = original.decode("utf-8", errors="replace")
    if readable == raw:
        return Record(dict(zip(names, fields)), raw, closed and len(fields) == len(names))
    return Record({}, readable, False, original)


def _rows(text: str) -> Iterator[tuple[list[str], str, bool]]:
    """Fields of each record, the text it came from, and whether its quotes are closed; blank records are none."""
    consumed: list[str] = []
    at_end = False

    def lines() -> Iterator[str]:
        nonlocal at_end
        for line in io.StringIO(text, newline=""):
            consumed.append(line)
            yield line.replace("\0", _NUL)
        yield ""  # a record of its own, unless a quote is open
        at_end = True

    for fields in csv.reader(lines()):
        raw = "".join(consumed) if at_end else "".join(consumed).rstrip("\r\n")  # in an open quote they are text
        consumed.clear()
        if raw.strip():
            yield [value.replace(_NUL, "\0") for value in fields], raw, not at_end


def extra_columns(
    headers: Iterable[Sequence[str]], contract: SourceContract, taken: Iterable[str] = ()
) -> dict[str, str]:
    """Columns beyond the contract, in order of first appearance → the names under which Bronze keeps them.

    A name that one of Bronze's own columns has (`taken`) gets a `_`.
    """
    found: dict[str, str] = {}
    used = {*contract.required, *taken}
    for name in dict.fromkeys(name for names in headers for name in names if name):
        if name not in contract.required:
            found[name] = name
            while found[name] in used:
                found[name] += "_"
            used.add(found[name])
    return found
