"""Rejected records: original text, every reason, where it came from. One quarantined record a row."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.tables.zones import QUARANTINED_EVENTS


def table(source: str) -> str:
    """Lake folder of a source's rejects."""
    return f"quarantine/{source}"


def rejects(frame: DataFrame, source: str, rule_version: str) -> DataFrame:
    """Rows with `errors`, `raw`, `source_file`, `ingest_ts`, `batch_id`, `date` → quarantine rows.

    `error_type` is the first of `errors`. `raw_bytes` and `record_key` are filled where the frame has them, and `date`
    is that of the ingest where the frame has none.
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
