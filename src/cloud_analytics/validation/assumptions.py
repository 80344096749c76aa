"""Check the assumptions A1 to A5 about the data in Bronze, quarantine and Silver of a lake."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from cloud_analytics.config import EVENTS, Config
from cloud_analytics.lake.file_system import ReadableFiles
from cloud_analytics.reading.audit import Audit
from cloud_analytics.reading.checks import Check, verdict
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.reading.lateness import micro_batches
from cloud_analytics.reading.tables import SOURCES
from cloud_analytics.validation.rehearsal import what_a_run_would_change

EVENTS_A_DAY = 10_000_000
LATE_BY_AT_MOST = timedelta(hours=2)
_COPIES = ("conflicting_duplicate", "duplicate_key")


def assumptions(lake: LakeReader, landing: ReadableFiles, config: Config, audited: Audit) -> list[Check]:
    """Compute the checks A1 to A5."""
    cells = lake.rows(
        "SELECT date, schema_version, count(*) AS rows FROM bronze.usage_events GROUP BY date, schema_version"
    )
    return [
        _events_a_day(lake, cells),
        _schema_versions(cells),
        _lateness(lake),
        _one_object_a_line(audited),
        _natural_keys(lake, landing, config, audited),
    ]


def _events_a_day(lake: LakeReader, cells: list[Any]) -> Check:
    by_date: Counter[str] = Counter()
    for cell in cells:
        by_date[str(cell["date"])] += cell["rows"]
    batches = micro_batches(lake)
    by_ingest: Counter[str] = Counter()
    for moment, rows in zip(batches["ingest_ts"], batches["input_rows"]):
        by_ingest[moment[:10]] += int(rows)
    busiest, most = max(by_date.items(), key=lambda item: item[1], default=("–", 0))
    ingested = max(by_ingest.values(), default=0)
    return Check(
        "A1",
        "Fewer than 10 million events a day",
        verdict(max(most, ingested) < EVENTS_A_DAY),
        f"at most {most:,} events of one day ({busiest}); at most {ingested:,} lines ingested on one day",
        {"busiest_date": busiest, "events_on_it": most, "most_lines_ingested_a_day": ingested, "days": len(by_date)},
        "one machine in local mode no longer suffices: set spark.master to a cluster, and raise shuffle_partitions",
    )


def _schema_versions(cells: list[Any]) -> Check:
    versions: Counter[str] = Counter()
    for cell in cells:
        versions["none" if cell["schema_version"] is None else cell["schema_version"]] += cell["rows"]
    other = {version: rows for version, rows in versions.items() if version not in ("1", "2")}
    return Check(
        "A2",
        "Schema versions 1 and 2 only",
        verdict(not other),
        ", ".join(f"version {name}: {rows:,}" for name, rows in sorted(versions.items())) or "no events",
        {"versions": dict(sorted(versions.items())), "other": sum(other.values())},
        "events of other versions are quarantined as unsupported_schema_version: they miss in every figure until a rule"
        " for them is written",
    )


def _lateness(lake: LakeReader) -> Check:
    row = lake.row(
        "SELECT count(lateness_seconds) AS events, count(*) FILTER (lateness_seconds > ?) AS late,"
        " max(lateness_seconds) AS max, quantile_cont(lateness_seconds, 0.95) AS p95 FROM bronze.usage_events",
        [int(LATE_BY_AT_MOST.total_seconds())],
    )
    batches = micro_batches(lake)
    lost = int(batches["watermark_would_drop"].sum())
    hours = (row["max"] or 0) / 3600
    share = row["late"] / row["events"] if row["events"] else 0.0
    return Check(
        "A3",
        "Events are late by at most 2 hours",
        verdict(row["late"] == 0),
        f"{row['late']:,} of {row['events']:,} events ({share:.1%}) are later, the latest by {hours:,.1f} h;"
        f" in the {len(batches):,} micro-batches they came in, a watermark would have dropped {lost:,}",
        {
            "events": row["events"],
            "late": row["late"],
            "late_share": share,
            "max_lateness_hours": hours,
            "p95_lateness_hours": (row["p95"] or 0) / 3600,
            "micro_batches": len(batches),
            "watermark_would_drop": lost,
        },
        "`withWatermark(2 hours)` loses late events as soon as they come in several micro-batches; this pipeline drops"
        " none: it counts and flags them, and rebuilds the dates they belong to",
    )


def _one_object_a_line(audited: Audit) -> Check:
    events = audited.sources[EVENTS]
    broken, unreadable = (events.quarantine.get(name, 0) for name in ("malformed_json", "unreadable_file"))
    return Check(
        "A4",
        "One JSON object a line",
        verdict(not broken and not unreadable),
        f"{broken:,} of {events.landing:,} lines are not exactly one JSON object; {unreadable:,} files cannot be read",
        {"lines": events.landing, "malformed_json": broken, "unreadable_files": unreadable},
        "such lines are quarantined with their text as malformed_json (a file as unreadable_file), and miss in every"
        " figure until their sender repeats them",
    )


def _natural_keys(lake: LakeReader, landing: ReadableFiles, config: Config, audited: Audit) -> Check:
    twice = _keys_on_two_rows(lake, config)
    stale = what_a_run_would_change(lake, landing, config)
    copies = {
        f"{source}: {name}": found.quarantine[name]
        for source, found in audited.sources.items()
        for name in _COPIES
        if name in found.quarantine
    }
    same = audited.sources[EVENTS].quarantine.get("duplicate_event", 0)
    parts = [
        f"{sum(twice.values()):,} keys stand on two rows of Silver",
        f"{sum(copies.values()):,} other records came under a key that is taken, and {same:,} plain copies",
        f"a run would now change: {', '.join(stale)}" if stale else "a run would now change nothing (rehearsed)",
    ]
    return Check(
        "A5",
        "Natural keys suffice: a second run changes nothing, no key on two records",
        verdict(not any(twice.values()) and not copies and not stale),
        "; ".join(parts),
        {
            "keys_twice_in_silver": twice,
            "other_records_of_a_key": copies,
            "plain_copies": same,
            "a_run_would_change": stale,
        },
        "of several records of one key one survives and the others are quarantined: if they were different facts, some"
        " are missing; what a run would change is not in Gold yet (run it)",
    )


def _keys_on_two_rows(lake: LakeReader, config: Config) -> dict[str, int]:
    """Source → the number of natural keys that more than one row of Silver has."""
    keys = {source: ["event_id"] if source == EVENTS else config.sources[source].key for source in SOURCES}
    query = " UNION ALL ".join(
        f"SELECT '{source}' AS source, count(*) AS keys FROM"
        f" (FROM silver.{source} SELECT 1 GROUP BY {', '.join(key)} HAVING count(*) > 1)"
        for source, key in keys.items()
    )
    return {row["source"]: row["keys"] for row in lake.rows(query)}
