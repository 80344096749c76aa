"""What Bronze itself rejects: lines without a usable timestamp, and files that cannot be read (contract 4 and 5)."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.config import EVENTS, Config
from cloud_analytics.lake.lake import Lake, partition_folder, partition_values
from cloud_analytics.lake.schemas import QUARANTINE
from cloud_analytics.landing.events import parse_lines
from cloud_analytics.landing.folder import FOLDER
from cloud_analytics.quality import quarantine
from cloud_analytics.quality.events import BRONZE_ERRORS, judge

RULES = "_state/bronze_rules"  # the rules that judged every one of them; null: not all by the same
_UNREADABLE = "unreadable_file"
_COLUMNS = ["errors", "raw", "raw_bytes", "source_file", "ingest_ts", "batch_id", "date"]


def of_lines(lines: DataFrame, config: Config) -> DataFrame:
    """Parsed lines without a usable timestamp, `batch_id` and `ingest_ts` → quarantine rows with all their errors."""
    framed = lines.withColumn("date", F.lit(None).cast("date")).withColumn("is_late", F.lit(False))
    # The judged columns leave out what only broken lines have.
    judged = judge(framed.where("is_json"), config).withColumn("raw_bytes", F.lit(None).cast("binary"))
    timeless = judged.withColumn("errors", F.concat(F.array(F.lit("invalid_timestamp")), "errors")).select(_COLUMNS)
    malformed = framed.where(~F.col("is_json")).withColumn("errors", F.array(F.lit("malformed_json"))).select(_COLUMNS)
    return quarantine.rejects(timeless.unionByName(malformed), EVENTS, config.fingerprint())


def of_files(spark: SparkSession, reasons: Mapping[str, str], config: Config, here: Mapping[str, Column]) -> DataFrame:
    """A file that is not read is one record: its name, by which it is recovered, and why (name → reason)."""
    # Not createDataFrame: that would start a Python worker.
    files = F.create_map(*[F.lit(text) for pair in reasons.items() for text in pair])
    frame = spark.range(1).select(F.explode(files).alias("source_file", "reason"))
    frame = frame.withColumns(
        {
            "errors": F.array(F.lit(_UNREADABLE)),
            "raw": F.concat(F.lit(f"{FOLDER}/"), "source_file", F.lit(": "), "reason"),
            "date": F.lit(None).cast("date"),
            **here,
        }
    )
    return quarantine.rejects(frame, EVENTS, config.fingerprint())


def judge_again(lake: Lake, config: Config) -> None:
    """Give what Bronze rejected the verdicts of today's rules: its first error stays, the further ones may change.

    Nothing is done where these rules judged all of it already.
    """
    rules = config.fingerprint()
    if lake.state(RULES, None) == rules:
        return
    table = quarantine.table(EVENTS)
    folders = sorted({partition_folder(path) for path in lake.relative_files(table)})
    own = {folder for folder in folders if partition_values(folder)["error_type"] in BRONZE_ERRORS}
    with lake.transaction() as transaction:
        if own:
            rejected = lake.read(table, QUARANTINE, sorted(own))
            parsed = parse_lines(rejected.where(F.col("error_type") != _UNREADABLE))
            files = rejected.where(F.col("error_type") == _UNREADABLE).withColumn("rule_version", F.lit(rules))
            again = of_lines(parsed, config).unionByName(files)
            transaction.replace(
                table, again.coalesce(1), quarantine.PARTITIONS, lambda path: partition_folder(path) in own
            )
        transaction.put(RULES, rules)
