"""The tables of a lake, with their columns and types, for DuckDB."""

from __future__ import annotations

from functools import cache

from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.gold import marts
from cloud_analytics.tables.zones import (
    BRONZE_EVENTS,
    COST_BASELINES,
    QUARANTINED_EVENTS,
    SILVER_EVENTS,
    SILVER_MASTERS,
)

SOURCES = (EVENTS, *MASTERS)
# The columns that Bronze adds to those of the files of a master, which are all text.
_BRONZE_MASTER = {
    "raw": "string", "raw_bytes": "binary", "fits_header": "boolean", "record_number": "bigint",
    "ingest_ts": "timestamp", "source_file": "string", "batch_id": "string", "ingest_date": "date",
}  # fmt: skip
_TYPES = {
    "string": "VARCHAR", "int": "INTEGER", "timestamp": "TIMESTAMP WITH TIME ZONE", "binary": "BLOB",
    "array<string>": "VARCHAR[]",
}  # fmt: skip


@cache
def _tables() -> dict[str, dict[str, str]]:
    """Every table as `zone/name` → column → Spark's type; columns are in the order of the Parquet files."""
    silver = (SILVER_EVENTS, *SILVER_MASTERS.values(), COST_BASELINES)
    found = {table.path: table for table in (BRONZE_EVENTS, *silver, *(mart.table for mart in marts().values()))}
    found |= {f"quarantine/{source}": QUARANTINED_EVENTS for source in SOURCES}
    declared = {path: {column.name: column.type for column in table.stored} for path, table in found.items()}
    return declared | {f"bronze/{name}": _BRONZE_MASTER for name in MASTERS}


def tables() -> list[str]:
    """Every table, as `zone/name`."""
    return list(_tables())


def declared(table: str) -> dict[str, str]:
    """Column → DuckDB's type, in order; empty for a table that does not exist."""
    return {column: _TYPES.get(kind, kind.upper()) for column, kind in _tables().get(table, {}).items()}


def spark_types(table: str) -> dict[str, str]:
    """Column → Spark's type, in order. The table must exist."""
    return _tables()[table]


def figures(table: str) -> tuple[str, ...]:
    """The columns to sum per key if the table may hold several rows per key (`in_parts`); empty for other tables."""
    mart = marts().get(table.removeprefix("gold/"))
    return tuple(column.name for column in mart.table.figures) if mart and mart.table.in_parts else ()


def is_open(table: str) -> bool:
    """Whether files of the table may have more columns than declared. Only masters in Bronze may."""
    return table.removeprefix("bronze/") in MASTERS
