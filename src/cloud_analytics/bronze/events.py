"""usage_events_stream/ → bronze/usage_events, by a Structured Streaming query (SPEC 3 and 4).

The query streams *files*: a micro-batch is a list of new files, and `foreachBatch` ingests them in one transaction
together with their ledger entries. The ledger, not the checkpoint, decides what was ingested: a replayed batch or a
lost checkpoint finds its files in the ledger and adds nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from pyspark import StorageLevel
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from cloud_analytics.config import EVENTS, Config
from cloud_analytics.errors import PipelineError
from cloud_analytics.landing.events import (
    FOLDER,
    NAME_PATTERN,
    escape_glob,
    is_event_file,
    parse_lines,
    read_lines,
)
from cloud_analytics.quality import quarantine
from cloud_analytics.quality.events import judge
from cloud_analytics.storage.files import FileInfo, FileSystem
from cloud_analytics.storage.lake import Lake
from cloud_analytics.storage.schemas import BRONZE_EVENTS, conform

TABLE = f"bronze/{EVENTS}"
LEDGER = f"_state/{EVENTS}_ledger"
DATES = f"_state/{EVENTS}_bronze_dates"
CLOCK = f"_state/{EVENTS}_clock"
CHECKPOINT = f"_checkpoints/bronze_{EVENTS}"


@dataclass(frozen=True)
class MicroBatch:
    """What one micro-batch did. Lateness in seconds; `touched` are the event dates it wrote."""

    batch_id: str
    files: int
    input_rows: int
    rejected_rows: int
    late_rows: int
    max_lateness_seconds: int | None
    p95_lateness_seconds: float | None
    watermark_would_drop: int
    late_share: float
    late_alert: bool
    duration_seconds: float
    touched: tuple[str, ...]


def landing_files(spark: SparkSession, landing: str) -> list[FileInfo]:
    """The event files that lie in the landing folder now."""
    return [info for info in FileSystem(spark, landing).files(FOLDER, recursive=False) if is_event_file(info.name)]


def stream(
    lake: Lake,
    landing: str,
    config: Config,
    trigger: dict[str, Any],
    after_batch: Callable[[MicroBatch], None] = lambda _batch: None,
) -> StreamingQuery:
    """Start the query; `after_batch` runs at the end of each micro-batch that ingested something."""
    files = (
        lake.spark.readStream.format("binaryFile")
        .schema("path string, modificationTime timestamp, length bigint, content binary")
        .option("pathGlobFilter", NAME_PATTERN)
        .option("maxFilesPerTrigger", config.pipeline.stream.max_files_per_trigger)
        .option("maxFileAge", "36500d")  # the default ignores files a week older than the newest, without a word
        .load(f"{FileSystem(lake.spark, landing).root}/{FOLDER}")
        .select("path", "length", "modificationTime")  # never `content`: the column is pruned, no file is read
    )

    def foreach_batch(batch: DataFrame, number: int) -> None:
        found = [
            FileInfo(row.path, row.length, int(row.modificationTime.timestamp() * 1000)) for row in batch.collect()
        ]
        done = ingest(lake, config, found, f"{_checkpoint_id(lake)}-{number:06d}")
        if done is not None:
            after_batch(done)

    return (
        files.writeStream.queryName(f"bronze_{EVENTS}")
        .option("checkpointLocation", lake.path(CHECKPOINT))
        .foreachBatch(foreach_batch)
        .trigger(**trigger)
        .start()
    )


def ingest_available(
    lake: Lake, landing: str, config: Config, after_batch: Callable[[MicroBatch], None] = lambda _batch: None
) -> None:
    """Stream everything that is there now, then stop. Nothing starts when the ledger knows every file."""
    known = lake.state(LEDGER, {})
    if all(info.name in known for info in landing_files(lake.spark, landing)):
        return
    wait(stream(lake, landing, config, {"availableNow": True}, after_batch))
    # Spark's file source leaves out empty files, and may miss names that read as a glob.
    left = [info for info in landing_files(lake.spark, landing) if info.name not in lake.state(LEDGER, {})]
    done = ingest(lake, config, left, f"{_checkpoint_id(lake)}-rest-{time.time_ns() // 1_000_000}")
    if done is not None:
        after_batch(done)


def wait(query: StreamingQuery, timeout: int | None = None) -> None:
    """Wait for a query; a failure inside a micro-batch becomes one line."""
    try:
        query.awaitTermination(timeout)
    except StreamingQueryException as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise PipelineError(f"the streaming query stopped: {lines[0][:300]}") from error


def _checkpoint_id(lake: Lake) -> str:
    # Batch numbers begin at 0 with each new checkpoint: the query's own id tells two of them apart.
    text = lake.files.read_text(f"{CHECKPOINT}/metadata")
    return str(json.loads(text)["id"])[:8] if text else "no-query"


def ingest(lake: Lake, config: Config, found: Sequence[FileInfo], batch_id: str) -> MicroBatch | None:
    """Ingest the files that the ledger does not know, in one transaction; None when there are none."""
    started = time.monotonic()
    ledger: dict[str, Any] = lake.state(LEDGER, {})
    # A set: a name with glob characters makes Spark's stream list the other files of its micro-batch again.
    new = sorted({info for info in found if is_event_file(info.name) and info.name not in ledger})
    if not new:
        return None
    ingest_ts = datetime.now(timezone.utc)
    try:
        batch = _write(lake, config, new, [], batch_id, ingest_ts, started)
    except Exception:
        # Reading is optimistic: only when it fails is each compressed file tried alone.
        unreadable = [info for info in new if info.name.endswith(".gz") and not _readable(lake.spark, info)]
        if not unreadable:
            raise
        readable = [info for info in new if info not in unreadable]
        batch = _write(lake, config, readable, unreadable, batch_id, ingest_ts, started)
    return batch


def _readable(spark: SparkSession, info: FileInfo) -> bool:
    try:
        spark.read.option("lineSep", "\n").text(escape_glob(info.path)).agg(F.sum(F.length("value"))).collect()
    except Exception:
        return False
    return True


def _write(
    lake: Lake,
    config: Config,
    files: Sequence[FileInfo],
    unreadable: Sequence[FileInfo],
    batch_id: str,
    ingest_ts: datetime,
    started: float,
) -> MicroBatch:
    spark, settings = lake.spark, config.pipeline.stream
    watermark = int(settings.watermark.total_seconds())
    lines = parse_lines(read_lines(spark, [info.path for info in files]))
    # Parsed once: the batch's newest timestamp is needed before the first row can be written.
    parsed = lines.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        in_time = F.col("event_ts") <= F.lit(ingest_ts)
        seen = parsed.agg(
            F.count("*").alias("rows"),
            F.count("event_ts").alias("events"),
            F.max(F.when(in_time, F.unix_seconds("event_ts"))).alias("newest"),
            F.collect_set(F.date_format("event_ts", "yyyy-MM-dd")).alias("dates"),
        ).first()
        assert seen is not None  # an aggregate without groups has one row
        before = lake.state(CLOCK, None)
        newest = max((value for value in (before, seen["newest"]) if value is not None), default=None)
        observed = Observation()
        events = (
            parsed.where(F.col("event_ts").isNotNull())
            .withColumn("date", F.to_date("event_ts"))
            .withColumn("batch_id", F.lit(batch_id))
            .withColumn("ingest_ts", F.lit(ingest_ts))
            .withColumn("lateness_seconds", F.lit(newest).cast("bigint") - F.unix_seconds("event_ts"))
            .withColumn("is_late", F.coalesce(F.col("lateness_seconds") > watermark, F.lit(False)))
        )
        lost = F.unix_seconds("event_ts") < F.lit(before).cast("bigint") - watermark
        events = conform(events, BRONZE_EVENTS).observe(
            observed,
            F.sum(F.col("is_late").cast("bigint")).alias("late"),
            F.max("lateness_seconds").alias("max"),
            F.percentile("lateness_seconds", 0.95).alias("p95"),
            F.sum(lost.cast("bigint")).alias("lost"),
        )
        touched = tuple(sorted(seen["dates"]))
        with lake.transaction() as transaction:
            if seen["events"]:
                transaction.append(TABLE, lake.by_date(events, len(touched)), ["date", "batch_id"])
            if seen["rows"] > seen["events"] or unreadable:
                rejected = _rejects(parsed.where(F.col("event_ts").isNull()), config, batch_id, ingest_ts)
                if unreadable:
                    rejected = rejected.unionByName(_unreadable(spark, unreadable, config, batch_id, ingest_ts))
                transaction.append(quarantine.table(EVENTS), rejected.coalesce(1), quarantine.PARTITIONS)
            late = observed.get if seen["events"] else {}
            batch = MicroBatch(
                batch_id=batch_id,
                files=len(files) + len(unreadable),
                input_rows=seen["rows"],
                rejected_rows=seen["rows"] - seen["events"] + len(unreadable),
                late_rows=late.get("late") or 0,
                max_lateness_seconds=late.get("max"),
                p95_lateness_seconds=late.get("p95"),
                watermark_would_drop=late.get("lost") or 0,
                late_share=(late.get("late") or 0) / seen["rows"] if seen["rows"] else 0.0,
                late_alert=bool(seen["rows"]) and (late.get("late") or 0) / seen["rows"] > settings.late_alert_share,
                duration_seconds=round(time.monotonic() - started, 3),
                touched=touched,
            )
            ledger = dict(lake.state(LEDGER, {}))
            ledger.update({info.name: [info.length, info.modified, batch_id] for info in (*files, *unreadable)})
            dates = {**lake.state(DATES, {}), **dict.fromkeys(touched, transaction.number)}
            transaction.put(LEDGER, ledger)
            transaction.put(DATES, dates)
            transaction.put(CLOCK, newest)
            transaction.put(
                f"_metrics/micro_batches/{batch_id}", {**batch.__dict__, "ingest_ts": ingest_ts.isoformat()}
            )
    finally:
        parsed.unpersist()
    return batch


def _rejects(lines: DataFrame, config: Config, batch_id: str, ingest_ts: datetime) -> DataFrame:
    """Lines without a usable timestamp → quarantine rows that hold their other errors too."""
    framed = (
        lines.withColumn("date", F.lit(None).cast("date"))
        .withColumn("ingest_ts", F.lit(ingest_ts))
        .withColumn("is_late", F.lit(False))
        .withColumn("batch_id", F.lit(batch_id))
    )
    # The judged columns leave out what only broken lines have.
    judged = judge(framed.where("is_json"), config).withColumn("raw_bytes", F.lit(None).cast("binary"))
    columns = ["errors", "raw", "raw_bytes", "source_file", "ingest_ts", "batch_id", "date"]
    timeless = judged.withColumn("errors", F.concat(F.array(F.lit("invalid_timestamp")), "errors")).select(columns)
    malformed = framed.where(~F.col("is_json")).withColumn("errors", F.array(F.lit("malformed_json"))).select(columns)
    return quarantine.rejects(timeless.unionByName(malformed), EVENTS, config.fingerprint())


def _unreadable(
    spark: SparkSession, files: Sequence[FileInfo], config: Config, batch_id: str, ingest_ts: datetime
) -> DataFrame:
    """A file that cannot be read to its end is one record; what can be recovered is the file itself, by its name."""
    frame = spark.createDataFrame([(info.name,) for info in files], "source_file string")
    frame = (
        frame.withColumn("errors", F.array(F.lit("unreadable_file")))
        .withColumn("raw", F.concat(F.lit(f"{FOLDER}/"), F.col("source_file")))
        .withColumn("ingest_ts", F.lit(ingest_ts))
        .withColumn("batch_id", F.lit(batch_id))
        .withColumn("date", F.lit(None).cast("date"))
    )
    return quarantine.rejects(frame, EVENTS, config.fingerprint())
