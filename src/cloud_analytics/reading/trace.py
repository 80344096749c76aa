"""Trace a figure of the daily mart back to its Silver events, their landing files, and the lines in these files.

The lake stores no line numbers. The trace reads the landing files again and finds a line by its text. The conservation
law tells which of the lines in Bronze became Silver rows: all lines but those in quarantine.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from cloud_analytics.bronze import ledger
from cloud_analytics.config import Config
from cloud_analytics.errors import UsageError
from cloud_analytics.lake import periods
from cloud_analytics.lake.file_system import ReadableFiles
from cloud_analytics.landing.folder import BLANKS, UnreadableFile, event_files, lines
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.untrusted import json_value

_WIDE = Context(prec=100, rounding=ROUND_HALF_UP)
# figure of the mart → (the column of the events that it sums, the metric whose events count (None: all metrics), the
# value of the sum over no events)
_SUMS: dict[str, tuple[str, str | None, Decimal | None]] = {
    "total_cost_usd": ("cost_usd", None, Decimal(0)),
    "total_requests": ("value", "requests", Decimal(0)),
    "total_cpu_hours": ("value", "cpu_hours", Decimal(0)),
    "total_storage_gb_hours": ("value", "storage_gb_hours", Decimal(0)),
    "total_carbon_kg": ("carbon_kg", None, None),
    "total_genai_tokens": ("genai_tokens", None, None),
    "total_cost_usd_capped": ("cost_usd_capped", None, Decimal(0)),
}
_EVENT = """
    event_id, event_ts AT TIME ZONE 'UTC' AS event_ts, resource_id, metric, value, unit, cost_usd, cost_usd_capped,
    carbon_kg, genai_tokens, is_anomaly, anomaly_reason, source_file
"""


@dataclass(frozen=True)
class Place:
    """The position of a line in landing: its file, and its number from 1. Blank lines count; gzip files are unpacked.

    `line` is None if the line was not found. `note` says why, or warns that the file has changed since its ingest.
    """

    source_file: str
    line: int | None
    note: str | None
    raw: str


@dataclass(frozen=True)
class Traced:
    """A Silver event (with columns of Silver) and the line that it came from."""

    event: dict[str, Any]
    place: Place


@dataclass(frozen=True)
class Rejected:
    """A quarantined line of the same organisation, day and service."""

    errors: list[str]
    event_id: str | None
    place: Place


@dataclass(frozen=True)
class ComparedFigure:
    """A figure of the mart beside its sum over the events, and its sum over the landing lines (`from_lines`).

    `restated` is the sum of the restatements of the figure since its month was closed (gold/restatements).
    """

    figure: str
    mart: Any
    events: Any
    from_lines: Any = None
    restated: Any = None

    @property
    def total(self) -> Any:
        """The mart's figure plus its restatements."""
        return self.mart if self.restated is None else (self.mart or 0) + self.restated

    @property
    def equal(self) -> bool:
        """Whether mart, events and (if known) landing lines give the same figure."""
        return bool(self.total == self.events) and (self.from_lines is None or bool(self.from_lines == self.total))


@dataclass(frozen=True)
class Trace:
    """A row of gold/org_daily_usage_by_service (`mart`; None: no such row), with its events and rejected lines."""

    org_id: str
    usage_date: date
    service: str
    mart: dict[str, Any] | None
    checks: list[ComparedFigure]
    events: list[Traced]
    rejected: list[Rejected]

    @property
    def agrees(self) -> bool:
        """Whether every figure of the mart plus its restatements is the sum of the events."""
        return all(check.equal for check in self.checks)


@dataclass(frozen=True)
class _Line:
    """A line as Bronze holds it."""

    event_id: str | None
    source_file: str
    raw: str


def trace(lake: LakeReader, landing: ReadableFiles, config: Config, org: str, day: date, service: str) -> Trace:
    """Trace the figures of one organisation, day and service back to their events, landing files and lines.

    Reads one date of each zone, and the landing files of the events. UsageError if the service is unknown, or the lake
    has no data of this organisation, day and service; the message names what it has.
    """
    name = config.taxonomy.service_words().get(service.strip().lower())
    if name is None:
        raise UsageError(f"--service {service!r}: allowed are {', '.join(config.taxonomy.services)}")
    query = "SELECT * FROM gold.org_daily_usage_by_service WHERE usage_date = ? AND org_id = ?"
    marts = {row["service"]: row for row in lake.rows(query, [day, org])}
    mart = marts.get(name)
    events = lake.rows(
        f"SELECT {_EVENT} FROM silver.usage_events"
        " WHERE date = ? AND service = ? AND org_id = ? ORDER BY event_ts, event_id",
        [day, name, org],
    )
    found = _bronze_lines(lake, config, org, day, name)
    rejects = _rejects(lake, day, found)
    if mart is None and not events and not found:
        there = ", ".join(sorted(marts))
        raise UsageError(
            f"nothing of {org} on {day} for {name}: "
            + (f"that day has {there}" if there else "that organisation has no usage on that day")
        )
    # A line that is not in quarantine is in Silver. Of equal lines the first count as accepted: they are one record.
    accepted: dict[tuple[str, str | None], deque[_Line]] = defaultdict(deque)
    refused: list[tuple[_Line, list[str]]] = []
    for line, copies in Counter(found).items():
        causes = rejects[line.source_file, line.raw]
        passed = copies - len(causes)
        accepted[line.source_file, line.event_id].extend([line] * passed)
        refused += [(line, errors) for errors in causes[max(0, -passed) :]]
    place_of = _place_finder(lake, landing, config.pipeline.landing.follow_links, found)
    traced = []
    for event in events:
        name_of_file = event["source_file"]
        lines_of_it = accepted[name_of_file, event["event_id"]]
        lost = Place(name_of_file, None, "Bronze holds no such line", "")
        traced.append(Traced(event, place_of(lines_of_it.popleft()) if lines_of_it else lost))
    rejected = [Rejected(errors, line.event_id, place_of(line)) for line, errors in refused]
    restated = _restated(lake, org, day, name) if f"{day:%Y-%m}" in lake.load(periods.DOCUMENT).closed else None
    return Trace(org, day, name, mart, _checks(mart, traced, restated), traced, rejected)


def _bronze_lines(lake: LakeReader, config: Config, org: str, day: date, service: str) -> list[_Line]:
    """The lines in Bronze of the organisation, day and service, both accepted and rejected ones."""
    words = config.taxonomy.service_words()
    rows = lake.rows(
        "SELECT nullif(trim(event_id, ?), '') AS event_id, source_file, raw, service FROM bronze.usage_events"
        " WHERE date = ? AND trim(org_id, ?) = ?",
        [BLANKS, day, BLANKS, org],
    )
    chosen = [row for row in rows if words.get((row["service"] or "").strip().lower()) == service]
    return [_Line(row["event_id"], row["source_file"], row["raw"]) for row in chosen]


def _rejects(lake: LakeReader, day: date, found: Iterable[_Line]) -> Mapping[tuple[str, str], list[list[str]]]:
    """(file, text) of a line in `found` → a list with the errors of each quarantined copy of this line."""
    errors: dict[tuple[str, str], list[list[str]]] = defaultdict(list)
    texts = {(line.source_file, line.raw) for line in found}
    # Rejected lines without a timestamp have the date of their ingest, and Bronze does not hold them.
    rows = lake.rows(
        "SELECT source_file, raw, errors FROM quarantine.usage_events WHERE date = ?"
        " AND list_contains(?::VARCHAR[], source_file) AND NOT list_contains(errors, 'invalid_timestamp')",
        [day, sorted({name for name, _ in texts})],
    )
    for row in rows:
        if (row["source_file"], row["raw"]) in texts:
            errors[row["source_file"], row["raw"]].append(row["errors"])
    return errors


def _place_finder(
    lake: LakeReader, landing: ReadableFiles, follow_links: bool, found: Iterable[_Line]
) -> Callable[[_Line], Place]:
    """A function that returns the next position in landing of a line in `found`. It returns each position once.

    Line numbers are those of editors and of `sed -n 12p`, after `zcat` for a gzip file.
    """
    texts: dict[str, set[bytes]] = defaultdict(set)
    for line in found:
        texts[line.source_file].add(line.raw.encode().rstrip(b"\r"))
    files = {info.name: info for info in event_files(landing, follow_links) if info.name in texts}
    changed = ledger.event_changes(lake, files.values()).changed
    notes = {info.name: "changed since it was ingested" for info in changed}
    notes |= {name: "not in landing any more (archived)" for name in texts.keys() - files.keys()}
    numbers: dict[tuple[str, bytes], deque[int]] = defaultdict(deque)
    for name, info in files.items():
        try:
            for number, text in enumerate(lines(landing, info), start=1):
                if text.rstrip(b"\r") in texts[name]:
                    numbers[name, text.rstrip(b"\r")].append(number)
        except (UnreadableFile, FileNotFoundError):
            notes[name] = "cannot be read any more"

    def next_place(line: _Line) -> Place:
        left, note = numbers[line.source_file, line.raw.encode().rstrip(b"\r")], notes.get(line.source_file)
        if not left:
            return Place(line.source_file, None, note or "the file holds no such line", line.raw)
        return Place(line.source_file, left.popleft(), note, line.raw)

    return next_place


def _restated(lake: LakeReader, org: str, day: date, service: str) -> dict[str, Any]:
    """Figure → the sum of its restatements on a closed day (None if there are none). Capped cost is never restated."""
    sums = ", ".join(f"sum({figure}) AS {figure}" for figure in _SUMS if figure != "total_cost_usd_capped")
    query = f"SELECT {sums} FROM gold.restatements WHERE usage_date = ? AND org_id = ? AND service = ?"
    return lake.row(query, [day, org, service])


def _checks(
    mart: Mapping[str, Any] | None, traced: Sequence[Traced], restated: Mapping[str, Any] | None
) -> list[ComparedFigure]:
    """Compare count and sums of the mart with those of the events; and the cost with the lines, if all were found.

    For a day of a closed month, only the figures that can be restated are compared.
    """
    if mart is None and restated is None:
        return [ComparedFigure("total_events", 0, len(traced))]
    frozen = mart or {figure: nothing for figure, (_, _, nothing) in _SUMS.items()}
    checks = [ComparedFigure("total_events", frozen["total_events"], len(traced))] if restated is None else []
    for figure, (column, metric, nothing) in _SUMS.items():
        if restated is not None and figure not in restated:
            continue
        values = [
            item.event[column]
            for item in traced
            if item.event[column] is not None and metric in (None, item.event["metric"])
        ]
        total = sum(values, Decimal(0)) if values else nothing
        if figure == "total_requests" and total is not None:
            total = total.quantize(Decimal(1), context=_WIDE)
        lines = _cost_of_lines(traced) if figure == "total_cost_usd" else None
        checks.append(ComparedFigure(figure, frozen[figure], total, lines, restated and restated[figure]))
    return checks


def _cost_of_lines(traced: Sequence[Traced]) -> Decimal | None:
    """The sum of the costs in the landing lines; None if a line was not found or Python cannot parse it."""
    if any(item.place.line is None for item in traced):
        return None
    try:
        events = [json_value(item.place.raw, parse_float=str, parse_int=str) for item in traced]
    except ValueError:
        return None
    return sum((_rounded(str(event["cost_usd_increment"]).strip()) for event in events), Decimal(0))


def _rounded(cost: str) -> Decimal:
    """A cost that Silver accepted, rounded to six decimals."""
    try:
        return Decimal(cost).quantize(Decimal("0.000001"), context=_WIDE)
    except InvalidOperation:  # an exponent beyond the range of Python: Silver accepts it only if the cost rounds to 0
        return Decimal(0)
