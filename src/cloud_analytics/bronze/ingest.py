"""One micro-batch: files → Bronze rows and Bronze rejects, with their ledger entries, in one transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

from pyspark import StorageLevel
from pyspark.sql import Observation, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger, rejects
from cloud_analytics.bronze.micro_batch import METRICS, MicroBatch
from cloud_analytics.bronze.retract import lines_gone, retract
from cloud_analytics.config import EVENTS, Config
from cloud_analytics.lake.few_rows import LITTLE_BYTES
from cloud_analytics.lake.files import FileInfo, file_system
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.schemas import BRONZE_EVENTS, conform
from cloud_analytics.lake.uris import escape_glob
from cloud_analytics.landing.events import parse_lines, read_lines
from cloud_analytics.landing.long_lines import has_long_line
from cloud_analytics.quality import quarantine

logger = logging.getLogger(__name__)


def ingest(lake: Lake, config: Config, found: Sequence[FileInfo], batch_id: str) -> MicroBatch | None:
    """Ingest the files that are not in the ledger as they are, in one transaction; None when there are none.

    A file that the ledger knows otherwise is read again: its earlier rows go in the same transaction. What is entered
    in the ledger is the file as it was *before* it was read: should it grow meanwhile, it differs again.
    """
    started = time.monotonic()
    # By name: a name with glob characters makes Spark's stream list the other files of its micro-batch again.
    files = list({info.name: info for info in found}.values())
    new = sorted([*ledger.new(lake, files), *ledger.changed(lake, files)])
    if not new:
        return None
    ingest_ts = datetime.now(timezone.utc)
    unreadable = _with_long_lines(lake.spark, new, config.pipeline.landing.max_line_bytes)
    readable = [info for info in new if info not in unreadable]
    try:
        return _write(lake, config, readable, unreadable, batch_id, ingest_ts, started)
    except Exception:
        # Reading is optimistic: only when it fails are files looked for that went, and compressed ones tried alone.
        here = [info for info in readable if file_system(lake.spark, info.path.rpartition("/")[0]).exists(info.name)]
        broken = [info for info in here if info.name.endswith(".gz") and _is_broken(lake.spark, info)]
        if readable == here and not broken:
            raise
        for info in readable:
            if info not in here:
                logger.warning("%s went before it was read: it is passed over until it is there again", info.name)
        unreadable |= dict.fromkeys(broken, "it cannot be unpacked to its end")
        readable = [info for info in here if info not in broken]
        return _write(lake, config, readable, unreadable, batch_id, ingest_ts, started) if here or unreadable else None


def _with_long_lines(spark: SparkSession, files: Sequence[FileInfo], limit: int) -> dict[FileInfo, str]:
    """The files that hold a line of more bytes than that, with the reason why they are not read."""

    def look(info: FileInfo) -> bool:
        return has_long_line(file_system(spark, info.path.rpartition("/")[0]), info, limit)

    with ThreadPoolExecutor(4) as pool:  # unpacking runs beside Python
        found = [info for info, is_long in zip(files, pool.map(look, files)) if is_long]
    return dict.fromkeys(found, f"a line has more than {limit:,} bytes (landing.max_line_bytes)")


def _is_broken(spark: SparkSession, info: FileInfo) -> bool:
    """Whether the file's bytes can be had, and cannot be unpacked to the end.

    A file that is away, or may not be read, says nothing of its content: then an error passes.
    """
    try:
        spark.read.option("lineSep", "\n").text(escape_glob(info.path)).agg(F.sum(F.length("value"))).collect()
        return False
    except Exception:
        file_system(spark, info.path.rpartition("/")[0]).read_through(info.name)
        return True


def _write(
    lake: Lake,
    config: Config,
    files: Sequence[FileInfo],
    unreadable: Mapping[FileInfo, str],
    batch_id: str,
    ingest_ts: datetime,
    started: float,
) -> MicroBatch:
    spark, settings = lake.spark, config.pipeline.stream
    watermark = int(settings.watermark.total_seconds())
    # What is packed is some twenty times as much.
    little = sum(info.length * (20 if info.name.endswith(".gz") else 1) for info in files) <= LITTLE_BYTES
    lines = parse_lines(read_lines(spark, [info.path for info in files]))
    # Parsed once: the batch's newest timestamp is needed before the first row can be written.
    parsed = lines.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        in_time = F.col("event_ts") <= F.lit(ingest_ts)
        seen = parsed.agg(
            F.count("*").alias("rows"),
            F.count("event_ts").alias("events"),
            F.max(F.when(in_time, F.unix_micros("event_ts"))).alias("newest"),
            F.collect_set(F.date_format("event_ts", "yyyy-MM-dd")).alias("dates"),
        ).first()
        assert seen is not None  # an aggregate without groups has one row
        before = lake.state(ledger.CLOCK, None)
        newest = max((value for value in (before, seen["newest"]) if value is not None), default=None)
        observed = Observation()
        events = (
            parsed.where(F.col("event_ts").isNotNull())
            .withColumn("date", F.to_date("event_ts"))
            .withColumn("batch_id", F.lit(batch_id))
            .withColumn("ingest_ts", F.lit(ingest_ts))
            # Rounded up: then it exceeds a watermark of whole seconds exactly when the lateness does.
            .withColumn(
                "lateness_seconds", F.ceil((F.lit(newest).cast("bigint") - F.unix_micros("event_ts")) / 1_000_000)
            )
            .withColumn("is_late", F.coalesce(F.col("lateness_seconds") > watermark, F.lit(False)))
        )
        lost = F.unix_micros("event_ts") < F.lit(before).cast("bigint") - watermark * 1_000_000
        events = conform(events, BRONZE_EVENTS).observe(
            observed,
            F.sum(F.col("is_late").cast("bigint")).alias("late"),
            F.max("lateness_seconds").alias("max"),
            F.percentile("lateness_seconds", 0.95).alias("p95"),
            F.sum(lost.cast("bigint")).alias("lost"),
        )
        written = set(seen["dates"])
        entered = {info.name: [info.length, info.modified, batch_id] for info in (*files, *unreadable)}
        with lake.transaction() as transaction:
            again = entered.keys() & ledger.entries(lake).keys()
            gone = lines_gone(lake, again, parsed)
            retracted = retract(lake, transaction, again)
            if written:
                rows = lake.together(events, ["date"], len(written), little)
                transaction.append(ledger.TABLE, rows, ledger.PARTITIONS)
            if seen["rows"] > seen["events"] or unreadable:
                here = {"batch_id": F.lit(batch_id), "ingest_ts": F.lit(ingest_ts)}
                rejected = rejects.of_lines(parsed.where(F.col("event_ts").isNull()).withColumns(here), config)
                if unreadable:
                    whole = rejects.of_files(
                        spark, {info.name: reason for info, reason in unreadable.items()}, config, here
                    )
                    rejected = rejected.unionByName(whole)
                transaction.append(
                    quarantine.table(EVENTS), lake.together(rejected, [], 1, little), quarantine.PARTITIONS
                )
            late = observed.get if written else {}
            dropped = late.get("lost") or 0
            # What lay there before the lake's first micro-batch is a backfill, late by nature.
            began = lake.state(ledger.BEGAN, 0 if ledger.entries(lake) else int(ingest_ts.timestamp() * 1000))
            is_backfill = all(info.modified <= began for info in files)
            batch = MicroBatch(
                batch_id=batch_id,
                files=len(entered),
                files_again=len(again),
                input_rows=seen["rows"],
                rejected_rows=seen["rows"] - seen["events"] + len(unreadable),
                late_rows=late.get("late") or 0,
                max_lateness_seconds=late.get("max"),
                p95_lateness_seconds=late.get("p95"),
                watermark_would_drop=dropped,
                late_share=(late.get("late") or 0) / seen["rows"] if seen["rows"] else 0.0,
                late_alert=not is_backfill and dropped > settings.late_alert_share * seen["rows"],
                duration_seconds=round(time.monotonic() - started, 3),
                touched=tuple(sorted({*written, *retracted})),
                unreadable={info.name: reason for info, reason in unreadable.items()},
                lines_gone=gone,
            )
            rules, known = config.fingerprint(), lake.state(rejects.RULES, None)
            transaction.put(rejects.RULES, rules if known == rules or not ledger.entries(lake) else None)
            transaction.put(ledger.LEDGER, {**ledger.entries(lake), **entered})
            emptied = {date for date, rows_left in retracted.items() if not rows_left} - written
            versions = {**lake.state(ledger.DATES, {}), **dict.fromkeys(batch.touched, transaction.number)}
            transaction.put(ledger.DATES, {date: n for date, n in versions.items() if date not in emptied})
            transaction.put(ledger.PENDING, ledger.pending_with(lake, batch_id, written, retracted))
            transaction.put(ledger.CLOCK, newest)
            transaction.put(ledger.BEGAN, began)
            transaction.put(f"{METRICS}/{batch_id}", {**batch.__dict__, "ingest_ts": ingest_ts.isoformat()})
    finally:
        parsed.unpersist()
    return batch
