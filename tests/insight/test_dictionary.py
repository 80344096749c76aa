"""The data dictionary is what the contracts and the declarations say now, and says of each column what it means."""

from __future__ import annotations

from cloud_analytics.config import MASTERS, Config
from cloud_analytics.gold import marts
from cloud_analytics.insight.dictionary import document
from cloud_analytics.serving.tables import tables
from cloud_analytics.tables.zones import (
    BRONZE_EVENTS,
    COST_BASELINES,
    QUARANTINED_EVENTS,
    SILVER_EVENTS,
    SILVER_MASTERS,
)
from tests.conftest import REPOSITORY

MAKE = "python -m cloud_analytics.insight.dictionary docs/data_dictionary.md"


def test_the_document_has_not_drifted(config: Config) -> None:
    text = document(config)
    assert MAKE in text
    assert (REPOSITORY / "docs" / "data_dictionary.md").read_text(encoding="utf-8") == text, f"run {MAKE}"


def test_every_table_and_column_is_in_it(config: Config) -> None:
    text = document(config)
    for name in (
        *(f"gold/{mart}" for mart in marts()),
        *(f"silver/{master}" for master in MASTERS),
        "bronze/usage_events",
    ):
        assert f"### {name}\n" in text
    gold = [mart.table for mart in marts().values()]
    silver = (*SILVER_MASTERS.values(), SILVER_EVENTS, COST_BASELINES)
    for declared in (*gold, *silver, BRONZE_EVENTS, QUARANTINED_EVENTS):
        for field in declared.schema:
            assert f"| `{field.name}` | {field.dataType.simpleString()} |" in text
    for table in tables().values():
        assert f"| `{table.name}` | `{table.mart}` |" in text
        for field in table.source.schema:
            assert f"| `{field.name}` | {field.dataType.simpleString()} | {table.columns[field.name]} |" in text
    meanings = {
        (name, column.name): column.meaning for name, table in SILVER_MASTERS.items() for column in table.columns
    }
    for name in MASTERS:
        for column in config.sources[name].required:
            assert f"| `{column}` | {meanings[name, column]} |" in text
