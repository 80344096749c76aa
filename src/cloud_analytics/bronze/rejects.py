"""What Bronze itself rejects: lines without a usable timestamp, and files that cannot be read (contract 4 and 5)."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.config import EVENTS, Config
from cloud_analytics.lake.lake import Lake, lies_below
from cloud_analytics.landing.events import parse_lines
from cloud_analytics.landing.folder import FOLDER
from cloud_analytics.quality import quarantine
from cloud_analytics.quality.events import BRONZE_ERRORS, judged
from cloud_analytics.tables.zones import QUARANTINED_EVENTS

RULES = "_state/bronze_rules"  # fingerprint of the rules that judged every one of them; null: not all by the same
_UNREADABLE = "unreadable_file"
_COLUMNS = ["errors", "raw", "raw_bytes", "source_file", "ingest_ts", "batch_id", "date"]


def rejected_lines(lines: DataFrame, config: Config) -> DataFrame:
    """Parsed lines without a usable timestamp, `batch_id` and `ingest_ts` → quarantine rows with all their errors."""
    framed = lines.withColumn("date", F.lit(None).cast("date")).withColumn("is_late", F.lit(False))
    # JSON objects are valid text, and so have no `raw_bytes`.
    objects = judged(framed.where("is_json"), config).withColumn("raw_bytes", F.lit(None).cast("binary"))
    timeless = objects.withColumn("errors", F.concat(F.array(F.lit("invalid_timestamp")), "errors")).select(_COLUMNS)
    malformed = framed.where(~F.col("is_json")).withColumn("errors", F.array(F.lit("malformed_json"))).select(_COLUMNS)
    return quarantine.rejects(timeless.unionByName(malformed), EVENTS, config.fingerprint())


def unreadable_files(
    spark: SparkSession, reasons: Mapping[str, str], config: Config, metadata: Mapping[str, Column]
) -> DataFrame:
    """File → why it cannot be read → one quarantine row a file, with its name and the reason instead of its text.

    `metadata`: `batch_id` and `ingest_ts` of the micro-batch.
    """
    # Not createDataFrame, which starts a Python worker.
    files = F.create_map(*[F.lit(text) for pair in reasons.items() for text in pair])
    frame = spark.range(1).select(F.explode(files).alias("source_file", "reason"))
    frame = frame.withColumns(
        {
            "errors": F.array(F.lit(_UNREADABLE)),
            "raw": F.concat(F.lit(f"{FOLDER}/"), "source_file", F.lit(": "), "reason"),
            "date": F.lit(None).cast("date"),
            **metadata,
        }
    )
    return quarantine.rejects(frame, EVENTS, config.fingerprint())


def partitions(lake: Lake) -> list[str]:
    """The partitions of quarantine that hold what Bronze rejected."""
    found = lake.partitions(QUARANTINED_EVENTS.path)
    return [folder for folder, values in found.items() if values["error_type"] in BRONZE_ERRORS]


def judge_again(lake: Lake, config: Config) -> None:
    """Judge what Bronze rejected by today's rules: its first error stays, the further ones may change.

    Nothing is done where these rules judged all of it already.
    """
    rules = config.fingerprint()
    if lake.state(RULES, None) == rules:
        return
    table = QUARANTINED_EVENTS
    own = partitions(lake)
    with lake.transaction() as transaction:
        if own:
            is_file = F.col("error_type") == _UNREADABLE
            rejected = lake.rows(table, own)
            lines = rejected_lines(parse_lines(rejected.where(~is_file)), config)
            again = lines.unionByName(rejected.where(is_file).withColumn("rule_version", F.lit(rules)))
            transaction.replace(table.path, again.coalesce(1), table.folders, lies_below(own))
        transaction.put(RULES, rules)
