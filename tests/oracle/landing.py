"""Files into lines and records: what counts, what is skipped, and what cannot be read."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EVENTS_FOLDER = "usage_events_stream"
EVENT_ENDINGS = (".jsonl", ".json", ".jsonl.gz", ".json.gz")
BOM = b"\xef\xbb\xbf"

MASTER_COLUMNS: dict[str, list[str]] = {
    "customers_orgs": [
        "org_id", "org_name", "industry", "hq_region", "plan_tier", "is_enterprise", "signup_date", "sales_rep",
        "lifecycle_stage", "marketing_source", "nps_score",
    ],
    "users": ["user_id", "org_id", "email", "role", "active", "created_at", "last_login"],
    "resources": ["resource_id", "org_id", "service", "region", "created_at", "state", "tags_json"],
    "billing_monthly": [
        "invoice_id", "org_id", "month", "subtotal", "credits", "taxes", "currency", "exchange_rate_to_usd",
    ],
    "support_tickets": [
        "ticket_id", "org_id", "category", "severity", "created_at", "resolved_at", "csat", "sla_breached",
    ],
    "nps_surveys": ["org_id", "survey_date", "nps_score", "comment"],
    "marketing_touches": ["touch_id", "org_id", "campaign", "channel", "timestamp", "clicked", "converted"],
}  # fmt: skip


class ContractError(ValueError):
    """The landing folder cannot be read under the contract (a required column is missing)."""


class Unreadable(Exception):
    """A file that cannot be read to its end."""


@dataclass(frozen=True)
class Number:
    """A JSON number, as it was written."""

    text: str
    is_integer: bool


@dataclass(frozen=True)
class Literal:
    """NaN, Infinity or -Infinity."""

    text: str


@dataclass(frozen=True)
class Record:
    """One CSV record: its fields by column name, or None where it is malformed."""

    raw: str | bytes
    fields: dict[str, str] | None


def visible_files(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """A folder's own files with such an ending, by name; half-written uploads are not there."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name.endswith(endings) and not path.name.startswith(("_", "."))
    )


def event_files(landing: Path) -> list[Path]:
    """The files of usage events."""
    return visible_files(landing / EVENTS_FOLDER, EVENT_ENDINGS)


def master_files(landing: Path, source: str) -> list[Path]:
    """`<source>.csv` and `<source>/*.csv`, by file name."""
    single = landing / f"{source}.csv"
    files = [single] if single.is_file() else []
    return sorted(files + visible_files(landing / source, (".csv",)), key=lambda path: path.name)


def read_bytes(path: Path) -> bytes:
    """A whole file without its BOM, decompressed where its name says so."""
    try:
        content = path.read_bytes()
        if path.name.endswith(".gz"):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(path.name) from error
    return content.removeprefix(BOM)


def event_lines(content: bytes, longest: int = 64 * 2**20) -> Iterator[str | bytes]:
    """The lines that count: text, or bytes where it is not UTF-8. Unreadable where one is longer than that."""
    lines = content.split(b"\n")
    if max(map(len, lines)) > longest:
        raise Unreadable
    for line in lines:
        line = line.removesuffix(b"\r")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            yield line
            continue
        if text.strip():
            yield text


def _constant(text: str) -> Literal:
    return Literal(text)


def _expect_characters(value: Any) -> None:
    """ValueError where a text holds a surrogate; objects were looked at when they were made."""
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("half of a surrogate pair")
    if isinstance(value, list):
        for item in value:
            _expect_characters(item)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for pair in pairs:
        _expect_characters(list(pair))
    return dict(pairs)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=lambda text: Number(text, False),
    parse_int=lambda text: Number(text, True),
    parse_constant=_constant,
)


def parse_json(text: str) -> Any:
    """A JSON text with its numbers as written; ValueError where it is none, or escapes half of a surrogate pair."""
    try:
        value = _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    _expect_characters(value)
    return value


def parse_object(line: str | bytes) -> dict[str, Any] | None:
    """Exactly one JSON object, else None."""
    if isinstance(line, bytes):
        return None
    try:
        value = parse_json(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def split_csv(text: str) -> Iterator[tuple[str, list[str], bool]]:
    """RFC 4180 records: (original text, fields, whether every quote was closed); blank lines are none."""
    fields: list[str] = []
    field = ""
    state = "start of field"  # or "unquoted", "quoted", "quote in quoted"
    begin = 0
    for at, char in enumerate(text):
        if state == "quoted":
            if char == '"':
                state = "quote in quoted"
            else:
                field += char
        elif state == "quote in quoted" and char == '"':
            field += char
            state = "quoted"
        elif char == '"' and state == "start of field":
            state = "quoted"
        elif char == ",":
            fields.append(field)
            field = ""
            state = "start of field"
        elif char == "\n":
            raw = text[begin:at].removesuffix("\r")
            if raw.strip():
                yield raw, [*fields, field], True
            fields, field, state, begin = [], "", "start of field", at + 1
        elif char == "\r" and text[at + 1 : at + 2] == "\n":
            pass  # belongs to the end of the record
        else:
            field += char
            state = "unquoted"
    if text[begin:].strip():
        yield text[begin:], [*fields, field], state != "quoted"


def csv_records(content: bytes, source: str, file_name: str) -> Iterator[Record]:
    """The records below a file's header; an empty file has none."""
    header: list[str] | None = None
    for raw, fields, closed in split_csv(content.decode("utf-8", "surrogateescape")):
        if header is None:
            header = [name.strip().casefold() for name in fields]
            if len({*header} - {""}) < sum(map(bool, header)):
                raise ContractError(f"{file_name}: a column stands twice")
            for column in MASTER_COLUMNS[source]:
                if column not in header:
                    raise ContractError(f"{file_name}: required column {column!r} is missing")
            continue
        original = raw.encode("utf-8", "surrogateescape")
        try:
            original.decode("utf-8")
        except UnicodeDecodeError:
            yield Record(original, None)
            continue
        good = closed and len(fields) == len(header)
        yield Record(raw, dict(zip(header, fields)) if good else None)
