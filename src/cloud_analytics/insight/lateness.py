"""Late data: the metrics of each micro-batch, and what the usual streaming recipe would have made of the same files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from itertools import accumulate

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger
from cloud_analytics.bronze.ingest import MicroBatch
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.schemas import BRONZE_EVENTS
from cloud_analytics.lake.uris import absolute, escape_glob
from cloud_analytics.landing.folder import FOLDER, NAME_PATTERN

METRICS = "_metrics/micro_batches"
_NEVER = -(2**62)  # microseconds: a clock that nothing has advanced
_COLUMNS = ["ingest_ts", *(field.name for field in fields(MicroBatch))]


def micro_batches(lake: Lake) -> pd.DataFrame:
    """One row a micro-batch, in the order of ingest: rows, files, late rows, lateness in seconds, alert, duration.

    `watermark_would_drop` counts the events that a plain watermark of the configured length would have lost.
    """
    documents = [lake.files.read_text(f"{METRICS}/{info.name}") for info in lake.files.files(METRICS)]
    rows = [json.loads(text) for text in documents if text is not None]
    return pd.DataFrame(rows, columns=_COLUMNS).sort_values("ingest_ts", ignore_index=True)


def watermark_losses(lake: Lake, watermark: timedelta, sizes: Sequence[int]) -> pd.DataFrame:
    """What a plain watermark would lose of the events in Bronze, by the files of a micro-batch: one row a size.

    `files_per_batch`, `events`, `lost`. Files come as Spark's file source takes them, by modification time. Losses are
    counted as `watermark_would_drop` is: events further behind the newest one of the earlier micro-batches than
    `watermark`, where events later than their ingest do not advance that clock. Two jobs, over a few columns.
    """
    events = lake.read(ledger.TABLE, BRONZE_EVENTS)
    in_time = F.when(F.col("event_ts") <= F.col("ingest_ts"), F.unix_micros("event_ts"))
    newest = {
        row.source_file: row.newest
        for row in events.groupBy("source_file").agg(F.max(in_time).alias("newest")).collect()
    }
    files = sorted(ledger.entries(lake), key=lambda name: (ledger.entries(lake)[name][1], name))
    clocks = list(accumulate((newest.get(name) or _NEVER for name in files), max))
    if not files:
        return pd.DataFrame({"files_per_batch": list(sizes), "events": 0, "lost": 0})
    # What the clock showed before each file's micro-batch, less the watermark: earlier events are lost.
    length = watermark // timedelta(microseconds=1)
    limits = {
        f"limit_{size}": [clocks[at // size * size - 1] - length if at >= size else _NEVER for at in range(len(files))]
        for size in sizes
    }
    by_file = F.broadcast(lake.spark.createDataFrame(pd.DataFrame({"source_file": files, **limits})))
    lost = [F.count_if(F.unix_micros("event_ts") < F.col(name)).alias(name) for name in limits]
    row = events.join(by_file, "source_file").agg(F.count("*").alias("events"), *lost).first()
    assert row is not None  # an aggregate without groups has one row
    counts = {"files_per_batch": list(sizes), "events": row["events"], "lost": [row[name] for name in limits]}
    return pd.DataFrame(counts)


@dataclass(frozen=True)
class RecipeOutcome:
    """What the usual recipe kept of a landing folder: rows read, rows kept, and the micro-batches it took."""

    rows: int
    kept: int
    micro_batches: int

    @property
    def lost_share(self) -> float:
        """Share of the rows that did not come out, 0-1; true duplicates are among them."""
        return 1 - self.kept / self.rows if self.rows else 0.0


def usual_recipe(spark: SparkSession, landing: str, files_per_trigger: int, watermark: timedelta) -> RecipeOutcome:
    """Run the recipe of most tutorials over the landing folder: `withWatermark` + `dropDuplicates`, to a count.

    A demonstration beside the pipeline, which writes nothing into the lake. The events are read by Spark's own JSON
    source; those that lie further behind the newest one than the watermark are lost. (Spark 3.5 filters by the
    watermark of the micro-batch before the last: one more micro-batch comes through than `watermark_would_drop` says.)
    """
    batches: list[int] = []
    path = escape_glob(f"{absolute(landing)}/{FOLDER}")
    schema = "event_id string, timestamp string"
    # Recipes commonly go on where a file cannot be read to its end; they count what came before.
    options = {"pathGlobFilter": NAME_PATTERN, "ignoreCorruptFiles": "true"}
    rows = spark.read.schema(schema).options(**options).json(path).count()
    files = spark.readStream.schema(schema).options(**options).option("maxFileAge", "36500d")
    events = files.option("maxFilesPerTrigger", files_per_trigger).json(path)
    kept = (
        events.withColumn("event_ts", F.to_timestamp("timestamp"))
        .withWatermark("event_ts", f"{int(watermark.total_seconds())} seconds")
        .dropDuplicates(["event_id", "event_ts"])
    )

    def count(batch: DataFrame, _number: int) -> None:
        batches.append(batch.count())

    with tempfile.TemporaryDirectory(prefix="cloud-analytics-recipe-") as checkpoint:
        query = (
            kept.writeStream.foreachBatch(count)
            .option("checkpointLocation", checkpoint)
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()
    return RecipeOutcome(rows, sum(batches), len(batches))
