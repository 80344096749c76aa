"""The tables of a lake, with their columns and types, for DuckDB."""

from __future__ import annotations

from functools import cache

from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.gold import marts
from cloud_analytics.tables import Table
from cloud_analytics.tables.zones import (
    BRONZE_EVENTS,
    BRONZE_MASTERS,
    COST_BASELINES,
    QUARANTINED_EVENTS,
    SILVER_EVENTS,
    SILVER_MASTERS,
)

SOURCES = (EVENTS, *MASTERS)


@cache
def tables() -> dict[str, Table]:
    """Every table: `zone/name` → its declaration. The sources share the declaration of quarantine."""
    below = (BRONZE_EVENTS, *BRONZE_MASTERS.values(), SILVER_EVENTS, *SILVER_MASTERS.values(), COST_BASELINES)
    found = {table.path: table for table in (*below, *(mart.table for mart in marts().values()))}
    return found | {f"quarantine/{source}": QUARANTINED_EVENTS for source in SOURCES}


def declared(table: str) -> dict[str, str]:
    """Column → DuckDB's type, in the order of the Parquet files."""
    return {column.name: column.duckdb_type for column in tables()[table].stored}
