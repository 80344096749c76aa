"""Every rule with the number of records that break it: those in quarantine, and those with a warning in Silver."""

from __future__ import annotations

from typing import Any

from cloud_analytics.config import Config
from cloud_analytics.reading.lake import LakeReader, each_source
from cloud_analytics.reading.tables import SOURCES


def catalogue(lake: LakeReader, config: Config) -> list[dict[str, Any]]:
    """Rules by source, in the order of precedence, each with `records`: how many records of the lake break it.

    A record that breaks several rules counts for each of them. Rules that only warn are counted in Silver alone:
    records in quarantine have no warnings.
    """
    found = _counts(lake)
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


def _counts(lake: LakeReader) -> dict[tuple[str, str], int]:
    """(source, id of a rule) → records whose `errors` or `warnings` name it."""
    verdicts = "SELECT '{source}' AS source, unnest(warnings) AS id FROM silver.{source} UNION ALL"
    verdicts += " SELECT '{source}', unnest(errors) FROM quarantine.{source}"
    query = f"SELECT source, id, count(*) AS records FROM ({each_source(verdicts, SOURCES)}) GROUP BY source, id"
    return {(row["source"], row["id"]): row["records"] for row in lake.rows(query)}
