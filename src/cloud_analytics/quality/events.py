"""Usage events: Bronze's texts → normalised values → verdicts by conf/rules.yaml (contract 5)."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.config import EVENTS, Config, rules
from cloud_analytics.landing.text import decimal, lookup, trimmed
from cloud_analytics.quality.conditions import with_verdicts
from cloud_analytics.tables.spark_types import schema
from cloud_analytics.tables.zones import SILVER_EVENTS

BRONZE_ERRORS = rules.BRONZE
_KEPT = (
    "event_id", "event_ts", "date", "org_id", "resource_id", "user_id", "service", "region", "region_code", "metric",
    "value", "unit", "unit_imputed", "cost_usd", "schema_version", "carbon_kg", "genai_tokens", "raw", "source_file",
    "ingest_ts", "is_late", "batch_id",
)  # fmt: skip
_ONLY_FOR_RULES = (
    "service_text", "metric_unit", "metric_max", "value_text", "cost_usd_text", "schema_version_text", "carbon_kg_text",
    "genai_tokens_text",
)  # fmt: skip
_TYPES = {column.name: column.type for column in SILVER_EVENTS.columns} | {"metric_max": "decimal(18,6)"}
NORMALISED = schema({name: _TYPES.get(name, "string") for name in (*_KEPT, *_ONLY_FOR_RULES)})
"""The columns of a normalised event. The conditions of the rules may use all of them."""


def normalised(events: DataFrame, config: Config) -> DataFrame:
    """Bronze columns → columns with the names and types of Silver, and columns that only rules read. One event per row.

    `<column>_text` is the original text; `metric_unit` and `metric_max` are the unit and the limit of the metric.
    Carbon and tokens of events of version 1 become null.
    """
    taxonomy = config.taxonomy
    version = F.col("schema_version")
    keeps_v2_fields = F.coalesce(version != "1", F.lit(True))
    metric = trimmed(F.lower("metric"))
    metric_unit = lookup(taxonomy.metric_units(), metric)
    metric_max = lookup({name: f"{most:f}" for name, most in taxonomy.metric_limits().items()}, metric)
    unit = trimmed(F.lower("unit"))
    service = trimmed(F.lower("service"))
    cost = F.col("cost_usd_increment")
    values = {
        "event_id": trimmed(F.col("event_id")),
        "org_id": trimmed(F.col("org_id")),
        "resource_id": trimmed(F.col("resource_id")),
        "user_id": trimmed(F.col("user_id")),
        "service_text": service,
        "service": lookup(taxonomy.service_words(), service),
        "region": trimmed(F.col("region")),
        "region_code": lookup(taxonomy.region_words(), trimmed(F.lower("region"))),
        "metric": metric,
        "metric_unit": metric_unit,
        "metric_max": metric_max.cast("decimal(18,6)"),
        "value_text": F.col("value"),
        "value": decimal(F.col("value")),
        "unit": F.when(unit.isNull() & F.col("value").isNotNull(), metric_unit).otherwise(unit),
        "unit_imputed": unit.isNull() & F.col("value").isNotNull(),
        "cost_usd_text": cost,
        "cost_usd": decimal(cost),
        "schema_version_text": version,
        "schema_version": F.when(version.isin("1", "2"), version.cast("int")),
        "carbon_kg_text": F.when(keeps_v2_fields, F.col("carbon_kg")),
        "carbon_kg": F.when(keeps_v2_fields, decimal(F.col("carbon_kg"))),
        "genai_tokens_text": F.when(keeps_v2_fields, F.col("genai_tokens")),
        "genai_tokens": F.when(keeps_v2_fields, decimal(F.col("genai_tokens"))),
    }
    return events.select(*[values.get(name, F.col(name)).alias(name) for name in NORMALISED.names])


def judged(events: DataFrame, config: Config) -> DataFrame:
    """Bronze events → normalised events with `errors` (empty: passed), `warnings`. One row per event, none dropped."""
    return with_verdicts(normalised(events, config), config, EVENTS, _KEPT)
