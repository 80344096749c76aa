"""The Parquet schemas of the tables below Gold, and frames that have exactly such columns."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructField, StructType

from cloud_analytics.tables import zones
from cloud_analytics.tables.spark_types import columns as columns

__all__ = [
    "BRONZE_EVENTS",
    "COST_BASELINES",
    "QUARANTINE",
    "SILVER_EVENTS",
    "SILVER_MASTERS",
    "columns",
    "conform",
    "nothing",
]

BRONZE_EVENTS = zones.BRONZE_EVENTS.schema
SILVER_EVENTS = zones.SILVER_EVENTS.schema
COST_BASELINES = zones.COST_BASELINES.schema
QUARANTINE = zones.QUARANTINED_EVENTS.schema
SILVER_MASTERS: dict[str, StructType] = {name: table.schema for name, table in zones.SILVER_MASTERS.items()}


def conform(frame: DataFrame, schema: StructType) -> DataFrame:
    """Exactly the columns of `schema`, in its order, cast to its types."""
    # As SQL: one message to the JVM a column, where a Column that is cast and named takes three.
    return frame.selectExpr(*[_as(f"`{field.name}`", field) for field in schema])


def nothing(spark: SparkSession, schema: StructType) -> DataFrame:
    """No rows of a schema. Not `createDataFrame`: that would start a Python worker for them."""
    return spark.range(0).selectExpr(*[_as("null", field) for field in schema])


def _as(value: str, field: StructField) -> str:
    return f"cast({value} as {field.dataType.simpleString()}) `{field.name}`"
