"""Compare serving tables with Gold (law 6), and plan what a load would write. Without Spark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloud_analytics.lake.journal import await_commit
from cloud_analytics.lake.lake import Lake
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.serving.connect import Row, readable_errors
from cloud_analytics.serving.keyspace import expect_own
from cloud_analytics.serving.loader import Loader, Plan
from cloud_analytics.serving.tables import tables
from cloud_analytics.serving.target import Target
from cloud_analytics.serving.write import Keys
from cloud_analytics.tables.cql import ServingTable

if TYPE_CHECKING:
    from cassandra.cluster import Session


@dataclass(frozen=True)
class Comparison:
    """A serving table and its mart: the rows of each side, and how many rows exist on one side only."""

    table: str
    mart: str
    rows: int
    gold_rows: int
    only_served: int
    only_gold: int

    @property
    def equal(self) -> bool:
        """Whether both sides hold the same rows."""
        return not self.only_served and not self.only_gold


def compare(lake: LakeReader, session: Session) -> list[Comparison]:
    """Compare each serving table (read by the Python driver) with its mart (read by DuckDB), row by row."""
    found = []
    for table in tables().values():
        columns = ", ".join(table.columns)
        expected = counted(lake.rows(f"SELECT {columns} FROM gold.{table.mart}"))
        with readable_errors(f"cannot read {table.name}"):
            served = counted(session.execute(f"SELECT {columns} FROM {table.name}"))
        only_served, only_gold = (served - expected).total(), (expected - served).total()
        rows = served.total(), expected.total()
        found.append(Comparison(table.name, table.mart, *rows, only_served, only_gold))
    return found


def plan(lake: Lake, target: Target) -> Plan:
    """The writes that `serve` would do now; nothing is written. Errors: `Target.looking_session`, `expect_own`."""
    await_commit(lake.files)
    zones = LakeReader(lake.files)

    def keys_in_gold(table: ServingTable, partitions: Sequence[str], columns: Sequence[str]) -> Keys:
        day = table.source.partition
        chosen = f" WHERE list_contains(?, {day}::VARCHAR)" if day else ""
        query = f"SELECT DISTINCT {', '.join(columns)} FROM gold.{table.mart}{chosen}"
        return {tuple(row.values()) for row in zones.rows(query, [list(partitions)] if day else [])}

    with target.looking_session() as (session, found):
        owner = expect_own(session, lake, str(target), found, target.take_over)
        loader = Loader(lake, target, session, found, owner, keys_in_gold=keys_in_gold)
        due = loader.due()
        return loader.plan({mart: due.get(mart, {}) for mart in loader.marts})


def counted(rows: Iterable[Row]) -> Counter[tuple[Any, ...]]:
    """How often each row occurs; rows are compared by their values in the order of their columns."""

    def hashable(row: Row) -> tuple[Any, ...]:
        return tuple(tuple(value) if isinstance(value, list) else value for value in row.values())

    return Counter(map(hashable, rows))
