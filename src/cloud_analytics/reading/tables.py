"""The tables of a lake, with their columns and types, for DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.gold import marts
from cloud_analytics.lake.folder import ZONES
from cloud_analytics.tables import Column
from cloud_analytics.tables.zones import (
    BRONZE_EVENTS,
    COST_BASELINES,
    QUARANTINED_EVENTS,
    SILVER_EVENTS,
    SILVER_MASTERS,
)

SOURCES = (EVENTS, *MASTERS)
# The columns that a master in Bronze has beside those of its files, which are text.
_BRONZE_MASTER = {
    "raw": "string", "raw_bytes": "binary", "fits_header": "boolean", "record_number": "bigint",
    "ingest_ts": "timestamp", "source_file": "string", "batch_id": "string", "ingest_date": "date",
}  # fmt: skip
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
        yield from (f"{zone}/{name}" for name in _tables(zone))


def declared(table: str) -> dict[str, str] | None:
    """Column → DuckDB's type, in order; None for a table that does not exist."""
    zone, _, name = table.partition("/")
    columns = _tables(zone).get(name)
    return columns and {column: _TYPES.get(kind, kind.upper()) for column, kind in columns.items()}


def spark_types(table: str) -> dict[str, str]:
    """Column → Spark's type, in order, of an existing table."""
    zone, _, name = table.partition("/")
    return _tables(zone)[name]


def figures(table: str) -> tuple[str, ...]:
    """The columns whose values are added, if a table is kept in parts; no column for any other table."""
    zone, _, name = table.partition("/")
    mart = marts().get(name) if zone == "gold" else None
    return tuple(column.name for column in mart.table.figures) if mart and mart.table.in_parts else ()


def is_open(table: str) -> bool:
    """Whether files of a table may have further columns than the declared ones, as those of masters in Bronze may."""
    zone, _, name = table.partition("/")
    return zone == "bronze" and name in MASTERS


@cache
def _tables(zone: str) -> dict[str, dict[str, str]]:
    """Table → column → Spark's type, in the order of Parquet."""
    if zone == "gold":
        return {name: _types(mart.table.stored) for name, mart in marts().items()}
    if zone == "quarantine":
        return dict.fromkeys(SOURCES, _types(QUARANTINED_EVENTS.stored))
    if zone == "silver":
        silver = (SILVER_EVENTS, *SILVER_MASTERS.values(), COST_BASELINES)
        return {table.name: _types(table.stored) for table in silver}
    return {EVENTS: _types(BRONZE_EVENTS.stored), **dict.fromkeys(MASTERS, _BRONZE_MASTER)}


def _types(columns: Iterable[Column]) -> dict[str, str]:
    return {column.name: column.type for column in columns}
