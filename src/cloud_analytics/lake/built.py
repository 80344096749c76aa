"""What the lake remembers of the tables that the engine (engine/) keeps up to date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from cloud_analytics.lake.lake import Lake, Transaction

DOCUMENT = "_state/tables"
RULES = "_state/rules"


@dataclass(frozen=True)
class Partition:
    """One partition of a table as it was built: a digest of what from, and a hash of its rows (none: "")."""

    inputs: str
    content: str
    rows: int


States = dict[str, dict[str, Partition]]
"""Table → partition → how it was built."""


def load(lake: Lake) -> States:
    """Every table that was ever built."""
    stored: dict[str, dict[str, dict[str, str | int]]] = lake.state(DOCUMENT, {})
    return {
        table: {name: Partition(**entry) for name, entry in partitions.items()}  # type: ignore[arg-type]
        for table, partitions in stored.items()
    }


def store(transaction: Transaction, states: Mapping[str, Mapping[str, Partition]]) -> None:
    """Remember all of them, together with what the transaction writes."""
    transaction.put(
        DOCUMENT,
        {table: {name: asdict(entry) for name, entry in found.items()} for table, found in states.items()},
    )


def versions(partitions: Mapping[str, Partition]) -> dict[str, str]:
    """Partition → version of its content, of those that have rows."""
    return {name: entry.content for name, entry in partitions.items() if entry.rows}


def content(states: Mapping[str, Mapping[str, Partition]], table: str) -> str:
    """The version of a table that is one partition."""
    partition = states.get(table, {}).get("")
    return partition.content if partition else ""


def judged_by(lake: Lake) -> str | None:
    """Fingerprint of the configuration that judged the masters of Silver as they are."""
    fingerprint: str | None = lake.state(RULES, {"judged_by": None})["judged_by"]
    return fingerprint
