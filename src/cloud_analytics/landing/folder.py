"""Lists a landing folder: the files of each source, skipped entries, and changes since files were ingested.

Only this module lists, filters and compares the files of masters and events. It also reads an event file line by line.
It does not use Spark.
"""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, cast

from cloud_analytics.config.sources import EVENTS_FOLDER, MASTERS
from cloud_analytics.lake.file_system import FileInfo, Kind, ReadableFiles
from cloud_analytics.lake.uris import local_folder
from cloud_analytics.untrusted import printable

logger = logging.getLogger(__name__)

NAME_PATTERN = "*.{jsonl,json,jsonl.gz,json.gz}"
SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz")
# Every character that counts as blank space: Unicode's white space and the ASCII separators, as `str.strip` has them.
BLANKS = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
_CSV = ".csv"
_FILE_SYSTEMS_OWN = "lost+found"
# Users expect that a file with one of these parts in its name is read, so a message names a file that is not.
_LIKE_DATA = {"csv", "json", "jsonl", "ndjson", "parquet"}
_LEADS_OUT = "is a link that leads out of landing; landing.follow_links allows it"
_UNKNOWN = -1  # the length of no file
_NAMED = 5  # a message names at most this many paths for one reason
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CHUNK = 2**20
_DEFLATE_AT_MOST = 1032  # one byte of a deflate stream unpacks to at most this many bytes


class UnreadableFile(Exception):
    """A compressed file cannot be unpacked to its end."""


@dataclass(frozen=True)
class Contents:
    """The files of a landing folder at one moment.

    `events` and `masters` (by source): name in the ledger → file. For an event file, the name in the ledger is the file
    name without folders; for a master, it is the path below landing. `passed_over`: path below landing of each skipped
    entry → the reason.
    """

    events: dict[str, FileInfo] = field(default_factory=dict)
    masters: dict[str, dict[str, FileInfo]] = field(default_factory=lambda: {source: {} for source in MASTERS})
    passed_over: dict[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read."""
        return not self.events and not any(self.masters.values())


def look(landing: ReadableFiles, follow_links: bool = False) -> Contents:
    """List a landing folder. Names that begin with `_` or `.` are unfinished uploads: no message reports them."""
    contents = Contents()
    for entry in _visible(landing, ""):
        source = entry.name.removesuffix(_CSV)
        if entry.kind is Kind.FOLDER and entry.name in (EVENTS_FOLDER, *MASTERS):
            if entry.leaves_root and not follow_links:
                contents.passed_over[entry.name] = _LEADS_OUT
            else:
                _look_into(contents, landing, entry.name, follow_links)
        elif source in MASTERS and source != entry.name:
            if reason := _unfit(entry, follow_links):
                contents.passed_over[entry.name] = reason
            else:
                contents.masters[source][entry.name] = entry.checked()
        elif entry.kind is Kind.FOLDER or _LIKE_DATA & set(entry.name.lower().split(".")):
            contents.passed_over[entry.name] = "belongs to no source by its name"
    return contents


def _visible(landing: ReadableFiles, folder: str) -> list[FileInfo]:
    return [entry for entry in landing.entries(folder) if not entry.is_hidden and entry.name != _FILE_SYSTEMS_OWN]


def _look_into(contents: Contents, landing: ReadableFiles, folder: str, follow_links: bool) -> None:
    is_events = folder == EVENTS_FOLDER
    files, suffixes = (contents.events, SUFFIXES) if is_events else (contents.masters[folder], (_CSV,))
    for entry in _visible(landing, folder):
        path = f"{folder}/{entry.name}"
        if entry.kind is Kind.FOLDER:
            contents.passed_over[path] = "is a folder"
        elif not entry.name.endswith(suffixes):
            contents.passed_over[path] = f"does not end in {' or '.join(suffixes)}"
        elif reason := _unfit(entry, follow_links):
            contents.passed_over[path] = reason
        else:
            files[entry.name if is_events else path] = entry.checked()


def _unfit(entry: FileInfo, follow_links: bool) -> str | None:
    """Why an entry with the right name is not read; None if it is read."""
    if entry.leaves_root and not follow_links:
        return _LEADS_OUT
    return None if entry.kind is Kind.FILE else "is no regular file"


def event_files(landing: ReadableFiles, follow_links: bool = False) -> list[FileInfo]:
    """The event files that lie in the landing folder now, by name."""
    return sorted(look(landing, follow_links).events.values())


def is_event_file(landing: ReadableFiles, name: str, follow_links: bool = False) -> bool:
    """Whether the folder of events holds a file of this name that `look` would list."""
    if not name.endswith(SUFFIXES) or name[:1] in "_.":
        return False
    folder, entry = landing.entry(EVENTS_FOLDER), landing.entry(f"{EVENTS_FOLDER}/{name}")
    may_enter = folder is not None and (follow_links or not folder.leaves_root)
    return may_enter and entry is not None and _unfit(entry, follow_links) is None


def tell_passed_over(contents: Contents, told: set[str]) -> None:
    """Log one line with the skipped paths that are not in `told`, by reason, and add them to `told`.

    For each reason, the line names the first paths and counts the others.
    """
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
class KnownFile:
    """A landing file as it was when it was ingested.

    `length` in bytes, `modified` in milliseconds since 1970, and for an event file the micro-batch that read it.
    """

    length: int
    modified: int
    batch_id: str = ""


def as_now(files: ReadableFiles, found: Mapping[str, FileInfo]) -> dict[str, FileInfo | None]:
    """Each file of `found` (by its path below `files`) as it is now; None if it is gone.

    A store is not asked, which is slow: the files are returned as they were found.
    """
    if local_folder(files.root) is None:
        return dict(found)
    return {path: files.entry(path) for path in found}


def as_read(listed: FileInfo, before: FileInfo | None, after: FileInfo | None, batch_id: str = "") -> KnownFile:
    """The ledger's entry of a file that was read between two looks at it (`as_now`).

    If the file was changed or exchanged since it was listed, nobody knows what was read. Then the entry equals no file,
    so that the next start reads the file again.
    """
    is_steady = (
        before is not None
        and after is not None
        and (listed.length, listed.modified) == (before.length, before.modified)
        and (before, before.changed) == (after, after.changed)
    )
    return KnownFile(listed.length if is_steady else _UNKNOWN, listed.modified, batch_id)


@dataclass(frozen=True)
class Changes:
    """Files that were never ingested, files that changed since they were ingested, and names of files that are gone."""

    new: list[FileInfo]
    changed: list[FileInfo]
    left: list[str]

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.left)


def changes(known: Mapping[str, KnownFile], found: Mapping[str, FileInfo]) -> Changes:
    """Compare the files in landing (`found`) with the ingested files (`known`), both by their name in the ledger."""

    def differs(name: str, info: FileInfo) -> bool:
        return name in known and (known[name].length, known[name].modified) != (info.length, info.modified)

    return Changes(
        sorted(info for name, info in found.items() if name not in known),
        sorted(info for name, info in found.items() if differs(name, info)),
        sorted(known.keys() - found.keys()),
    )


def lines(landing: ReadableFiles, info: FileInfo) -> Iterator[bytes]:
    """Yield every line of an event file, also blank lines, without `\\n` and without the file's byte order mark.

    Raises UnreadableFile for a compressed file that cannot be unpacked, FileNotFoundError for a file that is gone.
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
    """Whether a line has a character that is not blank. A character is blank if `str.isspace` is true for it."""
    first = line[:1]
    if b"!" <= first <= b"~":  # the usual line begins with a brace
        return True
    text = line.decode("utf-8", errors="replace")
    return bool(text) and not text.isspace()


def has_long_line(landing: ReadableFiles, info: FileInfo, limit: int) -> bool:
    """Whether a file has a line of more than `limit` bytes. The check uses bounded memory, however long a line is.

    Also False if the file cannot be read to its end. A file that is too small for such a line is not opened. A plain
    file is first sampled in blocks of half the limit: it is read from the start only if a block has no line end. A
    compressed file is unpacked without sampling. Reading stops at the first line that is too long.
    """
    is_packed = info.name.endswith(".gz")
    if info.length * (_DEFLATE_AT_MOST if is_packed else 1) <= limit:
        return False
    try:
        with landing.open(info.path) as stored:
            if not is_packed:
                half = limit // 2
                # A line longer than two blocks covers at least one whole block. Each is read up to its first line end.
                if all(_ends_a_line(stored, start, half) for start in range(0, info.length - half + 1, half)):
                    return False
                stored.seek(0)
            return _exceeds(_unpacked(stored, info.name), limit)
    except (EOFError, OSError, zlib.error):
        return False


def _ends_a_line(stream: IO[bytes], start: int, length: int) -> bool:
    stream.seek(start)
    return stream.readline(length).endswith(b"\n")


def _exceeds(stream: IO[bytes], limit: int) -> bool:
    length = 0  # bytes so far of a line that began in an earlier part
    while part := stream.read(min(_CHUNK, limit)):
        end = part.find(b"\n")
        if length + (len(part) if end < 0 else end) > limit:
            return True
        # A line that begins and ends in this part is not longer than the part, and so not longer than the limit.
        length = length + len(part) if end < 0 else len(part) - part.rfind(b"\n") - 1
    return False
