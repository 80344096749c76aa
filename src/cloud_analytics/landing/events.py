"""Reads and parses the lines of usage_events_stream; each line has exactly one outcome (contract 3 and 4).

Lines are read as text. A line parses only if it is exactly one JSON object (`is_one_value`). Before parsing, long
numbers are put in quotes, so that they keep every digit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.lake.lake import empty_frame
from cloud_analytics.lake.uris import escape_glob
from cloud_analytics.landing.text import event_timestamp, has_text, is_one_value, listed
from cloud_analytics.tables.spark_types import schema

FIELDS = (
    "event_id", "timestamp", "org_id", "resource_id", "user_id", "service", "region", "metric", "value", "unit",
    "cost_usd_increment", "schema_version", "carbon_kg", "genai_tokens",
)  # fmt: skip
_SCHEME = re.compile(r"^[a-z0-9]+:/")
_EVENT = "struct<" + ",".join(f"{name}:string" for name in FIELDS) + ">"
_READER = {
    "lineSep": "\n",
    # Hadoop silently drops lines above this limit, and the core-site.xml of a machine may set a lower limit.
    "mapreduce.input.linerecordreader.line.maxlength": str(2**31 - 1),
}
# Spark reads an unquoted number with a fraction or an exponent as a double. From 16 characters on it can lose digits,
# and an exponent of three digits can make it 0 or infinite. Quotes keep its text.
_LOSES = r"(?:[-0-9.eE+]{16}|[-0-9.]{1,13}+[eE][+-]?[0-9]{3})"
_LONG_NUMBER = (
    r'("(?:' + "|".join(FIELDS) + r')"\s*:\s*)'
    rf"(?={_LOSES})"
    r"(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?=\s*[,}])"
)


def stored_lines(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    """Read files with Spark's text reader: one row per line, in the column `value`.

    Hadoop treats a path with escapes as a glob pattern, and in a pattern it takes the text before a colon for a URI
    scheme. So a path with escapes and a colon is read without globbing, in a read of its own: if one read gets several
    such paths, Spark reads them several times.
    """
    reader = spark.read.options(**_READER)
    escaped = {path: escape_glob(path) for path in paths}
    alone = {path for path in paths if escaped[path] != path and ":" in _SCHEME.sub("", path)}
    together = [escaped[path] for path in paths if path not in alone]
    frames = [reader.text(together)] if together else []
    frames += [reader.option("__globPaths__", "false").text(path) for path in sorted(alone)]
    return reduce(DataFrame.unionAll, frames)


def read_lines(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    """Read the non-blank lines of files, one row per line, as `raw`, `raw_bytes` and `source_file`.

    `raw`: the text. `raw_bytes`: the original bytes if the line is not valid UTF-8, else null. `source_file`: the file
    name without folders. Lines end in `\\n` or `\\r\\n`. The reader skips a byte order mark at the start of a file.
    """
    if not paths:
        return empty_frame(spark, schema({"raw": "string", "raw_bytes": "binary", "source_file": "string"}))
    lines = stored_lines(spark, paths)
    # Empty lines are dropped before any computation: a compressed file of 30 KB can hold 30 million of them.
    lines = lines.where(~F.col("value").isin("", "\r"))
    # The reader keeps the bytes unchanged. Decoding replaces invalid UTF-8, so only an invalid line is changed by it.
    is_text = F.decode(F.col("value").cast("binary"), "UTF-8") == F.col("value")
    without_cr = F.expr("substring(cast(value as binary), 1, octet_length(value) - 1)")
    has_cr = F.col("value").endswith("\r")
    raw_bytes = F.when(~is_text, F.when(has_cr, without_cr).otherwise(F.col("value").cast("binary")))
    text = F.when(has_cr, F.regexp_replace("value", "\r\\z", "")).otherwise(F.col("value"))
    raw = F.when(raw_bytes.isNull(), text).otherwise(F.decode(raw_bytes, "UTF-8"))
    # File names come as URIs. In a URI `+` is a plus sign, but url_decode turns it into a blank.
    name = F.substring_index(F.input_file_name(), "/", -1)
    name = F.when(name.contains("%"), F.url_decode(F.regexp_replace(name, "\\+", "%2B"))).otherwise(name)
    return lines.select(
        raw.alias("raw"), raw_bytes.alias("raw_bytes"), name.alias("source_file")
    ).where(has_text(F.col("raw")))  # fmt: skip


def parse_lines(lines: DataFrame) -> DataFrame:
    """Parse lines (`raw`, `raw_bytes`, other columns): add each field of FIELDS as text, `event_ts` and `is_json`.

    A row is one line, before and after. `is_json`: the line is valid UTF-8 and exactly one JSON object; otherwise all
    fields are null. If a key is repeated, its last value counts. Numbers keep their exact text.
    """
    raw = F.col("raw")
    may_be_long = raw.rlike(rf":\s*{_LOSES}")  # cheaper than _LONG_NUMBER, and nearly no line matches it
    exact = F.when(may_be_long, F.regexp_replace(raw, _LONG_NUMBER, '$1"$2"')).otherwise(raw)
    parsed = lines.withColumn("_parsed", listed(exact, _EVENT))
    item = F.col("_parsed.r").getItem(0)
    one_object = is_one_value(raw, F.col("_parsed"), last=r"(?:^|\}|null)\s*")  # how a struct can end; `^`: no element
    good: Column = one_object & item.isNotNull() & F.col("raw_bytes").isNull()
    judged = parsed.withColumn("is_json", F.coalesce(good, F.lit(False)))
    fields = [F.when(F.col("is_json"), item.getField(name)).alias(name) for name in FIELDS]
    typed = judged.select(*lines.columns, "is_json", *fields)
    return typed.withColumn("event_ts", event_timestamp(F.col("timestamp")))
