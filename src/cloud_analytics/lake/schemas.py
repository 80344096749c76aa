"""The columns of every zone table, in order, with their types: what a reader of the lake may rely on."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import ArrayType, DataType, IntegerType, LongType, StringType, StructField, StructType

# The names that StructType.add does not know.
_TYPES: dict[str, DataType] = {"bigint": LongType(), "int": IntegerType(), "array<string>": ArrayType(StringType())}


def columns(text: str) -> StructType:
    """`name type, name type` (Spark's type names) → schema of nullable columns."""
    schema = StructType()
    depth, start = 0, 0
    for position, char in enumerate(text + ","):
        depth += {"(": 1, "<": 1, ")": -1, ">": -1}.get(char, 0)
        if char == "," and depth == 0:
            name, kind = text[start:position].split(maxsplit=1)
            schema.add(name, _TYPES.get(kind.strip(), kind.strip()))
            start = position + 1
    return schema


def conform(frame: DataFrame, schema: StructType) -> DataFrame:
    """Exactly the columns of `schema`, in its order, cast to its types."""
    # As SQL: one message to the JVM a column, where a Column that is cast and named takes three.
    return frame.selectExpr(*[_as(f"`{field.name}`", field) for field in schema])


def nothing(spark: SparkSession, schema: StructType) -> DataFrame:
    """No rows of a schema. Not `createDataFrame`: that would start a Python worker for them."""
    return spark.range(0).selectExpr(*[_as("null", field) for field in schema])


def _as(value: str, field: StructField) -> str:
    return f"cast({value} as {field.dataType.simpleString()}) `{field.name}`"


BRONZE_EVENTS = columns(
    "event_id string, timestamp string, event_ts timestamp, org_id string, resource_id string, user_id string,"
    " service string, region string, metric string, value string, unit string, cost_usd_increment string,"
    " schema_version string, carbon_kg string, genai_tokens string, raw string, source_file string,"
    " ingest_ts timestamp, lateness_seconds bigint, is_late boolean, date date, batch_id string"
)

SILVER_EVENTS = columns(
    "event_id string, event_ts timestamp, org_id string, resource_id string, region string,"
    " region_code string, metric string, value decimal(18,6), unit string, unit_imputed boolean,"
    " cost_usd decimal(18,6), schema_version int, carbon_kg decimal(18,6), genai_tokens decimal(18,6),"
    " org_name string, industry string, plan_tier string, hq_region string, org_matched boolean,"
    " resource_type string, resource_state string, resource_matched boolean,"
    " user_id string, role string, active boolean, warnings array<string>, is_late boolean,"
    " cost_usd_capped decimal(18,6), cost_zscore double, cost_mad_score double, unit_price_ratio double,"
    " flag_zscore boolean, flag_mad boolean, flag_percentile boolean, flag_unit_price boolean,"
    " is_anomaly boolean, anomaly_score double, anomaly_reason string, ingest_ts timestamp, source_file string,"
    " date date, service string"
)

COST_BASELINES = columns(
    "org_id string, service string, metric string, events bigint, mean_usd double, stddev_usd double,"
    " median_usd double, mad_usd double, p95_usd decimal(28,14), median_price double"
)

QUARANTINE = columns(
    "source string, errors array<string>, raw string, raw_bytes binary, record_key string, source_file string,"
    " ingest_ts timestamp, rule_version string, batch_id string, date date, error_type string"
)

_INGEST = " ingest_ts timestamp, source_file string"
SILVER_MASTERS: dict[str, StructType] = {
    "customers_orgs": columns(
        "org_id string, org_name string, industry string, hq_region string, plan_tier string, is_enterprise boolean,"
        " signup_date date, sales_rep string, lifecycle_stage string, marketing_source string,"
        " nps_score decimal(18,6), warnings array<string>," + _INGEST
    ),
    "users": columns(
        "user_id string, org_id string, email string, role string, active boolean, created_at date, last_login date,"
        " warnings array<string>," + _INGEST
    ),
    "resources": columns(
        "resource_id string, org_id string, service string, region string, created_at date, state string,"
        " tags_json string, warnings array<string>," + _INGEST
    ),
    "billing_monthly": columns(
        "invoice_id string, org_id string, month date, subtotal decimal(18,6), credits decimal(18,6),"
        " taxes decimal(18,6), currency string, exchange_rate_to_usd decimal(18,10), warnings array<string>," + _INGEST
    ),
    "support_tickets": columns(
        "ticket_id string, org_id string, category string, severity string, created_at date, resolved_at date,"
        " csat decimal(18,6), sla_breached boolean, warnings array<string>," + _INGEST
    ),
    "nps_surveys": columns(
        "org_id string, survey_date date, nps_score decimal(18,6), comment string, warnings array<string>," + _INGEST
    ),
    "marketing_touches": columns(
        "touch_id string, org_id string, campaign string, channel string, timestamp date, clicked boolean,"
        " converted boolean, warnings array<string>," + _INGEST
    ),
}
