"""A demonstration in Spark: how many events of a landing folder the usual streaming recipe would keep."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.config.pipeline import LandingSettings
from cloud_analytics.config.sources import EVENTS_FOLDER
from cloud_analytics.lake.file_system import FileSystem
from cloud_analytics.lake.files import LocalFileSystem, file_system
from cloud_analytics.lake.uris import escape_glob
from cloud_analytics.landing.folder import NAME_PATTERN, event_files, has_long_line


@dataclass(frozen=True)
class RecipeOutcome:
    """The number of rows that the recipe read and kept, and the number of its micro-batches."""

    rows: int
    kept: int
    micro_batches: int

    @property
    def lost_share(self) -> float:
        """The share of rows that the recipe dropped (0-1), true duplicates included."""
        return 1 - self.kept / self.rows if self.rows else 0.0


def usual_recipe(
    spark: SparkSession,
    landing: str,
    files_per_trigger: int,
    watermark: timedelta,
    settings: LandingSettings,
) -> RecipeOutcome:
    """Run the recipe of most tutorials, `withWatermark` + `dropDuplicates`, over a landing folder and count its rows.

    The recipe writes nothing into the lake. Spark's JSON source reads the files that the pipeline would read with these
    settings. Events older than the newest one by more than the watermark are lost. (Spark 3.5 filters by the watermark
    of the micro-batch before the previous one, so one more micro-batch passes than `watermark_would_drop` says.)
    """
    batches: list[int] = []
    # Most recipes ignore corrupt files: they keep the rows before the error and go on.
    options = {"pathGlobFilter": NAME_PATTERN, "ignoreCorruptFiles": "true", "ignoreMissingFiles": "true"}
    schema = "event_id string, timestamp string"

    def count(batch: DataFrame, _number: int) -> None:
        batches.append(batch.count())

    with tempfile.TemporaryDirectory(prefix="cloud-analytics-recipe-") as private:
        path = _source(file_system(spark, landing), settings, Path(private, "landing"))
        rows = spark.read.schema(schema).options(**options).json(path).count()
        files = spark.readStream.schema(schema).options(**options).option("maxFileAge", "36500d")
        kept = (
            files.option("maxFilesPerTrigger", files_per_trigger)
            .json(path)
            .withColumn("event_ts", F.to_timestamp("timestamp"))
            .withWatermark("event_ts", f"{int(watermark.total_seconds())} seconds")
            .dropDuplicates(["event_id", "event_ts"])
        )
        query = (
            kept.writeStream.foreachBatch(count)
            .option("checkpointLocation", f"{private}/checkpoint")
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()
    return RecipeOutcome(rows, sum(batches), len(batches))


def _source(landing: FileSystem, settings: LandingSettings, links: Path) -> str:
    """The folder that Spark reads. For a local landing folder it holds links to the files that the pipeline would read.

    Spark reads everything in a folder: it would follow any link, wait until somebody writes to a pipe, and fail at a
    line that does not fit in memory. An object store has no links and no pipes.
    """
    if not isinstance(landing, LocalFileSystem):
        return escape_glob(f"{landing.root}/{EVENTS_FOLDER}")
    links.mkdir()
    for number, info in enumerate(event_files(landing, settings.follow_links)):
        if not has_long_line(landing, info, settings.max_line_bytes):
            packed = ".gz" if info.name.endswith(".gz") else ""
            (links / f"{number:08}.jsonl{packed}").symlink_to(landing.folder / EVENTS_FOLDER / info.name)
    return escape_glob(str(links))
