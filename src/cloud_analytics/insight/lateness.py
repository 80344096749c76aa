"""Late data: the metrics of each micro-batch, and what the usual streaming recipe would have made of the same files."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, fields
from datetime import timedelta

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.bronze.ingest import MicroBatch
from cloud_analytics.landing.events import FOLDER, NAME_PATTERN
from cloud_analytics.storage.files import absolute
from cloud_analytics.storage.lake import Lake

METRICS = "_metrics/micro_batches"
_COLUMNS = ["ingest_ts", *(field.name for field in fields(MicroBatch))]


def micro_batches(lake: Lake) -> pd.DataFrame:
    """One row a micro-batch, in the order of ingest: rows, files, late rows, lateness in seconds, alert, duration.

    `watermark_would_drop` counts the events that a plain watermark of the configured length would have lost.
    """
    documents = [lake.files.read_text(f"{METRICS}/{info.name}") for info in lake.files.files(METRICS)]
    rows = [json.loads(text) for text in documents if text is not None]
    return pd.DataFrame(rows, columns=_COLUMNS).sort_values("ingest_ts", ignore_index=True)


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
    path = f"{absolute(landing)}/{FOLDER}"
    schema = "event_id string, timestamp string"
    rows = spark.read.schema(schema).option("pathGlobFilter", NAME_PATTERN).json(path).count()
    files = spark.readStream.schema(schema).option("pathGlobFilter", NAME_PATTERN).option("maxFileAge", "36500d")
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
