"""The state document of the tables that the engine (engine/) keeps up to date: how each partition was built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloud_analytics.lake.folder import Document


@dataclass(frozen=True)
class Partition:
    """One partition of a table as it was built last.

    `inputs`: a digest of the inputs of the build. `content`: a hash of the partition's rows; "" if it has no rows.
    """

    inputs: str
    content: str
    rows: int


NEVER_BUILT = Partition("never built", "", 0)
"""Stands for a partition without a state; no digest of inputs equals its `inputs`."""

States = dict[str, dict[str, Partition]]
"""Path of a table → name of a partition ("" for a table without partitions) → how it was built."""

TABLES = Document("_state/tables", States, {})


@dataclass(frozen=True)
class Rules:
    """The rules of the present masters of Silver: the fingerprint of the configuration that validated them."""

    judged_by: str | None = None


RULES = Document("_state/rules", Rules, Rules())


def versions(partitions: Mapping[str, Partition]) -> dict[str, str]:
    """Partition → hash of its content. Partitions without rows are left out."""
    return {name: entry.content for name, entry in partitions.items() if entry.rows}
