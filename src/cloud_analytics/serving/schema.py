"""The tables that a keyspace holds, compared with those that the marts declare."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloud_analytics.errors import UsageError
from cloud_analytics.serving.connect import Row, readable_errors
from cloud_analytics.serving.tables import tables
from cloud_analytics.tables.cql import ServingTable

if TYPE_CHECKING:
    from cassandra.cluster import Session


@dataclass(frozen=True)
class Found:
    """A serving table as the store has it.

    `fingerprint` changes with everything by which the table may have lost rows or values: it was dropped and created
    again, a column was dropped and added again, its TTL is another one.
    """

    partition_key: tuple[str, ...]
    clustering_order: tuple[tuple[str, str], ...]
    types: dict[str, str]
    ttl_seconds: int
    fingerprint: str


def found_tables(session: Session, keyspace: str) -> dict[str, Found]:
    """The serving tables that the keyspace holds, by name."""

    def rows(what: str) -> dict[str, list[Row]]:
        by_table: dict[str, list[Row]] = defaultdict(list)
        for row in session.execute(f"SELECT * FROM system_schema.{what} WHERE keyspace_name = %s", [keyspace]):
            by_table[row["table_name"]].append(row)
        return by_table

    columns, dropped = rows("columns"), rows("dropped_columns")
    found = {}
    for name, (table, *_) in rows("tables").items():
        if name not in tables():
            continue
        key = {kind: _in_order(columns[name], kind) for kind in ("partition_key", "clustering")}
        types = {row["column_name"]: row["type"] for row in columns[name]}
        went = sorted((row["column_name"], str(row["dropped_time"])) for row in dropped[name])
        found[name] = Found(
            partition_key=tuple(row["column_name"] for row in key["partition_key"]),
            clustering_order=tuple((row["column_name"], row["clustering_order"]) for row in key["clustering"]),
            types=types,
            ttl_seconds=table["default_time_to_live"],
            fingerprint=repr((str(table["id"]), sorted(types.items()), went, table["default_time_to_live"])),
        )
    return found


def expect_declared(found: dict[str, Found], keyspace: str) -> None:
    """UsageError where tables are not what their marts declare: the differences, and the statements that mend them."""
    problems = [
        f"{keyspace}.{name} {what}: {statement}"
        for name, table in found.items()
        for what, statement in _differences(tables()[name], table, f"{keyspace}.{name}")
    ]
    if problems:
        raise UsageError(
            "tables are not as `cloud-analytics serve --schema` has them; run these statements, then serve:"
            f" {' '.join(problems)}"
        )


def is_empty(session: Session, table: ServingTable) -> bool:
    """Whether the table holds no row at all."""
    with readable_errors(f"cannot read {table.name}"):
        return session.execute(f"SELECT {table.partition_key[0]} FROM {table.name} LIMIT 1").one() is None


def _differences(declared: ServingTable, found: Found, name: str) -> list[tuple[str, str]]:
    """Each difference with the CQL that mends it. The next `serve` creates and loads a table that was dropped."""
    drop = f"DROP TABLE {name};"
    key = (declared.partition_key, declared.clustering_order)
    if (found.partition_key, found.clustering_order) != key:
        order = ", ".join(f"{column} {direction.upper()}" for column, direction in declared.clustering_order)
        return [(f"has another key than (({', '.join(declared.partition_key)}), {order})", drop)]
    shared = declared.columns.keys() & found.types.keys()
    retyped = sorted(column for column in shared if found.types[column] != declared.columns[column])
    if retyped:
        what = ", ".join(f"{column} {found.types[column]} instead of {declared.columns[column]}" for column in retyped)
        return [(f"has {what}", drop)]
    differences = []
    missing = [f"{column} {kind}" for column, kind in declared.columns.items() if column not in found.types]
    if missing:
        differences.append((f"lacks {', '.join(missing)}", f"ALTER TABLE {name} ADD ({', '.join(missing)});"))
    unknown = sorted(found.types.keys() - declared.columns.keys())
    if unknown:
        differences.append((f"also has {', '.join(unknown)}", f"ALTER TABLE {name} DROP ({', '.join(unknown)});"))
    if found.ttl_seconds != declared.ttl_seconds:
        statement = f"ALTER TABLE {name} WITH default_time_to_live = {declared.ttl_seconds};"
        differences.append((f"has a TTL of {found.ttl_seconds} s", statement))
    return differences


def _in_order(columns: Sequence[Row], kind: str) -> list[Row]:
    return sorted((row for row in columns if row["kind"] == kind), key=lambda row: int(row["position"]))
