"""The serving tables as schema.cql declares them: names, columns, keys and the question each one answers."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

KEYSPACE = "cloud_analytics"
# table → the Gold mart it holds, row for row
MARTS = {
    "finops_daily_usage": "org_daily_usage_by_service",
    "org_service_cost_summary": "org_service_cost_summary",
    "support_tickets_summary": "tickets_by_org_date",
    "revenue_monthly": "revenue_by_org_month",
    "genai_usage_daily": "genai_tokens_by_org_date",
    "cost_anomalies": "cost_anomaly_mart",
    "carbon_daily": "carbon_impact",
}
_TABLE = re.compile(
    r"^-- (?P<query>[a-z-]+) \| (?P<question>.+)\n"
    r"(?P<create>CREATE TABLE IF NOT EXISTS (?P<name>\w+) \(\n(?P<columns>(?:    \w+ +\w+,.*\n)+)"
    r"    PRIMARY KEY \(\((?P<partition>[\w, ]+)\)(?P<clustering>[\w, ]*)\)\n\)"
    r"(?P<options>[^;]*default_time_to_live = (?P<ttl>\d+)[^;]*));$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Table:
    """One serving table. `slice_key`: the key columns that name what one partition of the mart covers in it."""

    name: str
    mart: str
    query: str
    question: str
    columns: dict[str, str]  # name → CQL type
    partition_key: tuple[str, ...]
    clustering_key: tuple[str, ...]
    ttl_seconds: int
    create: str

    @property
    def slice_key(self) -> tuple[str, ...]:
        """`org_id`, with the date where the mart has one partition a date."""
        from cloud_analytics.gold import build as gold  # imports pyspark, 1 s that queries need not wait for

        column = gold.partition_column(self.mart)
        return ("org_id", column) if column else ("org_id",)

    def statement(self, left_out: Collection[str] = ()) -> str:
        """CREATE TABLE without these options, which some store would refuse."""
        names = "|".join(map(re.escape, left_out)) or "(?!)"
        return re.sub(rf"\s+AND (?:{names}) = (?:\{{[^}}]*\}}|[^\s;]+)", "", self.create)

    @property
    def clustering_order(self) -> tuple[tuple[str, str], ...]:
        """Each clustering column, with `asc` or `desc`."""
        descending = set(re.findall(r"(\w+) DESC", self.create))
        return tuple((name, "desc" if name in descending else "asc") for name in self.clustering_key)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Partition key, then clustering key."""
        return (*self.partition_key, *self.clustering_key)


@cache
def schema_text() -> str:
    """schema.cql as it stands."""
    return (importlib.resources.files(__package__) / "schema.cql").read_text(encoding="utf-8")


@cache
def tables() -> dict[str, Table]:
    """Every serving table by name, in the order of schema.cql."""
    found = {}
    for match in _TABLE.finditer(schema_text()):
        lines = match["columns"].splitlines()
        found[match["name"]] = Table(
            name=match["name"],
            mart=MARTS[match["name"]],
            query=match["query"],
            question=match["question"],
            columns={words[0]: words[1].rstrip(",") for words in (line.split() for line in lines)},
            partition_key=_names(match["partition"]),
            clustering_key=_names(match["clustering"]),
            ttl_seconds=int(match["ttl"]),
            create=re.sub(r" *--.*", "", match["create"]),
        )
    return found


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
