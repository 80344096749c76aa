"""docs/data_dictionary.md: each table of each zone with its columns, their types, units and meanings.

It is made from the contracts and the declarations of the tables, so that it cannot drift.
`python -m cloud_analytics.insight.dictionary docs/data_dictionary.md` writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from cloud_analytics.config import EVENTS, MASTERS, Config, load
from cloud_analytics.gold import marts
from cloud_analytics.serving.tables import tables
from cloud_analytics.tables import Table
from cloud_analytics.tables.cql import ServingTable
from cloud_analytics.tables.zones import (
    BRONZE_EVENTS,
    COST_BASELINES,
    QUARANTINED_EVENTS,
    SILVER_EVENTS,
    SILVER_MASTERS,
)

_INTRODUCTION = """\
# Data dictionary

Every table from landing to Cassandra. This file is made from `conf/sources.yaml`, `conf/taxonomy.yaml`,
`conf/rules.yaml` and the declarations of the tables; a test compares it with them. After a change:
`python -m cloud_analytics.insight.dictionary docs/data_dictionary.md`.

Zones are Parquet, columns may be null unless they are part of a key, and all times are UTC. Amounts of money are USD
except those of an invoice. Rates and shares lie in 0–1, only `_pct` is a percentage.
"""


def document(config: Config) -> str:
    """The whole of it."""
    return "\n".join(
        [_INTRODUCTION, *_landing(config), *_bronze(), *_silver(), *_quarantine(config), *_gold(), *_serving()]
    )


def _landing(config: Config) -> list[str]:
    lines = ["## Landing", "", "CSV masters with a header; further columns are kept in Bronze.", ""]
    for name in MASTERS:
        contract = config.sources[name]
        words = {column: ", ".join(f"`{word}`" for word in known) for column, known in contract.vocabularies.items()}
        lines += [f"### {name}", "", f"Natural key: {_code(contract.key)}", ""]
        lines += _table(
            ("column", "meaning", "words"),
            [
                (f"`{column.name}`", column.meaning, words.get(column.name, ""))
                for column in SILVER_MASTERS[name].columns
                if column.name in contract.required
            ],
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
        f"### {BRONZE_EVENTS.path}",
        "",
        "One event a row; partitioned by `date` and `batch_id`.",
        "",
        *_columns(BRONZE_EVENTS),
    ]


def _silver() -> list[str]:
    lines = [
        "## Silver",
        "",
        f"### {SILVER_EVENTS.path}",
        "",
        "One valid event a row; partitioned by `date` and `service`.",
        "",
    ]
    lines += _columns(SILVER_EVENTS)
    lines += [
        f"### {COST_BASELINES.path}",
        "",
        "What a score needs of its group, over all events at the last settling: one row an (`org_id`, `service`,",
        "`metric`) with its costs, and one without an `org_id` a (`service`, `metric`) with its usual unit price.",
        "",
        *_columns(COST_BASELINES),
    ]
    for table in SILVER_MASTERS.values():
        lines += [f"### {table.path}", "", *_columns(table)]
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
        *_columns(QUARANTINED_EVENTS),
    ]


def _gold() -> list[str]:
    served = {table.mart: table for table in tables().values()}
    lines = ["## Gold", ""]
    for name, mart in marts().items():
        table = served.get(name)
        where = f" Partitioned by `{mart.table.partition}`." if mart.table.partition else ""
        what = f" Served as `{table.name}`." if table else ""
        if mart.table.in_parts:
            what += (
                f" After `stream` it may hold several rows of a key ({_code(mart.table.key)}), one a micro-batch:"
                " whoever reads its files adds their figures. `run` and `reconcile` leave one."
            )
        lines += [f"### {mart.table.path}", "", f"{mart.about}{where}{what}", "", *_columns(mart.table, table)]
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


def _columns(table: Table, served: ServingTable | None = None) -> list[str]:
    head = ["column", "type", "CQL type", "unit", "meaning"]
    rows = [[f"`{c.name}`", c.type, c.cql_type, c.unit.name if c.unit else "", c.meaning] for c in table.columns]
    if served is None:
        head, *rows = ([*line[:2], *line[3:]] for line in (head, *rows))
    return _table(head, rows)


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [*("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines), ""]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(load()), encoding="utf-8")
