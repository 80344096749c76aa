"""The assumptions A1 to A5 about the data, looked at in Bronze, quarantine and Silver of a lake."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger
from cloud_analytics.config import EVENTS, MASTERS, Config
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.schemas import BRONZE_EVENTS, SILVER_EVENTS, SILVER_MASTERS
from cloud_analytics.reading.audit import Audit
from cloud_analytics.reading.lateness import micro_batches
from cloud_analytics.validation.checks import Check, verdict
from cloud_analytics.validation.rehearsal import what_a_run_would_change

EVENTS_A_DAY = 10_000_000
LATE_BY_AT_MOST = timedelta(hours=2)
_COPIES = ("conflicting_duplicate", "duplicate_key")


def assumptions(lake: Lake, landing: str, config: Config, audited: Audit) -> list[Check]:
    """A1 to A5; four Spark jobs over Bronze and Silver, none of which writes."""
    bronze = lake.read(ledger.TABLE, BRONZE_EVENTS)
    cells = bronze.groupBy("date", "schema_version").count().collect()
    return [
        _events_a_day(lake, cells),
        _schema_versions(cells),
        _lateness(lake, bronze),
        _one_object_a_line(audited),
        _natural_keys(lake, landing, config, audited),
    ]


def _events_a_day(lake: Lake, cells: list[Any]) -> Check:
    by_date: Counter[str] = Counter()
    for cell in cells:
        by_date[str(cell.date)] += cell["count"]
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
        versions["none" if cell.schema_version is None else cell.schema_version] += cell["count"]
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


def _lateness(lake: Lake, bronze: DataFrame) -> Check:
    limit = int(LATE_BY_AT_MOST.total_seconds())
    late = (F.col("lateness_seconds") > limit).cast("bigint")
    row = bronze.agg(
        F.count("lateness_seconds").alias("events"),
        F.coalesce(F.sum(late), F.lit(0)).alias("late"),
        F.max("lateness_seconds").alias("max"),
        F.percentile("lateness_seconds", 0.95).alias("p95"),
    ).first()
    assert row is not None  # an aggregate without groups has one row
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


def _natural_keys(lake: Lake, landing: str, config: Config, audited: Audit) -> Check:
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


def _keys_on_two_rows(lake: Lake, config: Config) -> dict[str, int]:
    """source → natural keys that more than one row of Silver has; one Spark job."""
    counted = None
    for source in (EVENTS, *MASTERS):
        schema = SILVER_EVENTS if source == EVENTS else SILVER_MASTERS[source]
        key = ["event_id"] if source == EVENTS else config.sources[source].key
        repeated = lake.read(f"silver/{source}", schema).groupBy(*key).count().where("count > 1")
        found = repeated.agg(F.lit(source).alias("source"), F.count("*").alias("keys"))
        counted = found if counted is None else counted.unionByName(found)
    assert counted is not None  # there are sources
    return {row.source: row["keys"] for row in counted.collect()}
