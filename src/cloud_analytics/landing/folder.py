"""What lies in a landing folder: the files of each source, what is passed over, what changed since it was taken in.

Masters and events are listed, filtered and compared here, and nowhere else. Without Spark.
"""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, cast

from cloud_analytics.config import MASTERS
from cloud_analytics.lake.files import Entry, FileInfo, Kind, ReadableFiles
from cloud_analytics.untrusted import printable

logger = logging.getLogger(__name__)

FOLDER = "usage_events_stream"
NAME_PATTERN = "*.{jsonl,json,jsonl.gz,json.gz}"
SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz")
# Every character that counts as blank space: Unicode's white space and the ASCII separators, as `str.strip` has them.
BLANKS = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
_CSV = ".csv"
_FILE_SYSTEMS_OWN = "lost+found"
_LIKE_DATA = {"csv", "json", "jsonl", "ndjson", "parquet"}  # parts of a name that people expect to be read
_LEADS_OUT = "is a link that leads out of landing; landing.follow_links allows it"
_NAMED = 5  # of what is passed over for one reason
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class UnreadableFile(Exception):
    """A file that cannot be unpacked to its end."""


@dataclass(frozen=True)
class Contents:
    """What lies in a landing folder now, and may be read.

    `events` and `masters` (by source): the name in the ledger → the file. A file of events goes by its bare name, one
    of a master by its path below landing. `passed_over`: path below landing → why it is not read.
    """

    events: dict[str, FileInfo] = field(default_factory=dict)
    masters: dict[str, dict[str, FileInfo]] = field(default_factory=lambda: {source: {} for source in MASTERS})
    passed_over: dict[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read."""
        return not self.events and not any(self.masters.values())


def look(landing: ReadableFiles, follow_links: bool = False) -> Contents:
    """List a landing folder. Names that begin with `_` or `.` are half-written uploads: neither read nor named."""
    contents = Contents()
    for entry in landing.entries(""):
        if entry.is_hidden or entry.name == _FILE_SYSTEMS_OWN:
            continue
        if entry.kind is Kind.FOLDER and entry.name in (FOLDER, *MASTERS):
            if entry.leaves_root and not follow_links:
                contents.passed_over[entry.name] = _LEADS_OUT
            else:
                _look_into(contents, landing, entry.name, follow_links)
        elif (master := entry.name.removesuffix(_CSV)) in MASTERS and master != entry.name:
            _take(contents, entry, contents.masters[master], entry.name, follow_links)
        elif entry.kind is Kind.FOLDER or _LIKE_DATA & set(entry.name.lower().split(".")):
            contents.passed_over[entry.name] = "belongs to no source by its name"
    return contents


def _look_into(contents: Contents, landing: ReadableFiles, folder: str, follow_links: bool) -> None:
    suffixes = SUFFIXES if folder == FOLDER else (_CSV,)
    for entry in landing.entries(folder):
        path = f"{folder}/{entry.name}"
        if entry.is_hidden or entry.name == _FILE_SYSTEMS_OWN:
            continue
        if entry.kind is Kind.FOLDER:
            contents.passed_over[path] = "is a folder"
        elif not entry.name.endswith(suffixes):
            contents.passed_over[path] = f"does not end in {' or '.join(suffixes)}"
        elif folder == FOLDER:
            _take(contents, entry, contents.events, entry.name, follow_links)
        else:
            _take(contents, entry, contents.masters[folder], path, follow_links)


def _take(contents: Contents, entry: Entry, files: dict[str, FileInfo], name: str, follow_links: bool) -> None:
    reason = _unfit(entry, follow_links)
    if reason is None:
        files[name] = entry.file()
    else:
        contents.passed_over[f"{FOLDER}/{name}" if files is contents.events else name] = reason


def _unfit(entry: Entry, follow_links: bool) -> str | None:
    """Why a file of the right name is not read."""
    if entry.leaves_root and not follow_links:
        return _LEADS_OUT
    return None if entry.kind is Kind.FILE else "is no regular file"


def event_files(landing: ReadableFiles, follow_links: bool = False) -> list[FileInfo]:
    """The event files that lie in the landing folder now, by name."""
    return sorted(look(landing, follow_links).events.values())


def is_event_file(landing: ReadableFiles, name: str, follow_links: bool = False) -> bool:
    """Whether a file of the stream's folder may be read as one of the stream's."""
    if not name.endswith(SUFFIXES) or name[:1] in "_.":
        return False
    folder, entry = landing.entry(FOLDER), landing.entry(f"{FOLDER}/{name}")
    may_enter = folder is not None and (follow_links or not folder.leaves_root)
    return may_enter and entry is not None and _unfit(entry, follow_links) is None


def tell_passed_over(contents: Contents, told: set[str]) -> None:
    """Name what is not read in one line, by reason (of many only the first); what was `told` is not told again."""
    by_reason: dict[str, list[str]] = {}
    for path in sorted(contents.passed_over.keys() - told):
        by_reason.setdefault(contents.passed_over[path], []).append(path)
        told.add(path)
    parts = []
    for reason, paths in by_reason.items():
        more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
        parts.append(f"{', '.join(map(printable, paths[:_NAMED]))}{more} ({reason})")
    if parts:
        logger.warning("passed over in landing: %s", "; ".join(parts))


@dataclass(frozen=True)
class Changes:
    """What became of files since they were taken in: never seen before, changed since, not there any more."""

    new: list[FileInfo]
    changed: list[FileInfo]
    left: list[str]

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.left)


def changes(known: Mapping[str, Sequence[Any]], found: Mapping[str, FileInfo]) -> Changes:
    """Compare files with what is known of them (name → length, modification time, …)."""
    new = [info for name, info in found.items() if name not in known]
    changed = [
        info for name, info in found.items() if name in known and list(known[name][:2]) != [info.length, info.modified]
    ]
    return Changes(sorted(new), sorted(changed), sorted(known.keys() - found.keys()))


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
