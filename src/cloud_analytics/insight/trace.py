"""From a figure of the daily mart back to its Silver events, their landing files and the lines they stand in.

The lines are not remembered anywhere: the named files are read again, and a line is found by its text. Which of the
lines that Bronze holds became Silver follows from the conservation law: all but those in quarantine.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger
from cloud_analytics.bronze.events import landing_files
from cloud_analytics.config import EVENTS, Config
from cloud_analytics.errors import UsageError
from cloud_analytics.gold.build import DAILY, SCHEMAS, table
from cloud_analytics.lake.files import FileInfo, file_system
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.schemas import BRONZE_EVENTS, QUARANTINE, SILVER_EVENTS
from cloud_analytics.landing.text import BLANKS, trimmed
from cloud_analytics.quality import quarantine

_MOST_BYTES = 256 * 2**20  # of landing files in memory at once
_WIDE = Context(prec=100, rounding=ROUND_HALF_UP)
# figure of the mart → the events' column, the metric it is of, and what the sum of nothing is
_SUMS: dict[str, tuple[str, str | None, Decimal | None]] = {
    "total_cost_usd": ("cost_usd", None, Decimal(0)),
    "total_requests": ("value", "requests", Decimal(0)),
    "total_cpu_hours": ("value", "cpu_hours", Decimal(0)),
    "total_storage_gb_hours": ("value", "storage_gb_hours", Decimal(0)),
    "total_carbon_kg": ("carbon_kg", None, None),
    "total_genai_tokens": ("genai_tokens", None, None),
    "total_cost_usd_capped": ("cost_usd_capped", None, Decimal(0)),
}
_EVENT = ("event_id", "event_ts", "resource_id", "metric", "value", "unit", "cost_usd", "cost_usd_capped", "carbon_kg",
          "genai_tokens", "is_anomaly", "anomaly_reason")  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where a line stands: file name, and line number from 1 on, blank lines counted (of the decompressed text).

    `line` is None where it cannot be shown; `note` says why (the file was archived, has changed, cannot be read).
    """

    source_file: str
    line: int | None
    note: str | None
    raw: str


@dataclass(frozen=True)
class Traced:
    """A Silver event (columns of Silver) with the line it came from."""

    event: dict[str, Any]
    place: Place


@dataclass(frozen=True)
class Rejected:
    """A quarantined line of the same organisation, day and service."""

    errors: list[str]
    event_id: str | None
    place: Place


@dataclass(frozen=True)
class Check:
    """A figure of the mart beside the same one from the events; `from_lines`: from the landing lines themselves."""

    figure: str
    mart: Any
    events: Any
    from_lines: Any = None

    @property
    def equal(self) -> bool:
        """Whether all that is known agrees."""
        return bool(self.mart == self.events) and (self.from_lines is None or bool(self.from_lines == self.mart))


@dataclass(frozen=True)
class Trace:
    """A row of gold/org_daily_usage_by_service (None: it has none) with everything that it comes from."""

    org_id: str
    usage_date: date
    service: str
    mart: dict[str, Any] | None
    checks: list[Check]
    events: list[Traced]
    rejected: list[Rejected]

    @property
    def agrees(self) -> bool:
        """Whether every figure of the mart is the sum of the events."""
        return all(check.equal for check in self.checks)


@dataclass(frozen=True)
class _Line:
    """A line as Bronze holds it."""

    event_id: str | None
    source_file: str
    raw: str


def trace(lake: Lake, landing: str, config: Config, org: str, day: date, service: str) -> Trace:
    """Follow one figure back: four small Spark jobs over one date, and the named landing files.

    UsageError where the lake knows nothing of this organisation, day and service; it says what there is.
    """
    name = config.taxonomy.service_words().get(service.strip(BLANKS).lower())
    if name is None:
        raise UsageError(f"--service {service!r}: allowed are {', '.join(config.taxonomy.services)}")
    marts = lake.read(table(DAILY), SCHEMAS[DAILY], [f"usage_date={day}"]).where(F.col("org_id") == org).collect()
    mart = next((row.asDict() for row in marts if row.service == name), None)
    silver = lake.read(f"silver/{EVENTS}", SILVER_EVENTS, [f"date={day}/service={name}"])
    events = [
        row.asDict()
        for row in silver.where(F.col("org_id") == org).select(*_EVENT, "source_file").orderBy("event_ts").collect()
    ]
    lines = _bronze_lines(lake, config, org, day, name)
    rejects = _rejects(lake, day, lines)
    if mart is None and not events and not lines:
        there = ", ".join(sorted(row.service for row in marts))
        raise UsageError(
            f"nothing of {org} on {day} for {name}: "
            + (f"that day has {there}" if there else "that organisation has no usage on that day")
        )
    places = _Places(lake, landing, {line.source_file for line in lines})
    # What is not in quarantine became Silver. Of equal lines the first ones did: they are the same record.
    accepted: dict[tuple[str, str | None], deque[_Line]] = defaultdict(deque)
    refused: list[tuple[_Line, list[str]]] = []
    held = Counter(lines)
    for line in dict.fromkeys(lines):
        causes = rejects[line.source_file, line.raw]
        for number in range(held[line]):
            if number < held[line] - len(causes):
                accepted[line.source_file, line.event_id].append(line)
            else:
                refused.append((line, causes[number - (held[line] - len(causes))]))
    traced = []
    for event in events:
        found = accepted[event["source_file"], event["event_id"]]
        traced.append(Traced(event, places.of(found.popleft()) if found else _nowhere(event["source_file"])))
    rejected = [Rejected(errors, line.event_id, places.of(line)) for line, errors in refused]
    return Trace(org, day, name, mart, _checks(mart, traced), traced, rejected)


def _bronze_lines(lake: Lake, config: Config, org: str, day: date, service: str) -> list[_Line]:
    """The lines of the organisation, day and service, accepted or not, as Bronze holds them."""
    words = config.taxonomy.service_words()
    bronze = lake.read(ledger.TABLE, BRONZE_EVENTS, [f"date={day}"]).where(trimmed(F.col("org_id")) == org)
    rows = bronze.select(trimmed(F.col("event_id")).alias("event_id"), "source_file", "raw", "service").collect()
    chosen = [row for row in rows if words.get((row.service or "").strip(BLANKS).lower()) == service]
    return [_Line(row.event_id, row.source_file, row.raw) for row in chosen]


def _rejects(lake: Lake, day: date, lines: Iterable[_Line]) -> Mapping[tuple[str, str], list[list[str]]]:
    """(file, text) → the errors of each quarantined copy of such a line, among these lines."""
    found: dict[tuple[str, str], list[list[str]]] = defaultdict(list)
    texts = {(line.source_file, line.raw) for line in lines}
    if not texts:
        return found
    rejects = lake.read(quarantine.table(EVENTS), QUARANTINE, [f"date={day}"])
    files = sorted({name for name, _ in texts})
    # Rejects without a timestamp lie under the date of their ingest, and Bronze holds none of them.
    timed = rejects.where(F.col("source_file").isin(files) & ~F.array_contains("errors", "invalid_timestamp"))
    for row in timed.select("source_file", "raw", "errors").collect():
        if (row.source_file, row.raw) in texts:
            found[row.source_file, row.raw].append(list(row.errors))
    return found


class _Places:
    """The line numbers of the landing files that are named, each given out once."""

    def __init__(self, lake: Lake, landing: str, names: set[str]) -> None:
        self._lake = lake
        self._files = {info.name: info for info in landing_files(lake.spark, landing) if info.name in names}
        changed = {info.name for info in ledger.changed(lake, self._files.values())}
        self._notes = {name: "changed since it was ingested" for name in changed}
        self._notes |= {name: "not in landing any more (archived)" for name in names - set(self._files)}
        self._numbers: dict[str, dict[str, deque[int]]] = {}
        files = file_system(lake.spark, landing)
        for chunk in _chunks(list(self._files.values())):
            for path, content in files.contents(chunk).items():
                name = next(info.name for info in chunk if info.path == path)
                try:
                    self._numbers[name] = _numbered(gzip.decompress(content) if name.endswith(".gz") else content)
                except (OSError, EOFError, zlib.error):
                    self._notes[name] = "cannot be read any more"

    def of(self, line: _Line) -> Place:
        """The next place of such a line."""
        numbers = self._numbers.get(line.source_file, {}).get(_bare(line.raw))
        note = self._notes.get(line.source_file)
        if not numbers:
            return Place(line.source_file, None, note or "the file holds no such line", line.raw)
        return Place(line.source_file, numbers.popleft(), note, line.raw)


def _chunks(files: Sequence[FileInfo]) -> Iterable[list[FileInfo]]:
    chunk: list[FileInfo] = []
    for info in files:
        if chunk and sum(item.length for item in chunk) + info.length > _MOST_BYTES:
            yield chunk
            chunk = []
        chunk.append(info)
    if chunk:
        yield chunk


def _numbered(content: bytes) -> dict[str, deque[int]]:
    """Text of each line → the numbers of the lines that hold it; as editors, `sed -n 12p` and `zcat` count them."""
    found: dict[str, deque[int]] = defaultdict(deque)
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        found[_bare(line.decode("utf-8", errors="replace"))].append(number)
    return found


def _bare(line: str) -> str:
    return line.rstrip("\r")


def _nowhere(name: str) -> Place:
    return Place(name, None, "Bronze holds no such line", "")


def _checks(mart: Mapping[str, Any] | None, traced: Sequence[Traced]) -> list[Check]:
    """Count and sums of the events against the mart; the cost against the landing lines, too, where all were found."""
    if mart is None:
        return [Check("total_events", 0, len(traced))]
    checks = [Check("total_events", mart["total_events"], len(traced))]
    for figure, (column, metric, nothing) in _SUMS.items():
        values = [
            item.event[column]
            for item in traced
            if item.event[column] is not None and metric in (None, item.event["metric"])
        ]
        total = sum(values, Decimal(0)) if values else nothing
        if figure == "total_requests" and total is not None:
            total = total.quantize(Decimal(1), context=_WIDE)
        lines = _cost_of_lines(traced) if figure == "total_cost_usd" else None
        checks.append(Check(figure, mart[figure], total, lines))
    return checks


def _cost_of_lines(traced: Sequence[Traced]) -> Decimal | None:
    """The cost as the landing lines spell it; None where one of them was not found."""
    if any(item.place.line is None for item in traced):
        return None
    costs = [json.loads(item.place.raw, parse_float=str, parse_int=str)["cost_usd_increment"] for item in traced]
    rounded = [Decimal(str(cost).strip(BLANKS)).quantize(Decimal("0.000001"), context=_WIDE) for cost in costs]
    return sum(rounded, Decimal(0))
