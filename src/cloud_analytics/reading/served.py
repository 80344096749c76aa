"""Law 6, checked: every serving table holds exactly the rows of its Gold mart. Reads both sides whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.serving.connect import readable_errors
from cloud_analytics.serving.tables import tables
from cloud_analytics.tables.cql import ServingTable

if TYPE_CHECKING:
    from cassandra.cluster import Session


@dataclass(frozen=True)
class Comparison:
    """One table against its mart: rows on each side, and how many of them the other side has not got as they are."""

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
    """Each table with its mart: through the Python driver, and by DuckDB (the load used Spark for both)."""
    return [_compare(lake, session, table) for table in tables().values()]


def _compare(lake: LakeReader, session: Session, table: ServingTable) -> Comparison:
    columns = list(table.columns)
    mart = lake.rows(f"SELECT {', '.join(columns)} FROM gold.{table.mart}")
    expected = Counter(_row(row.values()) for row in mart)
    with readable_errors(f"cannot read {table.name}"):
        served = Counter(
            _row(row.values()) for row in session.execute(f"SELECT {', '.join(columns)} FROM {table.name}")
        )
    return Comparison(
        table=table.name,
        mart=table.mart,
        rows=served.total(),
        gold_rows=expected.total(),
        only_served=(served - expected).total(),
        only_gold=(expected - served).total(),
    )


def _row(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(tuple(value) if isinstance(value, list) else value for value in values)
