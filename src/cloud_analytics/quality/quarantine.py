"""Rejected records: original text, every reason, where it came from. One quarantined record a row."""

from __future__ import annotations

import base64
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from cloud_analytics.config import EVENTS, MASTERS, Config
from cloud_analytics.config.rules import BRONZE
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.schemas import QUARANTINE, conform
from cloud_analytics.quality.selection import Selection

PARTITIONS = ("date", "error_type")


def table(source: str) -> str:
    """Lake folder of a source's rejects."""
    return f"quarantine/{source}"


def rejects(frame: DataFrame, source: str, rule_version: str) -> DataFrame:
    """Rows with `errors`, `raw`, `source_file`, `ingest_ts`, `batch_id`, `date` → quarantine rows.

    `error_type` is the first of `errors`. `raw_bytes` and `record_key` are filled where the frame has them.
    """
    for name, kind in (("raw_bytes", "binary"), ("record_key", "string")):
        if name not in frame.columns:
            frame = frame.withColumn(name, F.lit(None).cast(kind))
    return conform(
        frame.withColumn("source", F.lit(source))
        .withColumn("rule_version", F.lit(rule_version))
        .withColumn("error_type", F.element_at("errors", 1))
        .withColumn("date", F.coalesce(F.col("date"), F.to_date("ingest_ts"))),
        QUARANTINE,
    )


def records(lake: Lake, selection: Selection) -> DataFrame:
    """The quarantined records that are meant, of all sources, one a row."""
    sources = [selection.source] if selection.source is not None else [EVENTS, *MASTERS]
    found = reduce(DataFrame.unionByName, [lake.read(table(source), QUARANTINE) for source in sources])
    if selection.error_type is not None:
        found = found.where(F.col("error_type") == selection.error_type)
    if selection.since is not None:
        found = found.where(F.col("date") >= F.lit(selection.since))
    if selection.until is not None:
        found = found.where(F.col("date") <= F.lit(selection.until))
    return found


def in_reach_of_rules(source: str, error_type: str) -> bool:
    """Whether another rule, alias or vocabulary could accept a record; a text that Bronze could not read, none can."""
    return not (source == EVENTS and error_type in BRONZE) and error_type != "malformed_csv"


def overview(lake: Lake, selection: Selection, config: Config) -> list[dict[str, Any]]:
    """(source, error_type) with its message → how many records, their dates, and whether a rule could accept them."""
    dates = F.min("date").cast("string").alias("first_date"), F.max("date").cast("string").alias("last_date")
    groups = records(lake, selection).groupBy("source", "error_type").agg(F.count("*").alias("records"), *dates)
    words = messages(config)
    return [
        {
            **row.asDict(),
            "replayable": in_reach_of_rules(row.source, row.error_type),
            "message": words.get((row.source, row.error_type)),
        }
        for row in sorted(groups.collect(), key=lambda row: (_place(row.source), -row.records, row.error_type))
    ]


def show(lake: Lake, selection: Selection, config: Config, limit: int) -> list[dict[str, Any]]:
    """The first records by source, date, error_type and file, as they came, each with all that is wrong with it.

    `raw_base64` holds the bytes of a text that is no UTF-8, and is null otherwise.
    """
    order = ["source", "date", "error_type", "source_file", "raw"]
    moment = F.date_format("ingest_ts", "yyyy-MM-dd'T'HH:mm:ss'Z'")
    rows = records(lake, selection).withColumn("ingest_ts", moment).orderBy(*order).limit(limit).collect()
    words = messages(config)
    return [_as_record(row, words) for row in rows]


def messages(config: Config) -> dict[tuple[str, str], str]:
    """(source, id of a rule) → what it tells people."""
    return {(source, rule.id): rule.message for source in (EVENTS, *MASTERS) for rule in config.rules_of(source)}


def _as_record(row: Row, words: dict[tuple[str, str], str]) -> dict[str, Any]:
    return {
        "source": row.source,
        "date": row.date.isoformat(),
        "error_type": row.error_type,
        "errors": [{"id": name, "message": words.get((row.source, name))} for name in row.errors],
        "replayable": in_reach_of_rules(row.source, row.error_type),
        "source_file": row.source_file,
        "ingest_ts": row.ingest_ts,
        "rule_version": row.rule_version,
        "raw": row.raw,
        "raw_base64": base64.b64encode(row.raw_bytes).decode() if row.raw_bytes is not None else None,
    }


def _place(source: str) -> int:
    return (EVENTS, *MASTERS).index(source)
