"""The rejects of Bronze: lines without a usable timestamp, and files that cannot be read (contract 4 and 5).

This module also judges these lines again by changed rules, and ingests future-dated events again when they are due.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger
from cloud_analytics.bronze.ledger import BronzeDate
from cloud_analytics.config import EVENTS, Config
from cloud_analytics.config.sources import EVENTS_FOLDER
from cloud_analytics.lake.folder import Document
from cloud_analytics.lake.lake import Lake, lies_below
from cloud_analytics.landing.events import parse_lines
from cloud_analytics.quality import quarantine
from cloud_analytics.quality.events import BRONZE_ERRORS, judged
from cloud_analytics.tables.zones import BRONZE_EVENTS, QUARANTINED_EVENTS

RULES = Document("_state/bronze_rules", str, None)
"""Fingerprint of the rules that judged all rejects; None: different rules did."""
_UNREADABLE = "unreadable_file"
_FUTURE = "future_timestamp"
_LINE = ["source_file", "raw"]
_COLUMNS = ["errors", "raw", "raw_bytes", "source_file", "ingest_ts", "batch_id", "date"]


def rejected_lines(lines: DataFrame, config: Config) -> DataFrame:
    """Turn parsed lines without a usable timestamp into quarantine rows, one per line, with all errors of the line.

    The lines also have `batch_id` and `ingest_ts`.
    """
    framed = lines.withColumn("date", F.lit(None).cast("date")).withColumn("is_late", F.lit(False))
    # A line that is a JSON object is valid UTF-8, so it has no `raw_bytes`.
    objects = judged(framed.where("is_json"), config).withColumn("raw_bytes", F.lit(None).cast("binary"))
    timeless = objects.withColumn("errors", F.concat(F.array(F.lit("invalid_timestamp")), "errors")).select(_COLUMNS)
    malformed = framed.where(~F.col("is_json")).withColumn("errors", F.array(F.lit("malformed_json"))).select(_COLUMNS)
    return quarantine.rejects(timeless.unionByName(malformed), EVENTS, config.fingerprint())


def unreadable_files(
    spark: SparkSession, reasons: Mapping[str, str], config: Config, metadata: Mapping[str, Column]
) -> DataFrame:
    """One quarantine row per unreadable file, with its name and the reason instead of its text.

    `reasons`: file → why it cannot be read. `metadata`: `batch_id` and `ingest_ts` of the micro-batch.
    """
    # createDataFrame would start a Python worker.
    files = F.create_map(*[F.lit(text) for pair in reasons.items() for text in pair])
    frame = spark.range(1).select(F.explode(files).alias("source_file", "reason"))
    frame = frame.withColumns(
        {
            "errors": F.array(F.lit(_UNREADABLE)),
            "raw": F.concat(F.lit(f"{EVENTS_FOLDER}/"), "source_file", F.lit(": "), "reason"),
            "date": F.lit(None).cast("date"),
            **metadata,
        }
    )
    return quarantine.rejects(frame, EVENTS, config.fingerprint())


def partitions(lake: Lake) -> list[str]:
    """The partitions of quarantine that hold rejects of Bronze."""
    found = lake.partitions(QUARANTINED_EVENTS.path)
    return [folder for folder, values in found.items() if values["error_type"] in BRONZE_ERRORS]


def judge_again(lake: Lake, config: Config) -> None:
    """Judge the rejects of Bronze again by the present rules: the first error stays, further errors may change.

    Does nothing if the present rules have already judged all of them.
    """
    rules = config.fingerprint()
    if lake.load(RULES) == rules:
        return
    table = QUARANTINED_EVENTS
    own = partitions(lake)
    with lake.transaction() as transaction:
        if own:
            rejected = lake.rows(table, own)  # first, since an expression needs the session that this starts
            is_file = F.col("error_type") == _UNREADABLE
            lines = rejected_lines(parse_lines(rejected.where(~is_file)), config)
            again = lines.unionByName(rejected.where(is_file).withColumn("rule_version", F.lit(rules)))
            transaction.replace(table.path, again.coalesce(1), table.folders, lies_below(own))
        transaction.store(RULES, rules)


def take_in_again(lake: Lake, config: Config) -> None:
    """Replay the events that were rejected because they were dated in the future, and that are due now.

    One transaction sets their `ingest_ts` in Bronze to now. Silver then judges their dates again, like all changed
    dates. Nothing is written if there is no such event.
    """
    quarantined = lake.rows(QUARANTINED_EVENTS)
    rejected = quarantined.where(F.array_contains("errors", _FUTURE))
    now = F.lit(datetime.now(timezone.utc))
    lines = parse_lines(rejected).withColumns({"ingest_ts": now, "is_late": F.lit(False)})
    due = judged(lines, config).where(~F.array_contains("errors", _FUTURE)).select("date", *_LINE).distinct()
    dates = {str(row.date) for row in due.select("date").distinct().collect()}
    if not dates:
        return
    folders = {f"date={date}" for date in dates}
    rows = lake.rows(BRONZE_EVENTS, sorted(folders))
    is_due = F.broadcast(due.select(*_LINE, F.lit(True).alias("is_due")))
    restamped = F.when(F.col("is_due"), now).otherwise(F.col("ingest_ts"))
    rows = rows.join(is_due, _LINE, "left").withColumn("ingest_ts", restamped).select(*BRONZE_EVENTS.schema.names)
    with lake.transaction() as transaction:
        gathered = lake.gathered(rows, ["date"], len(dates))
        transaction.replace(BRONZE_EVENTS.path, gathered, BRONZE_EVENTS.folders, lies_below(folders))
        known = lake.load(ledger.DATES)
        transaction.store(ledger.DATES, known | {date: BronzeDate(transaction.number) for date in sorted(dates)})
