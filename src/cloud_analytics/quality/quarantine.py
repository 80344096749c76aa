"""Rejected records: original text, all errors, and origin. One row per quarantined record."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.tables.zones import QUARANTINED_EVENTS


def rejects(frame: DataFrame, source: str, rule_version: str) -> DataFrame:
    """Rows with `errors`, `raw`, `source_file`, `ingest_ts`, `batch_id`, `date` → quarantine rows.

    `error_type` is the first of `errors`. `raw_bytes` and `record_key` are null if the frame lacks these columns. Where
    `date` is null, it becomes the date of the ingest.
    """
    for name, kind in (("raw_bytes", "binary"), ("record_key", "string")):
        if name not in frame.columns:
            frame = frame.withColumn(name, F.lit(None).cast(kind))
    return QUARANTINED_EVENTS.select(
        frame.withColumn("source", F.lit(source))
        .withColumn("rule_version", F.lit(rule_version))
        .withColumn("error_type", F.element_at("errors", 1))
        .withColumn("date", F.coalesce(F.col("date"), F.to_date("ingest_ts")))
    )
