"""Parses CSV masters into text records, each with its original text (contract 3, RFC 4180).

A quoted field may hold commas and newlines, so the unit is a record, not a line. Masters are dimension tables, so the
driver reads their files.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cloud_analytics.config import SourceContract
from cloud_analytics.config.pipeline import LandingSettings
from cloud_analytics.lake.file_system import FileInfo, ReadableFiles
from cloud_analytics.landing.folder import KnownFile, has_long_line
from cloud_analytics.untrusted import printable

csv.field_size_limit(2**31 - 1)
_NUL = "\udc00"  # replaces NUL, which csv.reader refuses in Python 3.10; decoded text never holds this character
_SHOWN = 200  # a message repeats at most this many characters of the header
# Other formats that are found in files named `.csv`: first bytes → what the file is, and what to do.
_OTHER_FORMATS = {
    b"\xff\xfe": "the file is UTF-16: save it as UTF-8",
    b"\xfe\xff": "the file is UTF-16: save it as UTF-8",
    b"PK\x03\x04": "the file is a ZIP archive or an Excel workbook: save it as CSV",
    b"\x1f\x8b": "the file is compressed: unpack it",
}


@dataclass(frozen=True)
class Record:
    """One CSV record: its fields by column name, its original text, and whether it is well formed.

    `fits_header`: the record is valid UTF-8, has as many fields as the header, and closes every quote. `raw_bytes`: the
    original bytes of a record that is not valid UTF-8, else None; such a record has no `values`.
    """

    values: dict[str, str]
    raw: str
    fits_header: bool
    raw_bytes: bytes | None = None

    @property
    def length(self) -> int:
        """Length of the original text in bytes."""
        return len(self.raw.encode() if self.raw_bytes is None else self.raw_bytes)


def parse(content: bytes, file: str, contract: SourceContract) -> tuple[list[str], list[Record], str | None]:
    """Parse a file's bytes into (column names, records, problem); the problem says what is wrong with the header.

    An empty file has no header, no records and no problem. If there is a problem, no records are returned. A record
    that is not valid UTF-8 is marked (`fits_header`), never dropped.
    """
    text = content.decode("utf-8-sig", errors="surrogateescape")
    rows = _rows(text)
    first = next(rows, None)
    if first is None:
        return [], [], None
    # Names are compared without case and surrounding blanks. Required columns get the spelling of the contract.
    required = {_folded(name): name for name in contract.required}
    names = [required.get(_folded(name), _folded(name)) for name in first[0]]
    problem = _problem(content, first[0], names, contract)
    if problem is not None:
        return names, [], f"{printable(file)}: {problem}"
    return names, [_record(names, fields, raw, closed) for fields, raw, closed in rows], None


def _problem(content: bytes, written: Sequence[str], found: Sequence[str], contract: SourceContract) -> str | None:
    """The message for a wrong header: what is wrong, what the file holds instead, what to do; else None."""
    twice = [name for name, times in Counter(found).items() if name and times > 1]
    if twice:
        return f"the header holds {_columns(twice)} more than once (case does not count): keep one"
    lacking = [name for name in contract.required if name not in found]
    if not lacking:
        return None
    other = next((words for start, words in _OTHER_FORMATS.items() if content.startswith(start)), None)
    seen = other or f"it holds {printable(', '.join(written))[:_SHOWN]}{_advice(written, lacking)}"
    return f"the header lacks {_columns(lacking)}; {seen}"


def _folded(name: str) -> str:
    return name.strip().casefold()


def _columns(found: Sequence[str]) -> str:
    return f"the column{'s' * (len(found) > 1)} {', '.join(map(printable, found))}"


def _advice(written: Sequence[str], lacking: Sequence[str]) -> str:
    first = written[0]
    if first.startswith("\ufeff"):
        return ": it begins with two byte order marks, remove one"
    if first.lower().startswith("sep="):
        return ": this is a line for Excel, remove it"
    separator = next((char for char in ";\t|" if char in first), None)
    if separator is not None and len(written) == 1:
        return f": its fields are separated by {separator!r}, save it with commas"
    alike = {"".join(filter(str.isalnum, _folded(name))): name.strip() for name in written}
    renamed = {name: alike[key] for name in lacking if (key := name.replace("_", "")) in alike}
    return "".join(f"; rename {printable(other)!r} to {name}" for name, other in renamed.items())


@dataclass(frozen=True)
class Master:
    """A parsed master; `files` holds (file name, column names, records) of each file.

    `problems`: what is wrong with headers; a problem stops the run. `unfinished`: why the master cannot be ingested
    yet; its latest snapshot stays.
    """

    files: list[tuple[str, list[str], list[Record]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    @property
    def records(self) -> int:
        """How many records the files hold."""
        return sum(len(records) for _, _, records in self.files)


def read_masters(
    landing: ReadableFiles, masters: Iterable[Iterable[FileInfo]], limits: LandingSettings
) -> dict[str, bytes | str]:
    """Path → bytes of each file, without files that were removed after the listing. `masters`: the files of each.

    A text stands for a file that is too large, or whose line is too long: it says why the file is not read.
    """
    refused: dict[str, bytes | str] = {}
    files: list[FileInfo] = []
    listed = list(map(list, masters))
    for found in listed:
        total, most = sum(info.length for info in found), limits.max_master_bytes
        if total > most:
            reason = f"its files have {total:,} bytes, more than {most:,} (landing.max_master_bytes)"
            refused |= {info.path: reason for info in found}
            continue
        too_long = [info for info in found if has_long_line(landing, info, limits.max_record_bytes)]
        refused |= {info.path: _too_long(info.name, limits.max_record_bytes) for info in too_long}
        files += [info for info in found if info.path not in refused]
    contents = landing.contents(files)
    for found in listed:
        lines = sum(_line_ends(contents[info.path]) for info in found if info.path in contents)
        if lines > limits.max_master_lines:
            limit = f"{limits.max_master_lines:,} (one for 64 bytes of landing.max_master_bytes)"
            refused |= {info.path: f"its files have {lines:,} lines, more than {limit}" for info in found}
    return {**contents, **refused}


def _line_ends(content: bytes) -> int:
    return max(content.count(b"\n"), content.count(b"\r"))


def _too_long(name: str, limit: int) -> str:
    return f"{printable(name)} holds a record of more than {limit:,} bytes (landing.max_line_bytes, max_master_bytes)"


def parse_master(
    found: Mapping[str, FileInfo],
    contents: Mapping[str, bytes | str],
    contract: SourceContract,
    known: Mapping[str, KnownFile],
    max_record_bytes: int,
) -> Master:
    """Parse the files of a master (`found`) in the order of their names.

    `contents`: see `read_masters`. `known`: the files of the latest
    snapshot. An upload counts as unfinished if a file of `known` is now empty, or if no file has a header.
    """
    master = Master()
    for name, info in sorted(found.items(), key=lambda file: (file[1].name, file[1].path)):
        if info.path not in contents:
            master.unfinished.append(f"{printable(name)} went before it was read")
            continue
        content = contents[info.path]
        if isinstance(content, str):
            if content not in master.unfinished:
                master.unfinished.append(content)
            continue
        names, records, problem = parse(content, info.name, contract)
        master.files.append((info.name, names, records))
        if problem is not None:
            master.problems.append(problem)
        elif not names and name in known and known[name].length:
            master.unfinished.append(f"{printable(name)} is empty, as an upload that has just begun")
        elif len(content) > max_record_bytes and any(record.length > max_record_bytes for record in records):
            master.unfinished.append(_too_long(name, max_record_bytes))
    if not master.unfinished and not any(names for _, names, _ in master.files):
        empty = ", ".join(map(printable, sorted(found)))
        master.unfinished.append(f"{empty} is empty, as an upload that has just begun")
    return master


def _record(names: list[str], fields: list[str], raw: str, closed: bool) -> Record:
    original = raw.encode("utf-8", errors="surrogateescape")
    readable = original.decode("utf-8", errors="replace")
    if readable == raw:
        return Record(dict(zip(names, fields)), raw, closed and len(fields) == len(names))
    return Record({}, readable, False, original)


def _rows(text: str) -> Iterator[tuple[list[str], str, bool]]:
    """Yield (fields, original text, whether all quotes are closed) of each record that is not blank."""
    consumed: list[str] = []
    at_end = False

    def lines() -> Iterator[str]:
        nonlocal at_end
        for line in io.StringIO(text, newline=""):
            consumed.append(line)
            yield line.replace("\0", _NUL)
        yield ""  # ends a record with an open quote; after a complete record it is a blank record, which is skipped
        at_end = True

    for fields in csv.reader(lines()):
        raw = "".join(consumed) if at_end else "".join(consumed).rstrip("\r\n")  # in an open quote, line ends are text
        consumed.clear()
        if raw.strip():
            yield [value.replace(_NUL, "\0") for value in fields], raw, not at_end


def extra_columns(
    headers: Iterable[Sequence[str]], contract: SourceContract, taken: Iterable[str] = ()
) -> dict[str, str]:
    """Map each column that is not in the contract to its name in Bronze, in the order of first appearance.

    `taken`: names that Bronze needs for its own columns. A column with such a name gets `_` appended.
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
