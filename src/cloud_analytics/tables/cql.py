"""Makes the CQL of the serving tables from the declarations of the marts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property

from cloud_analytics.tables.columns import Column
from cloud_analytics.tables.table import TTL_DAYS, Serving, Table

_HEAD = """\
-- The serving tables: one a question, each answered from one partition. Names and columns are those of the Gold marts.
--
-- Made from their declarations by `cloud-analytics serve --schema`. Money is USD (decimal), quantities are hours,
-- GB hours, kg of CO2 equivalent and tokens; rates and shares lie in 0-1, only _pct is a percentage. Rows live 90 days
-- from their last write; `cloud-analytics serve` writes them again in time.
-- The keyspace is made by the package (AstraDB: in its console). By hand:
--   CREATE KEYSPACE cloud_analytics WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
"""


@dataclass(frozen=True, kw_only=True)
class ServingTable(Serving):
    """A mart's `Serving` together with the mart: all that CREATE TABLE and the questions need to know of the table."""

    source: Table
    ttl_seconds = TTL_DAYS * 24 * 3600
    """How long a row lives after its last write."""

    @property
    def mart(self) -> str:
        """The name of the mart whose rows the table holds."""
        return self.source.name

    @cached_property
    def declared(self) -> dict[str, Column]:
        """Name → column, first the columns of the key in the key's order."""
        columns = {column.name: column for column in self.source.columns}
        return {name: columns[name] for name in dict.fromkeys([*self.primary_key, *columns])}

    @cached_property
    def columns(self) -> dict[str, str]:
        """Name → CQL type."""
        return {name: column.cql_type for name, column in self.declared.items()}

    @property
    def clustering_key(self) -> tuple[str, ...]:
        """The columns that order the rows of a partition."""
        return tuple(name for name, _ in self.clustering_order)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Partition key, then clustering key."""
        return (*self.partition_key, *self.clustering_key)

    @property
    def slice_key(self) -> tuple[str, ...]:
        """The key columns that a DELETE names to remove the rows of one partition of the mart."""
        date = self.source.partition
        covered = date is None or date in self.partition_key
        return self.partition_key if covered else self.primary_key[: self.primary_key.index(str(date)) + 1]

    @cached_property
    def range_column(self) -> Column | None:
        """The date or month that `--from` and `--to` limit; None if the question takes no range."""
        first = self.declared[self.clustering_key[0]] if self.clustering_key else None
        return first if first and (first.is_date or first.is_month) else None

    @cached_property
    def date_column(self) -> Column | None:
        """The date in the partition key, if there is one: an answer then holds the rows of one date."""
        return next((self.declared[name] for name in self.partition_key if self.declared[name].is_date), None)

    @cached_property
    def bucket_column(self) -> Column | None:
        """The month in the partition key, if there is one: it divides the dates of `range_column` among partitions."""
        return next((self.declared[name] for name in self.partition_key if self.declared[name].is_month), None)

    @cached_property
    def chosen_by(self) -> tuple[str, ...]:
        """The columns of the partition key whose values a question must name, such as `org_id` and `tag_key`."""
        derived = {column.name for column in (self.date_column, self.bucket_column) if column}
        return tuple(name for name in self.partition_key if name not in derived)

    def key_text(self) -> str:
        """The primary key as CQL writes it: `((org_id), usage_date, service)`."""
        partition = ", ".join(self.partition_key)
        return "(" + ", ".join([f"({partition})", *self.clustering_key]) + ")"

    def statement(self, left_out: Collection[str] = (), comments: bool = False) -> str:
        """CREATE TABLE without the options in `left_out`, since some stores refuse some options."""
        options = {
            "default_time_to_live": str(self.ttl_seconds),
            "compaction": "{'class': 'LeveledCompactionStrategy'}",
        }
        order = ", ".join(f"{name} {direction.upper()}" for name, direction in self.clustering_order)
        clauses = [f"CLUSTERING ORDER BY ({order})"] if order else []
        clauses += [f"{name} = {value}" for name, value in options.items() if name not in left_out]
        width = max(map(len, self.columns))
        lines = [f"CREATE TABLE IF NOT EXISTS {self.name} ("]
        for name, column in self.declared.items():
            unit = f" [{column.unit.name}]" if column.unit else ""
            commented = f"    {name:<{width}} {column.cql_type},".ljust(width + 17) + f"-- {column.meaning}{unit}"
            lines.append(commented if comments else f"    {name} {column.cql_type},")
        end = f") WITH {f'{chr(10)}   AND '.join(clauses)}" if clauses else ")"
        return "\n".join([*lines, f"    PRIMARY KEY {self.key_text()}", end])


def serving_tables(tables: Iterable[Table]) -> dict[str, ServingTable]:
    """Name → serving table of each table that declares one, in the order of their questions."""
    served = [ServingTable(**asdict(table.serving), source=table) for table in tables if table.serving]
    return {table.name: table for table in sorted(served, key=lambda table: table.question)}


def schema_text(tables: Iterable[ServingTable]) -> str:
    """CREATE TABLE of every table, with its question and the meaning of its columns as comments."""
    parts = [f"-- {t.question} | {t.asks}\n{t.statement(comments=True)};\n" for t in tables]
    return "\n".join([_HEAD, *parts])
