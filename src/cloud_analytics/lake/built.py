"""What the lake remembers of the tables that the engine (engine/) keeps up to date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloud_analytics.lake.folder import Document, LakeFolder


@dataclass(frozen=True)
class Partition:
    """One partition of a table as it was built.

    `inputs`: a digest of what it was built from. `content`: a hash of its rows; "" where it has none.
    """

    inputs: str
    content: str
    rows: int


States = dict[str, dict[str, Partition]]
"""Path of a table → name of a partition ("" where the table is one) → how it was built."""

TABLES = Document("_state/tables", States)
RULES = "_state/rules"


def load(lake: LakeFolder) -> States:
    """Every table that was ever built."""
    return lake.load(TABLES)


def inputs_of(partition: Partition | None) -> str | None:
    """What a partition was built from; None for one that was never built."""
    return partition.inputs if partition else None


def content_of(partition: Partition | None) -> str:
    """The hash of a partition's rows; "" for one that has none or was never built."""
    return partition.content if partition else ""


def versions(partitions: Mapping[str, Partition]) -> dict[str, str]:
    """Partition → version of its content, of those that have rows."""
    return {name: entry.content for name, entry in partitions.items() if entry.rows}


def judged_by(lake: LakeFolder) -> str | None:
    """Fingerprint of the configuration that judged the masters of Silver as they are; None where none did."""
    fingerprint: str | None = lake.state(RULES, {"judged_by": None})["judged_by"]
    return fingerprint
