"""One SELECT of one partition, as it is prepared and as a person would type it; no connection needed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

Value = str | int | date


@dataclass(frozen=True)
class Statement:
    """`SELECT columns FROM table WHERE conditions [LIMIT limit]`; a condition is a column, an operator and a value."""

    table: str
    columns: tuple[str, ...]
    conditions: tuple[tuple[str, str, Value], ...]
    limit: int | None = None

    @property
    def text(self) -> str:
        """The CQL to prepare, with a `?` for each value; the session's keyspace holds the table."""
        where = " AND ".join(f"{column} {operator} ?" for column, operator, _ in self.conditions)
        limit = "" if self.limit is None else " LIMIT ?"
        return f"SELECT {', '.join(self.columns)} FROM {self.table} WHERE {where}{limit}"

    @property
    def values(self) -> tuple[Value, ...]:
        """What the placeholders of `text` stand for, in order."""
        return (*(value for _, _, value in self.conditions), *(() if self.limit is None else (self.limit,)))

    def typed(self, keyspace: str) -> str:
        """The CQL with its values filled in, as cqlsh takes it."""
        where = "\n  AND ".join(f"{column} {operator} {_literal(value)}" for column, operator, value in self.conditions)
        limit = "" if self.limit is None else f"\nLIMIT {self.limit}"
        return f"SELECT {', '.join(self.columns)}\nFROM {keyspace}.{self.table}\nWHERE {where}{limit};"


def _literal(value: Value) -> str:
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
