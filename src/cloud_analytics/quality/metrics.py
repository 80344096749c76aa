"""What a build of Silver counted on its way: records for each rule, and matches of the joins.

Counted by observation while the rows are written, so that no job runs for it; kept as `_metrics/silver/<number>.json`,
a document for each transaction that rebuilt something.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from cloud_analytics.config import Config
from cloud_analytics.lake.lake import Transaction

FOLDER = "_metrics/silver"
JOINS = {"customers_orgs": "org_matched", "resources": "resource_matched", "users": "user_matched"}


def rejecting(config: Config, source: str) -> list[str]:
    """Ids of the rules that may stand in `errors`."""
    return [rule.id for rule in config.rules_of(source) if rule.severity == "reject"]


def warning(config: Config, source: str) -> list[str]:
    """Ids of the rules that may stand in `warnings`."""
    return [rule.id for rule in config.rules_of(source) if rule.severity != "reject"]


def tally(array: str, ids: Iterable[str], among: str = "true") -> list[Column]:
    """For each id how many records hold it in this array; only those `among` (SQL) which it is asked, if given."""
    return [F.expr(f"count_if({among} and array_contains({array}, '{name}')) `{array}:{name}`") for name in ids]


def matches() -> list[Column]:
    """For each join how many events have a key for it, and how many of them found it."""
    return [
        column
        for master, matched in JOINS.items()
        for column in (
            F.count(matched).alias(f"keys:{master}"),
            F.count_if(F.col(matched)).alias(f"matched:{master}"),
        )
    ]


def counted(observed: dict[str, Any], prefix: str) -> dict[str, int]:
    """What was observed under a prefix, where it is not 0."""
    found = {name.partition(":")[2]: int(count) for name, count in observed.items() if name.startswith(f"{prefix}:")}
    return {name: count for name, count in found.items() if count}


def verdicts(silver: int, quarantine: int, observed: dict[str, Any]) -> dict[str, Any]:
    """Rows that went where, and the records of each rule that some broke: in quarantine, and in Silver."""
    found = {array: counted(observed, array) for array in ("errors", "warnings")}
    return {"silver": silver, "quarantine": quarantine, **found}


def match_rates(observed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Master → events with a key, how many matched, and the share of them (null where there is no key)."""
    keys, matched = counted(observed, "keys"), counted(observed, "matched")
    return {
        master: {
            "keys": keys.get(master, 0),
            "matched": matched.get(master, 0),
            "rate": matched.get(master, 0) / keys[master] if master in keys else None,
        }
        for master in JOINS
    }


def record(transaction: Transaction, config: Config, sources: dict[str, dict[str, Any]]) -> None:
    """Store what was counted of some sources, as a part of the transaction."""
    document = {
        "built_at": datetime.now(timezone.utc).isoformat(),
        "rule_version": config.fingerprint(),
        "sources": dict(sorted(sources.items())),
    }
    transaction.put(f"{FOLDER}/{transaction.number}", document)
