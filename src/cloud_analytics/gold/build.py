"""Where the marts lie, for who reads them through Spark."""

from __future__ import annotations

from pyspark.sql.types import StructType

from cloud_analytics.gold import marts

DAILY = "org_daily_usage_by_service"
SCHEMAS: dict[str, StructType] = {name: mart.table.schema for name, mart in marts().items()}


def table(mart: str) -> str:
    """Lake folder of a mart."""
    return marts()[mart].table.path
