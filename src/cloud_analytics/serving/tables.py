"""The serving tables, which the marts declare."""

from __future__ import annotations

from functools import cache

from cloud_analytics.gold import marts
from cloud_analytics.tables.cql import ServingTable, serving_tables

KEYSPACE = "cloud_analytics"


@cache
def tables() -> dict[str, ServingTable]:
    """Name → serving table, in the order of the questions."""
    return serving_tables(mart.table for mart in marts().values())
