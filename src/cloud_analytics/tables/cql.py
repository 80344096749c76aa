"""The serving tables in CQL, made from the declarations of the marts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class ServingTable:
    """The table of the serving store that holds `source` row for row."""

    source: Table
    serving: Serving

    @property
    def name(self) -> str:
        """Its name in the keyspace."""
        return self.serving.table

    @property
    def mart(self) -> str:
        """The name of the mart."""
        return self.source.name

    @property
    def question(self) -> str:
        """What `cloud-analytics query` calls it."""
        return self.serving.question

    @property
    def asks(self) -> str:
        """The question as a sentence, and who asks it."""
        return self.serving.asks

    @property
    def ttl_seconds(self) -> int:
        """How long a row lives from its last write."""
        return TTL_DAYS * 24 * 3600

    @cached_property
    def declared(self) -> dict[str, Column]:
        """The columns by name: those of the key first, in its order."""
        columns = {column.name: column for column in self.source.columns}
        return {name: columns[name] for name in dict.fromkeys([*self.primary_key, *columns])}

    @cached_property
    def columns(self) -> dict[str, str]:
        """Name → CQL type."""
        return {name: column.cql_type for name, column in self.declared.items()}

    @property
    def partition_key(self) -> tuple[str, ...]:
        """The columns that a read must name."""
        return self.serving.partition_key

    @property
    def clustering_order(self) -> tuple[tuple[str, str], ...]:
        """Each clustering column, with `asc` or `desc`."""
        return self.serving.clustering_order

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
        """The key columns that name what one partition of the mart covers: one DELETE each."""
        date = self.source.partition
        covered = date is None or date in self.partition_key
        return self.partition_key if covered else self.primary_key[: self.primary_key.index(str(date)) + 1]

    @cached_property
    def range_column(self) -> Column | None:
        """The column that `--from` and `--to` bound; None: the question takes no range."""
        first = self.declared[self.clustering_key[0]] if self.clustering_key else None
        return first if first and (first.is_date or first.is_month) else None

    @cached_property
    def date_column(self) -> Column | None:
        """The date in the partition key: the answer is that of one date."""
        return next((self.declared[name] for name in self.partition_key if self.declared[name].is_date), None)

    @cached_property
    def bucket_column(self) -> Column | None:
        """The month in the partition key, which parts the rows of `range_column`."""
        return next((self.declared[name] for name in self.partition_key if self.declared[name].is_month), None)

    @cached_property
    def chosen_by(self) -> tuple[str, ...]:
        """The columns of the partition key whose value the question names: the organisation, and others (`tag_key`)."""
        told = {column.name for column in (self.date_column, self.bucket_column) if column}
        return tuple(name for name in self.partition_key if name not in told)

    def key_text(self) -> str:
        """`((org_id), usage_date, service)`."""
        partition = ", ".join(self.partition_key)
        return "(" + ", ".join([f"({partition})", *self.clustering_key]) + ")"

    @property
    def create(self) -> str:
        """CREATE TABLE."""
        return self.statement()

    def statement(self, left_out: Collection[str] = (), comments: bool = False) -> str:
        """CREATE TABLE without the options `left_out`, which some store would refuse."""
        options = {
            "default_time_to_live": str(self.ttl_seconds),
            "compaction": "{'class': 'LeveledCompactionStrategy'}",
        }
        order = ", ".join(f"{name} {direction.upper()}" for name, direction in self.clustering_order)
        clauses = [f"CLUSTERING ORDER BY ({order})"] if order else []
        clauses += [f"{name} = {value}" for name, value in options.items() if name not in left_out]
        width = max(map(len, self.columns))
        lines = [
            f"    {name:<{width}} {column.cql_type},".ljust(width + 17) + f"-- {_comment(column)}"
            if comments
            else f"    {name} {column.cql_type},"
            for name, column in self.declared.items()
        ]
        end = f") WITH {f'{chr(10)}   AND '.join(clauses)}" if clauses else ")"
        return "\n".join(
            [f"CREATE TABLE IF NOT EXISTS {self.name} (", *lines, f"    PRIMARY KEY {self.key_text()}", end]
        )


def _comment(column: Column) -> str:
    return f"{column.meaning} [{column.unit.name}]" if column.unit else column.meaning


def serving_tables(tables: Iterable[Table]) -> dict[str, ServingTable]:
    """The serving tables of those that are served, by name, in the order of their questions."""
    served = [ServingTable(table, table.serving) for table in tables if table.serving]
    return {table.name: table for table in sorted(served, key=lambda table: table.question)}


def schema_text(tables: Iterable[ServingTable]) -> str:
    """Every CREATE TABLE, with what each table answers and what its columns mean."""
    parts = [f"-- {t.question} | {t.asks}\n{t.statement(comments=True)};\n" for t in tables]
    return "\n".join([_HEAD, *parts])
