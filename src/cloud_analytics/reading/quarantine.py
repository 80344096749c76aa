"""Rejected records as people ask for them: an overview, and the records themselves. One quarantined record a row."""

from __future__ import annotations

import base64
from typing import Any

from cloud_analytics.config import EVENTS, Config
from cloud_analytics.config.rules import BRONZE
from cloud_analytics.reading.lake import LakeReader, each_source
from cloud_analytics.reading.selection import Selection
from cloud_analytics.reading.tables import SOURCES


def records(selection: Selection) -> tuple[str, list[Any]]:
    """A SELECT of the quarantined records that are meant, of all sources, with its parameters."""
    sources = [selection.source] if selection.source is not None else SOURCES
    conditions = {
        "error_type = ?": selection.error_type,
        "date >= ?": selection.since,
        "date <= ?": selection.until,
    }
    asked = {condition: value for condition, value in conditions.items() if value is not None}
    select = each_source("SELECT * FROM quarantine.{source}", sources)
    return f"SELECT * FROM ({select}) WHERE {' AND '.join(['true', *asked])}", list(asked.values())


def in_reach_of_rules(source: str, error_type: str) -> bool:
    """Whether another rule, alias or vocabulary could accept a record; a text that Bronze could not read, none can."""
    return not (source == EVENTS and error_type in BRONZE) and error_type != "malformed_csv"


def overview(lake: LakeReader, selection: Selection, config: Config) -> list[dict[str, Any]]:
    """(source, error_type) with its message → how many records, their dates, and whether a rule could accept them."""
    chosen, parameters = records(selection)
    groups = lake.rows(
        "SELECT source, error_type, count(*) AS records, min(date)::VARCHAR AS first_date,"
        f" max(date)::VARCHAR AS last_date FROM ({chosen}) GROUP BY source, error_type",
        parameters,
    )
    words = messages(config)
    return [
        {
            **group,
            "replayable": in_reach_of_rules(group["source"], group["error_type"]),
            "message": words.get((group["source"], group["error_type"])),
        }
        for group in sorted(groups, key=lambda g: (SOURCES.index(g["source"]), -g["records"], g["error_type"]))
    ]


def show(lake: LakeReader, selection: Selection, config: Config, limit: int) -> list[dict[str, Any]]:
    """The first records by source, date, error_type and file, as they came, each with all that is wrong with it.

    `raw_base64` holds the bytes of a text that is no UTF-8, and is null otherwise.
    """
    chosen, parameters = records(selection)
    found = lake.rows(
        "SELECT source, date, error_type, errors, source_file, strftime(ingest_ts, '%Y-%m-%dT%H:%M:%SZ') AS ingest_ts,"
        f" rule_version, raw, raw_bytes FROM ({chosen}) ORDER BY source, date, error_type, source_file, raw LIMIT ?",
        [*parameters, limit],
    )
    words = messages(config)
    return [_as_record(row, words) for row in found]


def messages(config: Config) -> dict[tuple[str, str], str]:
    """(source, id of a rule) → what it tells people."""
    return {(source, rule.id): rule.message for source in SOURCES for rule in config.rules_of(source)}


def _as_record(row: dict[str, Any], words: dict[tuple[str, str], str]) -> dict[str, Any]:
    source, raw_bytes = row["source"], row["raw_bytes"]
    return {
        "source": source,
        "date": row["date"].isoformat(),
        "error_type": row["error_type"],
        "errors": [{"id": name, "message": words.get((source, name))} for name in row["errors"]],
        "replayable": in_reach_of_rules(source, row["error_type"]),
        "source_file": row["source_file"],
        "ingest_ts": row["ingest_ts"],
        "rule_version": row["rule_version"],
        "raw": row["raw"],
        "raw_base64": base64.b64encode(raw_bytes).decode() if raw_bytes is not None else None,
    }
