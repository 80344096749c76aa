"""A SELECT statement, as CQL to prepare and as CQL to type into cqlsh. Needs no connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

Value = str | int | date


@dataclass(frozen=True)
class Statement:
    """`SELECT [DISTINCT] columns FROM table [WHERE conditions] [LIMIT limit]`.

    A condition is a column, an operator and a value. CQL allows DISTINCT only for the columns of the partition key.
    """

    table: str
    columns: tuple[str, ...]
    conditions: tuple[tuple[str, str, Value], ...] = ()
    limit: int | None = None
    distinct: bool = False

    @property
    def text(self) -> str:
        """The CQL to prepare, with a `?` for each value. The table is in the session's keyspace."""
        conditions = " AND ".join(f"{column} {operator} ?" for column, operator, _ in self.conditions)
        where = f" WHERE {conditions}" if conditions else ""
        limit = "" if self.limit is None else " LIMIT ?"
        return f"{self._selected} FROM {self.table}{where}{limit}"

    @property
    def values(self) -> tuple[Value, ...]:
        """The values of the placeholders in `text`, in order."""
        return (*(value for _, _, value in self.conditions), *(() if self.limit is None else (self.limit,)))

    def typed(self, keyspace: str) -> str:
        """The CQL for cqlsh, with the keyspace and the values filled in."""
        conditions = "\n  AND ".join(
            f"{name} {operator} {_literal(value)}" for name, operator, value in self.conditions
        )
        where = f"\nWHERE {conditions}" if conditions else ""
        limit = "" if self.limit is None else f"\nLIMIT {self.limit}"
        return f"{self._selected}\nFROM {keyspace}.{self.table}{where}{limit};"

    @property
    def _selected(self) -> str:
        return f"SELECT {'DISTINCT ' * self.distinct}{', '.join(self.columns)}"


def _literal(value: Value) -> str:
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
