"""Compares the yardstick's output with a lake of the pipeline, row by row, as the tests compare lakes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.integration import agreement

# The yardstick keeps neither the text of rejected masters nor bytes that are not UTF-8.
_EVENTS = "usage_events"


def compare(lake: Path, out: Path) -> list[str]:
    """One line per difference in Silver, Gold or quarantine; an empty list where they are equal."""
    found = []
    for zone, keys in (("silver", agreement.SILVER_KEYS), ("gold", agreement.GOLD_KEYS)):
        for name, key in keys.items():
            table = f"{zone}/{name}"
            mine, theirs = agreement.rows_of(lake, table), agreement.rows_of(out, table)
            found += agreement.table_differences(table, mine, theirs, key)
            if mine and not theirs:
                found.append(f"{table}: the yardstick has no rows")
    for source in agreement.SILVER_KEYS:
        ours, others = (
            Counter(
                (row["error_type"], tuple(row["errors"]), row["raw"] if source == _EVENTS else None)
                for row in agreement.rows_of(folder, f"quarantine/{source}")
            )
            for folder in (lake, out)
        )
        found += [f"quarantine/{source}: only the pipeline {key}" for key in (ours - others).elements()]
        found += [f"quarantine/{source}: only the yardstick {key}" for key in (others - ours).elements()]
    return found
