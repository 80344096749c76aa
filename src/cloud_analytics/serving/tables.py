"""The serving tables: those of the marts that declare one."""

from __future__ import annotations

from functools import cache

from cloud_analytics.gold import marts
from cloud_analytics.tables.cql import ServingTable, serving_tables

KEYSPACE = "cloud_analytics"


@cache
def tables() -> dict[str, ServingTable]:
    """Every serving table by name, in the order of their questions."""
    return serving_tables(mart.table for mart in marts().values())
