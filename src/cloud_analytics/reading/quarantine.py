"""Query the rejected records: select, count and show them; and list every rule with the records that break it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import date
from typing import Any

from cloud_analytics.config import EVENTS, Config
from cloud_analytics.config.rules import BRONZE
from cloud_analytics.days import calendar_day
from cloud_analytics.errors import UsageError
from cloud_analytics.reading.lake import LakeReader, each_source
from cloud_analytics.reading.tables import SOURCES


@dataclass(frozen=True)
class Selection:
    """A filter on quarantined records; None means no filter.

    `since` and `until` (both inclusive) filter on the `date` of quarantine: the date of the event, else of the ingest.
    """

    source: str | None = None
    error_type: str | None = None
    since: date | None = None
    until: date | None = None


def select(
    config: Config, source: str | None, error_type: str | None, since: str | None, until: str | None
) -> Selection:
    """Check the options of a command and return the selection. UsageError for a bad value; the lake is not read."""
    sources = check_source(source)
    rules = [rule for one in sources for rule in config.rules_of(one) if rule.severity == "reject"]
    allowed = list(dict.fromkeys(rule.id for rule in rules))
    if error_type is not None and error_type not in allowed:
        raise UsageError(f"--error-type {error_type!r}: choose one of {', '.join(allowed)}")
    first = calendar_day("--from", since) if since is not None else None
    last = calendar_day("--to", until) if until is not None else None
    if first is not None and last is not None and first > last:
        raise UsageError(f"--from {first} is after --to {last}")
    return Selection(source, error_type, first, last)


def check_source(source: str | None) -> tuple[str, ...]:
    """The named source, or all sources for None. UsageError if there is no such source."""
    if source is None:
        return SOURCES
    if source not in SOURCES:
        raise UsageError(f"--source {source!r}: choose one of {', '.join(SOURCES)}")
    return (source,)


def records(selection: Selection) -> tuple[str, list[Any]]:
    """A SELECT of the selected records with the columns of quarantine, one row per record, and its parameters."""
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
    """Whether a changed rule, alias or vocabulary could accept the record. False if Bronze could not read its text."""
    return not (source == EVENTS and error_type in BRONZE) and error_type != "malformed_csv"


def overview(lake: LakeReader, selection: Selection, config: Config) -> list[dict[str, Any]]:
    """One row per (source, error_type): count, date range, whether a rule could accept the records, and the message."""
    chosen, parameters = records(selection)
    groups = lake.rows(
        "SELECT source, error_type, count(*) AS records, min(date)::VARCHAR AS first_date,"
        f" max(date)::VARCHAR AS last_date FROM ({chosen}) GROUP BY source, error_type",
        parameters,
    )
    words = _messages(config)
    return [
        {
            **group,
            "replayable": in_reach_of_rules(group["source"], group["error_type"]),
            "message": words.get((group["source"], group["error_type"])),
        }
        for group in sorted(groups, key=lambda g: (SOURCES.index(g["source"]), -g["records"], g["error_type"]))
    ]


def show(lake: LakeReader, selection: Selection, config: Config, limit: int) -> list[dict[str, Any]]:
    """The first `limit` records by source, date, error_type and file, each with its original text and all its errors.

    `raw_base64` holds the bytes of a text that is not valid UTF-8; otherwise it is None.
    """
    chosen, parameters = records(selection)
    found = lake.rows(
        "SELECT source, date, error_type, errors, source_file, strftime(ingest_ts, '%Y-%m-%dT%H:%M:%SZ') AS ingest_ts,"
        f" rule_version, raw, raw_bytes FROM ({chosen}) ORDER BY source, date, error_type, source_file, raw LIMIT ?",
        [*parameters, limit],
    )
    words = _messages(config)
    return [
        {
            "source": row["source"],
            "date": row["date"].isoformat(),
            "error_type": row["error_type"],
            "errors": [{"id": name, "message": words.get((row["source"], name))} for name in row["errors"]],
            "replayable": in_reach_of_rules(row["source"], row["error_type"]),
            "source_file": row["source_file"],
            "ingest_ts": row["ingest_ts"],
            "rule_version": row["rule_version"],
            "raw": row["raw"],
            "raw_base64": None if row["raw_bytes"] is None else base64.b64encode(row["raw_bytes"]).decode(),
        }
        for row in found
    ]


def _messages(config: Config) -> dict[tuple[str, str], str]:
    """(source, id of a rule) → the message of the rule."""
    return {(source, rule.id): rule.message for source in SOURCES for rule in config.rules_of(source)}


def catalogue(lake: LakeReader, config: Config) -> list[dict[str, Any]]:
    """Rules by source in the order of precedence, each with `records`: the number of records that break the rule.

    A record that breaks several rules counts once for each of them. Rules that only warn are counted in Silver alone,
    because records in quarantine have no warnings.
    """
    verdicts = "SELECT '{source}' AS source, unnest(warnings) AS id FROM silver.{source} UNION ALL"
    verdicts += " SELECT '{source}', unnest(errors) FROM quarantine.{source}"
    query = f"SELECT source, id, count(*) AS records FROM ({each_source(verdicts, SOURCES)}) GROUP BY source, id"
    found = {(row["source"], row["id"]): row["records"] for row in lake.rows(query)}
    return [
        {
            "source": source,
            "id": rule.id,
            "severity": rule.severity,
            "column": rule.column if rule.severity == "nullify" else None,
            "when": rule.when,
            "check": rule.check,
            "message": rule.message,
            "records": found.get((source, rule.id), 0),
        }
        for source in SOURCES
        for rule in config.rules_of(source)
    ]
