"""A landing folder in; Silver, quarantine, Gold and the audit out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import localcontext
from pathlib import Path
from typing import Any

from . import events as usage
from . import masters
from .customers import customer_signals
from .forecasts import cost_forecast
from .gold import usage_marts
from .gold_finance import finance_marts
from .gold_masters import master_marts
from .landing import MASTER_COLUMNS, Unreadable, csv_records, event_files, event_lines, master_files, read_bytes
from .params import Params
from .scores import score_events
from .values import CONTEXT

Row = dict[str, Any]

EVENTS = "usage_events"


@dataclass(frozen=True)
class Result:
    """What the contract says must come out of a landing folder."""

    silver: dict[str, list[Row]]
    quarantine: dict[str, list[Row]]
    gold: dict[str, list[Row]]
    audit: dict[str, Any]


class Ledger:
    """Counts landing lines as they are read, and keeps the rejected ones."""

    def __init__(self, ingest_date: date) -> None:
        self.ingest_date = ingest_date
        self.lines: Counter[str] = Counter()
        self.rejects: dict[str, list[Row]] = {source: [] for source in [*MASTER_COLUMNS, EVENTS]}

    def reject(self, source: str, errors: list[str], raw: str | bytes, name: str, day: date | None = None) -> None:
        self.rejects[source].append(
            {
                "source": source,
                "error_type": errors[0],
                "errors": errors,
                "raw": raw,
                "source_file": name,
                "date": day or self.ingest_date,
            }
        )

    def read(self, source: str, path: Path) -> bytes | None:
        """A file's content, or None where it cannot be read to its end: that is one line and one reject."""
        try:
            return read_bytes(path)
        except Unreadable:
            self.cannot_read(source, path)
            return None

    def cannot_read(self, source: str, path: Path) -> None:
        """A file that cannot be read is one line and one reject."""
        self.lines[source] += 1
        raw = path.read_bytes() if path.is_file() else b""
        self.reject(source, ["unreadable_file"], raw, path.name)

    def audit(self, silver: dict[str, list[Row]]) -> dict[str, Any]:
        sources = {}
        for source, rejects in self.rejects.items():
            counts = dict(sorted(Counter(row["error_type"] for row in rejects).items()))
            good = len(silver[source])
            sources[source] = {
                "landing": self.lines[source],
                "silver": good,
                "quarantine": counts,
                "balanced": self.lines[source] == good + sum(counts.values()),
            }
        return {"sources": sources, "balanced": all(entry["balanced"] for entry in sources.values())}


def read_master(landing: Path, source: str, ingest_ts: datetime, params: Params, ledger: Ledger) -> list[Row]:
    """A master's Silver rows."""
    survivors: dict[tuple[Any, ...], tuple[Row, str | bytes]] = {}
    for path in master_files(landing, source):
        content = ledger.read(source, path)
        if content is None:
            continue
        for record in csv_records(content, source, path.name):
            ledger.lines[source] += 1
            if record.fields is None:
                ledger.reject(source, ["malformed_csv"], record.raw, path.name)
                continue
            row, errors = masters.judge(source, record.fields, path.name, ingest_ts, params)
            if errors:
                ledger.reject(source, errors, record.raw, path.name)
                continue
            key = masters.key_of(source, row)
            if key in survivors:  # the last row of the last file survives
                earlier, raw = survivors[key]
                ledger.reject(source, ["duplicate_key"], raw, earlier["source_file"])
            survivors[key] = (row, record.raw)
    return [survivors[key][0] for key in sorted(survivors)]


def read_events(landing: Path, ingest_ts: datetime, params: Params, ledger: Ledger) -> list[Row]:
    """The surviving events, before joins and scores."""
    events = []
    for path in event_files(landing):
        content = ledger.read(EVENTS, path)
        if content is None:
            continue
        try:
            lines = list(event_lines(content))
        except Unreadable:
            ledger.cannot_read(EVENTS, path)
            continue
        for line in lines:
            ledger.lines[EVENTS] += 1
            events.append(usage.judge(line, path.name, ingest_ts, params))
    usage.mark_late(events, ingest_ts, params)
    usage.mark_duplicates(events)
    for event in events:
        if event.errors:
            ledger.reject(EVENTS, event.errors, event.raw, event.source_file, event.row.get("date"))
    return sorted((event.row for event in events if not event.errors), key=lambda row: row["event_id"])


def compute(landing: Path, ingest_ts: datetime, params: Params | None = None) -> Result:
    """What must come out of a landing folder that is ingested at one moment."""
    params = params or Params()
    ingest_ts = ingest_ts.astimezone(timezone.utc)
    ledger = Ledger(ingest_ts.date())
    with localcontext(CONTEXT):
        silver = {source: read_master(landing, source, ingest_ts, params, ledger) for source in MASTER_COLUMNS}
        rows = read_events(landing, ingest_ts, params, ledger)
        usage.join_masters(rows, silver)
        score_events(rows, params)
        silver[EVENTS] = rows
        gold = usage_marts(rows, params) | master_marts(silver, params)
        gold |= finance_marts(rows, silver, gold["revenue_by_org_month"], ledger.rejects[EVENTS])
        daily = gold["org_daily_usage_by_service"]
        gold["customer_signals"] = customer_signals(silver, daily, gold["billing_reconciliation"])
        gold["cost_forecast"] = cost_forecast(daily, silver["customers_orgs"], params)
    return Result(silver, ledger.rejects, gold, ledger.audit(silver))
