"""What the usual streaming recipe would have made of a landing folder: a demonstration, in Spark."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.lake.uris import absolute, escape_glob
from cloud_analytics.landing.folder import FOLDER, NAME_PATTERN


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
