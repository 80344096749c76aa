"""The data dictionary as Markdown: each table of each zone with its columns, their types, units and meanings."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable, Sequence
from functools import cache

import yaml
from pyspark.sql.types import StructType

from cloud_analytics.config import EVENTS, MASTERS, Config
from cloud_analytics.gold import marts
from cloud_analytics.lake.schemas import BRONZE_EVENTS, COST_BASELINES, QUARANTINE, SILVER_EVENTS, SILVER_MASTERS
from cloud_analytics.serving.tables import tables
from cloud_analytics.tables import Mart
from cloud_analytics.tables.cql import ServingTable

_BRONZE_EVENTS = f"bronze/{EVENTS}"
_INTRODUCTION = """\
# Data dictionary

Every table from landing to Cassandra. This file is made from `conf/sources.yaml`, `conf/taxonomy.yaml`,
`conf/rules.yaml` and the declarations of the tables; a test compares it with them. After a change:
`python -m cloud_analytics.insight.dictionary docs/data_dictionary.md`.

Zones are Parquet, columns may be null unless they are part of a key, and all times are UTC. Amounts of money are USD
except those of an invoice. Rates and shares lie in 0–1, only `_pct` is a percentage.
"""


def document(config: Config) -> str:
    """The whole of it. KeyError names a column whose meaning is told nowhere."""
    return "\n".join(
        [_INTRODUCTION, *_landing(config), *_bronze(), *_silver(), *_quarantine(config), *_gold(), *_serving()]
    )


@cache
def meanings() -> dict[str, str]:
    """`column` or `table.column` → what it means."""
    text = (importlib.resources.files(__package__) / "meanings.yaml").read_text(encoding="utf-8")
    found: dict[str, str] = yaml.safe_load(text)
    return found


def meaning(table: str, column: str) -> str:
    """What a column of a table means."""
    return meanings().get(f"{table}.{column}") or meanings()[column]


def _landing(config: Config) -> list[str]:
    lines = ["## Landing", "", "CSV masters with a header; further columns are kept in Bronze.", ""]
    for name in MASTERS:
        contract = config.sources[name]
        words = {column: ", ".join(f"`{word}`" for word in known) for column, known in contract.vocabularies.items()}
        lines += [f"### {name}", "", f"Natural key: {_code(contract.key)}", ""]
        lines += _table(
            ("column", "meaning", "words"),
            [(f"`{column}`", meaning(name, column), words.get(column, "")) for column in contract.required],
        )
    taxonomy = config.taxonomy
    metrics = ", ".join(f"`{metric}` in `{word}`" for metric, word in taxonomy.metric_units().items())
    return [
        *lines,
        f"### {EVENTS}_stream",
        "",
        "JSON Lines, one event a line; its fields are those of `bronze/usage_events` up to `genai_tokens`.",
        "",
        f"Services: {_code(taxonomy.services)}. Regions: {_code(taxonomy.regions)}. Metrics: {metrics}.",
        "",
    ]


def _bronze() -> list[str]:
    return [
        "## Bronze",
        "",
        "Masters (`bronze/<source>/ingest_date=`) keep every column as text, with where they come from. Events:",
        "",
        f"### {_BRONZE_EVENTS}",
        "",
        "One event a row; partitioned by `date` and `batch_id`.",
        "",
        *_columns(_BRONZE_EVENTS, BRONZE_EVENTS),
    ]


def _silver() -> list[str]:
    lines = [
        "## Silver",
        "",
        f"### silver/{EVENTS}",
        "",
        "One valid event a row; partitioned by `date` and `service`.",
        "",
    ]
    lines += _columns(EVENTS, SILVER_EVENTS)
    lines += [
        "### silver/cost_baselines",
        "",
        "What a score needs of its group, over all events at the last settling: one row an (`org_id`, `service`,",
        "`metric`) with its costs, and one without an `org_id` a (`service`, `metric`) with its usual unit price.",
        "",
        *_columns("cost_baselines", COST_BASELINES),
    ]
    for name in MASTERS:
        lines += [f"### silver/{name}", "", *_columns(name, SILVER_MASTERS[name])]
    return lines


def _quarantine(config: Config) -> list[str]:
    rejecting = [rule.id for rule in config.rules_of(EVENTS) if rule.severity == "reject"]
    return [
        "## Quarantine",
        "",
        "### quarantine/<source>",
        "",
        "One rejected record a row; partitioned by `date` and `error_type`. An event is rejected as the first of",
        f"{_code(rejecting)}.",
        "",
        *_columns("quarantine", QUARANTINE),
    ]


def _gold() -> list[str]:
    served = {table.mart: table for table in tables().values()}
    lines = ["## Gold", ""]
    for name, mart in marts().items():
        table = served.get(name)
        where = f" Partitioned by `{mart.table.partition}`." if mart.table.partition else ""
        what = f" Served as `{table.name}`." if table else ""
        lines += [f"### {mart.table.path}", "", f"{mart.about}{where}{what}", "", *_mart_columns(mart, table)]
    return lines


def _serving() -> list[str]:
    lines = ["## Serving: keyspace `cloud_analytics`", "", "The columns are the mart's.", ""]
    lines += _table(
        ("table", "mart", "primary key", "rows live", "question"),
        [
            (f"`{t.name}`", f"`{t.mart}`", f"`{t.key_text()[1:-1]}`", f"{t.ttl_seconds // 86_400} days", t.asks)
            for t in tables().values()
        ],
    )
    return lines


def _columns(table: str, schema: StructType) -> list[str]:
    rows = [(f"`{field.name}`", field.dataType.simpleString(), meaning(table, field.name)) for field in schema]
    return _table(("column", "type", "meaning"), rows)


def _mart_columns(mart: Mart, served: ServingTable | None) -> list[str]:
    rows = [
        (
            f"`{column.name}`",
            column.type,
            *([column.cql_type] if served else []),
            column.unit.name if column.unit else "",
            column.meaning,
        )
        for column in mart.table.columns
    ]
    return _table(("column", "type", *(["CQL type"] if served else []), "unit", "meaning"), rows)


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [*("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines), ""]
