"""The rules of usage events (SPEC 5): each check is a Column that is true where a record breaks it.

`judge` evaluates every rule once a row; the order of ERROR_ORDER decides which one names the rejection.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cloud_analytics.config import Config
from cloud_analytics.landing.text import decimal, trimmed

BRONZE_ERRORS = ("malformed_json", "invalid_timestamp", "unreadable_file")
ERROR_ORDER = (
    "malformed_json",
    "invalid_timestamp",
    "missing_key",
    "unsupported_schema_version",
    "unknown_service",
    "unknown_metric",
    "invalid_cost",
    "negative_cost",
    "invalid_value",
    "negative_quantity",
    "unit_mismatch",
    "future_timestamp",
)
DUPLICATES = ("duplicate_event", "conflicting_duplicate")


def lookup(words: dict[str, str], key: Column) -> Column:
    """`key` translated by a small dictionary; null where it is not in it."""
    entries = [F.lit(text) for pair in sorted(words.items()) for text in pair]
    return F.element_at(F.create_map(*entries), key) if entries else F.lit(None).cast("string")


def normalise(events: DataFrame, config: Config) -> DataFrame:
    """Bronze columns → Silver's names and types, beside helper columns `_…` that the checks read. One event a row."""
    taxonomy = config.taxonomy
    version = F.col("schema_version")
    keeps_v2_fields = F.coalesce(version != "1", F.lit(True))  # v1 rows have neither carbon nor tokens
    metric = trimmed(F.lower("metric"))
    metric_unit = lookup(taxonomy.metric_units(), metric)
    unit = trimmed(F.lower("unit"))
    value = decimal(F.col("value"))
    service = trimmed(F.lower("service"))
    return events.select(
        trimmed(F.col("event_id")).alias("event_id"),
        "event_ts",
        "date",
        trimmed(F.col("org_id")).alias("org_id"),
        trimmed(F.col("resource_id")).alias("resource_id"),
        trimmed(F.col("user_id")).alias("user_id"),
        service.alias("_service_word"),
        lookup(taxonomy.service_words(), service).alias("service"),
        trimmed(F.col("region")).alias("region"),
        lookup(taxonomy.region_words(), trimmed(F.lower("region"))).alias("region_code"),
        metric.alias("metric"),
        metric_unit.alias("_metric_unit"),
        F.col("value").alias("_value_text"),
        value.alias("value"),
        F.when(unit.isNull() & F.col("value").isNotNull(), metric_unit).otherwise(unit).alias("unit"),
        (unit.isNull() & F.col("value").isNotNull()).alias("unit_imputed"),
        decimal(F.col("cost_usd_increment")).alias("cost_usd"),
        F.when(version.isin("1", "2"), version.cast("int")).alias("schema_version"),
        F.when(keeps_v2_fields, decimal(F.col("carbon_kg"))).alias("carbon_kg"),
        F.when(keeps_v2_fields, decimal(F.col("genai_tokens"))).alias("genai_tokens"),
        (keeps_v2_fields & F.col("carbon_kg").isNotNull()).alias("_carbon_given"),
        (keeps_v2_fields & F.col("genai_tokens").isNotNull()).alias("_tokens_given"),
        "raw",
        "source_file",
        "ingest_ts",
        "is_late",
        "batch_id",
    )


def checks(config: Config) -> dict[str, Column]:
    """error_type → true where a normalised event breaks the rule, in the order of precedence."""
    silver = config.pipeline.silver
    tolerance = F.expr(f"interval {silver.future_tolerance_hours} hours")
    return {
        "missing_key": F.col("event_id").isNull() | F.col("org_id").isNull() | F.col("resource_id").isNull(),
        "unsupported_schema_version": F.col("schema_version").isNull(),
        "unknown_service": F.col("service").isNull(),
        "unknown_metric": F.col("_metric_unit").isNull(),
        "invalid_cost": F.col("cost_usd").isNull(),
        "negative_cost": F.col("cost_usd") < F.lit(silver.cost_noise_floor),
        "invalid_value": F.col("_value_text").isNotNull() & F.col("value").isNull(),
        "negative_quantity": (F.col("value") < 0) | (F.col("carbon_kg") < 0) | (F.col("genai_tokens") < 0),
        "unit_mismatch": F.col("unit") != F.col("_metric_unit"),
        "future_timestamp": F.col("event_ts") > F.col("ingest_ts") + tolerance,
    }


def _warnings() -> Column:
    found = {
        "missing_value": F.col("_value_text").isNull(),
        "unknown_region": F.col("region_code").isNull(),
        "invalid_carbon_kg": F.col("_carbon_given") & F.col("carbon_kg").isNull(),
        "invalid_genai_tokens": F.col("_tokens_given") & F.col("genai_tokens").isNull(),
    }
    return messages(found)


def messages(found: dict[str, Column]) -> Column:
    """The names whose condition is true, as an array in the given order."""
    return F.array_compact(F.array(*[F.when(condition, F.lit(name)) for name, condition in found.items()]))


def judge(events: DataFrame, config: Config) -> DataFrame:
    """Bronze events → normalised events with `errors` (empty: passed) and `warnings`. One event a row, none dropped."""
    judged = normalise(events, config)
    return judged.withColumn("errors", messages(checks(config))).withColumn("warnings", _warnings())
