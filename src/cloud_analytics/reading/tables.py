"""The tables of a lake, each with its columns and their types in DuckDB's words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from pyspark.sql.types import StructType

from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.lake.schemas import BRONZE_EVENTS, QUARANTINE, SILVER_EVENTS, SILVER_MASTERS, columns

ZONES = ("bronze", "silver", "gold", "quarantine")
SOURCES = (EVENTS, *MASTERS)
# What every master of Bronze holds beside the columns of its files, which are text.
_BRONZE_MASTER = columns(
    "raw string, raw_bytes binary, fits_header boolean, record_number bigint, ingest_ts timestamp, source_file string,"
    " batch_id string, ingest_date date"
)
_TYPES = {
    "string": "VARCHAR",
    "int": "INTEGER",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "binary": "BLOB",
    "array<string>": "VARCHAR[]",
}


def tables() -> Iterator[str]:
    """Every table, as `zone/name`."""
    for zone in ZONES:
        yield from (f"{zone}/{name}" for name in _schemas(zone))


def declared(table: str) -> dict[str, str] | None:
    """Column → DuckDB's type, in order; None for a table that no zone has."""
    zone, _, name = table.partition("/")
    schema = _schemas(zone).get(name)
    if schema is None:
        return None
    kinds = {field.name: field.dataType.simpleString() for field in schema}
    return {column: _TYPES.get(kind, kind.upper()) for column, kind in kinds.items()}


def is_open(table: str) -> bool:
    """Whether the files of a table may hold columns beyond the declared ones: what came with a master is kept."""
    zone, _, name = table.partition("/")
    return zone == "bronze" and name in MASTERS


@cache
def _schemas(zone: str) -> dict[str, StructType]:
    if zone == "gold":
        from cloud_analytics.gold.build import SCHEMAS

        return SCHEMAS
    if zone == "quarantine":
        return dict.fromkeys(SOURCES, QUARANTINE)
    if zone == "silver":
        return {EVENTS: SILVER_EVENTS, **SILVER_MASTERS}
    return {EVENTS: BRONZE_EVENTS, **dict.fromkeys(MASTERS, _BRONZE_MASTER)}
