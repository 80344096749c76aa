"""Ingests one micro-batch: files become Bronze rows and rejects, with their ledger entries, in one transaction.

If a file has changed since it was ingested, the same transaction removes its earlier rows and rejected lines.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger, rejects
from cloud_analytics.bronze.ledger import MicroBatch
from cloud_analytics.config import Config
from cloud_analytics.lake.file_system import FileInfo, FileSystem
from cloud_analytics.lake.files import file_system
from cloud_analytics.lake.folder import Document
from cloud_analytics.lake.lake import LONG_LINE, LONG_LINES, Lake, Transaction, lies_below
from cloud_analytics.lake.rows import LITTLE_BYTES
from cloud_analytics.landing.events import parse_lines, read_lines, stored_lines
from cloud_analytics.landing.folder import as_now, as_read, has_long_line
from cloud_analytics.tables import Table
from cloud_analytics.tables.zones import BRONZE_EVENTS, QUARANTINED_EVENTS

logger = logging.getLogger(__name__)


def ingest(lake: Lake, config: Config, found: Sequence[FileInfo], batch_id: str) -> MicroBatch | None:
    """Ingest the files that are new or differ from their ledger entry, in one transaction; None if there are none.

    A file that differs is read again, and the same transaction removes its earlier rows. If a file changes while it is
    read, it differs again (`as_read`).
    """
    started = time.monotonic()
    # Only one entry per name: for a name with glob characters, Spark's stream lists other files of the batch again.
    changes = ledger.event_changes(lake, {info.name: info for info in found}.values())
    new = sorted([*changes.new, *changes.changed])
    if not new:
        return None
    batch_id = ledger.unused(lake, batch_id)
    ingest_ts = datetime.now(timezone.utc)
    before = _as_now(lake.spark, new)
    unreadable = _with_long_lines(lake.spark, new, config.pipeline.landing.max_line_bytes)
    readable = [info for info in new if info not in unreadable]
    while readable or unreadable:
        try:
            return _write(lake, config, readable, unreadable, before, batch_id, ingest_ts, started)
        except Exception:
            # Compressed files are tried one by one, and missing files are looked for, only after a read has failed.
            broken = [info for info in readable if info.name.endswith(".gz") and _is_broken(lake.spark, info)]
            here = [info for info in readable if _files(lake.spark, info).exists(info.name)]
            if readable == here and not broken:
                raise
            for info in readable:
                if info not in here:
                    logger.warning("%s went before it was read: it is passed over until it is there again", info.name)
            unreadable |= dict.fromkeys((info for info in broken if info in here), "it cannot be unpacked to its end")
            readable = [info for info in here if info not in broken]
    return None


def _files(spark: SparkSession, info: FileInfo) -> FileSystem:
    """The file system whose root is the folder of a file."""
    return file_system(spark, info.path.rpartition("/")[0])


def _as_now(spark: SparkSession, files: Sequence[FileInfo]) -> dict[str, FileInfo | None]:
    return as_now(_files(spark, files[0]), {info.name: info for info in files})  # one folder holds them all


def _with_long_lines(spark: SparkSession, files: Sequence[FileInfo], limit: int) -> dict[FileInfo, str]:
    """The files that hold a line of more than `limit` bytes, each with the reason why it is not read."""
    with ThreadPoolExecutor(4) as pool:  # files are unpacked in parallel
        are_long = pool.map(lambda info: has_long_line(_files(spark, info), info, limit), files)
        found = [info for info, is_long in zip(files, are_long) if is_long]
    return dict.fromkeys(found, f"a line has more than {limit:,} bytes (landing.max_line_bytes)")


def _is_broken(spark: SparkSession, info: FileInfo) -> bool:
    """Whether the file can be read, but not unpacked to its end.

    False if it has gone. Raises the file system's error if it may not be read, since its content is unknown then.
    """
    try:
        stored_lines(spark, [info.path]).agg(F.sum(F.length("value"))).collect()
        return False
    except Exception:
        try:
            with _files(spark, info).open(info.name) as stream:
                while stream.read(2**20):
                    pass
        except FileNotFoundError:
            return False
        return True


def _write(
    lake: Lake,
    config: Config,
    files: Sequence[FileInfo],
    unreadable: Mapping[FileInfo, str],
    before: Mapping[str, FileInfo | None],
    batch_id: str,
    ingest_ts: datetime,
    started: float,
) -> MicroBatch:
    spark, settings = lake.spark, config.pipeline.stream
    watermark = int(settings.watermark.total_seconds())
    reasons = {info.name: reason for info, reason in unreadable.items()}
    # Cached, so that lines are parsed once: the newest timestamp is needed before the first row can be written.
    parsed = parse_lines(read_lines(spark, [info.path for info in files])).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        in_time = F.col("event_ts") <= F.lit(ingest_ts)
        latest = F.max(F.when(in_time, F.unix_micros("event_ts"))).alias("latest")
        length = F.octet_length("raw")
        lengths = F.sum(length).alias("bytes"), F.max(length).alias("longest")
        dated = parsed.groupBy(F.to_date("event_ts").alias("date"))
        seen = dated.agg(F.count("*").alias("lines"), latest, *lengths).collect()
        little = sum(row.bytes for row in seen) <= LITTLE_BYTES
        lines = sum(row.lines for row in seen)
        written = {row.date.isoformat() for row in seen if row.date is not None}
        timeless = sum(row.lines for row in seen if row.date is None)
        clock = lake.load(ledger.CLOCK)
        newest = max((at for at in (clock, *(row.latest for row in seen)) if at is not None), default=None)
        metadata = {"batch_id": F.lit(batch_id), "ingest_ts": F.lit(ingest_ts)}
        lateness = Observation()
        known = lake.load(ledger.FILES)
        here = [*files, *unreadable]
        again = {info.name for info in here} & known.keys()
        with lake.transaction() as transaction:
            gone = _lines_gone(lake, again, parsed) if again else {}
            lost = _retract(lake, transaction, again) if again else {}
            if written:
                events = _events(parsed.withColumns(metadata), newest, clock, watermark, lateness)
                rows = lake.gathered(events, ["date"], len(written), little)
                transaction.replace(BRONZE_EVENTS.path, rows, BRONZE_EVENTS.folders, remove=None)
            if timeless or unreadable:
                without_time = parsed.where(F.col("event_ts").isNull()).withColumns(metadata)
                rejected = rejects.rejected_lines(without_time, config)
                if unreadable:
                    rejected = rejected.unionByName(rejects.unreadable_files(spark, reasons, config, metadata))
                gathered = lake.gathered(rejected, [], 1, little)
                transaction.replace(QUARANTINED_EVENTS.path, gathered, QUARANTINED_EVENTS.folders, remove=None)
            late = lateness.get if written else {}
            dropped = late.get("dropped") or 0
            # Files that are older than the lake's first micro-batch are a backfill: late events are normal there.
            began = lake.load(ledger.BEGAN)
            if began is None:
                began = 0 if known else int(ingest_ts.timestamp() * 1000)
            is_backfill = all(info.modified <= began for info in files)
            batch = MicroBatch(
                batch_id=batch_id,
                files=len(here),
                files_again=len(again),
                input_rows=lines,
                rejected_rows=timeless + len(unreadable),
                late_rows=late.get("late") or 0,
                max_lateness_seconds=late.get("max"),
                p95_lateness_seconds=late.get("p95"),
                watermark_would_drop=dropped,
                late_share=(late.get("late") or 0) / lines if lines else 0.0,
                late_alert=not is_backfill and dropped > settings.late_alert_share * lines,
                duration_seconds=round(time.monotonic() - started, 3),
                touched=tuple(sorted({*written, *lost})),
                unreadable=reasons,
                lines_gone=gone,
            )
            rules = config.fingerprint()
            are_judged_alike = not known or lake.load(rejects.RULES) == rules
            transaction.store(rejects.RULES, rules if are_judged_alike else None)
            after = _as_now(spark, here)
            entered = {info.name: as_read(info, before[info.name], after[info.name], batch_id) for info in here}
            transaction.store(ledger.FILES, {**known, **entered})
            transaction.store(ledger.DATES, ledger.dates_after(lake, batch_id, transaction.number, written, lost))
            transaction.store(ledger.CLOCK, newest)
            transaction.store(ledger.BEGAN, began)
            if any(row.longest > LONG_LINE for row in seen):
                transaction.store(LONG_LINES, True)
            metrics = Document(f"{ledger.METRICS}/{batch_id}", dict[str, Any], {})
            transaction.store(metrics, {**asdict(batch), "ingest_ts": ingest_ts.isoformat()})
    finally:
        parsed.unpersist()
    return batch


def _events(
    parsed: DataFrame, newest: int | None, before: int | None, watermark: int, observation: Observation
) -> DataFrame:
    """Turn parsed lines with a usable timestamp into Bronze rows, one per line; `observation` measures their lateness.

    `newest` and `before`: the newest event time including this micro-batch, and before it, in microseconds since 1970.
    `watermark`: in seconds.
    """
    micros = F.unix_micros("event_ts")
    # Rounded up: the rounded lateness exceeds a watermark of whole seconds exactly if the true lateness does.
    seconds = F.ceil((F.lit(newest).cast("bigint") - micros) / 1_000_000)
    dropped = micros < F.lit(before).cast("bigint") - watermark * 1_000_000
    events = (
        parsed.where(F.col("event_ts").isNotNull())
        .withColumns({"date": F.to_date("event_ts"), "lateness_seconds": seconds})
        .withColumn("is_late", F.coalesce(F.col("lateness_seconds") > watermark, F.lit(False)))
    )
    return BRONZE_EVENTS.select(events).observe(
        observation,
        F.sum(F.col("is_late").cast("bigint")).alias("late"),
        F.max("lateness_seconds").alias("max"),
        F.percentile("lateness_seconds", 0.95).alias("p95"),
        F.sum(dropped.cast("bigint")).alias("dropped"),
    )


def _lines_gone(lake: Lake, names: Collection[str], lines: DataFrame) -> dict[str, int]:
    """File → how many of its lines in Bronze, accepted or rejected, are not among its present `lines`.

    The result has only files that lost lines. A line counts as often as it occurs.
    """
    accepted = lake.rows(BRONZE_EVENTS, _accepted(lake, names))
    rejected = lake.rows(QUARANTINED_EVENTS, rejects.partitions(lake))
    line = ("source_file", F.xxhash64("raw").alias("line"))
    before = accepted.select(*line).unionByName(rejected.where("error_type != 'unreadable_file'").select(*line))
    both = before.withColumn("times", F.lit(1)).unionByName(lines.select(*line, F.lit(-1).alias("times")))
    of_these = both.where(F.col("source_file").isin(sorted(names)))
    lost = of_these.groupBy("source_file", "line").agg(F.sum("times").alias("n")).where("n > 0")
    return {row.source_file: row.n for row in lost.groupBy("source_file").agg(F.sum("n").alias("n")).collect()}


def _retract(lake: Lake, transaction: Transaction, names: Collection[str]) -> dict[str, bool]:
    """Remove every row of these files, as a part of the transaction.

    Returns: event date that loses rows → whether the date still has rows of other files.
    """
    going = F.col("source_file").isin(sorted(names))
    _remove(lake, transaction, QUARANTINED_EVENTS, rejects.partitions(lake), going)
    partitions = lake.partitions(BRONZE_EVENTS.path)
    left = _remove(lake, transaction, BRONZE_EVENTS, _accepted(lake, names), going)
    full = {values["date"] for folder, values in partitions.items() if left.get(folder, True)}
    return {date: date in full for date in (partitions[folder]["date"] for folder in left)}


def _accepted(lake: Lake, names: Collection[str]) -> list[str]:
    """The partitions of Bronze that may hold rows of these files."""
    known = lake.load(ledger.FILES)
    batches = {known[name].batch_id for name in names}
    return [
        folder
        for folder, values in lake.partitions(BRONZE_EVENTS.path).items()
        if values["batch_id"] in batches or values["batch_id"].startswith(ledger.COMPACTED)
    ]


def _remove(
    lake: Lake, transaction: Transaction, table: Table, folders: Collection[str], going: Column
) -> dict[str, int]:
    """Rewrite the partitions that hold `going` rows without these rows; return folder → number of rows left."""
    if not folders:
        return {}
    counts = F.count("*").alias("rows"), F.count(F.when(going, True)).alias("going")
    found = lake.rows(table, folders).groupBy(*table.folders).agg(*counts)
    left = {
        "/".join(f"{name}={row[name]}" for name in table.folders): row.rows - row.going
        for row in found.where("going > 0").collect()
    }
    if left:
        rest = lake.rows(table, left).where(~going)
        kept = lake.gathered(rest, ["date"], len(left)) if any(left.values()) else None
        transaction.replace(table.path, kept, table.folders, lies_below(left))
    return left
