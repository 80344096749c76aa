"""Metrics of a build of Silver: the number of records per rule, and the matches of the joins.

Spark's `observe` counts them while it writes the rows, so no extra job runs. Each transaction that rebuilt something
stores them as `_metrics/silver/<number>.json`.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Literal

from pyspark.sql import Column
from pyspark.sql import functions as F

from cloud_analytics.config import Config
from cloud_analytics.lake.folder import Document
from cloud_analytics.lake.lake import Transaction

FOLDER = "_metrics/silver"
_JOINS = {"customers_orgs": "org_matched", "resources": "resource_matched", "users": "user_matched"}


def rule_counts(
    config: Config, source: str, array: Literal["errors", "warnings"], condition: str = "true"
) -> list[Column]:
    """One column per rule that may appear in the array: the number of records that break the rule.

    Only records for which the SQL `condition` is true are counted.
    """
    rules = [rule.id for rule in config.rules_of(source) if (rule.severity == "reject") == (array == "errors")]
    return [F.expr(f"count_if({condition} and array_contains({array}, '{name}')) `{array}:{name}`") for name in rules]


def join_counts() -> list[Column]:
    """Two columns per join: the number of events with a key for it, and the number of events that matched."""
    keys = [F.count(matched).alias(f"keys:{master}") for master, matched in _JOINS.items()]
    return keys + [F.count_if(F.col(matched)).alias(f"matched:{master}") for master, matched in _JOINS.items()]


def _counts(observed: dict[str, Any], prefix: str) -> dict[str, int]:
    """The observed counts above 0 whose name has this prefix."""
    found = {name: int(count) for name, count in observed.items() if count and name.startswith(f"{prefix}:")}
    return {name.partition(":")[2]: count for name, count in found.items()}


def verdicts(silver: int, quarantine: int, observed: dict[str, Any]) -> dict[str, Any]:
    """Row counts of Silver and quarantine, and the records that break each rule, in `errors` and `warnings`."""
    found = {array: _counts(observed, array) for array in ("errors", "warnings")}
    return {"silver": silver, "quarantine": quarantine, **found}


def match_rates(observed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Master → the number of events with a key, how many of them matched, and their share (None without any key)."""
    keys, matched = _counts(observed, "keys"), _counts(observed, "matched")
    return {
        master: {
            "keys": keys.get(master, 0),
            "matched": matched.get(master, 0),
            "rate": matched.get(master, 0) / keys[master] if master in keys else None,
        }
        for master in _JOINS
    }


def record(transaction: Transaction, config: Config, sources: dict[str, dict[str, Any]]) -> None:
    """Store the counts of these sources as part of the transaction."""
    document = {
        "built_at": datetime.now(timezone.utc).isoformat(),
        "rule_version": config.fingerprint(),
        "sources": dict(sorted(sources.items())),
    }
    transaction.store(Document(f"{FOLDER}/{transaction.number}", dict[str, Any], {}), document)
