"""Two lakes of the same landing, compared row by row."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tests.integration.agreement import GOLD_KEYS, SILVER_KEYS, rows_of

# When and in which micro-batch a row came in: two lakes of the same content may differ in it.
INGEST = {"ingest_ts", "batch_id", "lateness_seconds", "is_late", "date_of_ingest"}
TABLES = [
    *[f"silver/{name}" for name in SILVER_KEYS],
    *[f"quarantine/{name}" for name in SILVER_KEYS],
    *[f"gold/{name}" for name in GOLD_KEYS],
    "bronze/usage_events",
]


def _bag(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(repr(sorted((k, v) for k, v in row.items() if k not in INGEST)) for row in rows)


def differences(one: Path, other: Path) -> list[str]:
    """A line for each table that differs; empty tables of both sides are equal, but not all may be empty."""
    found = []
    for table in TABLES:
        left, right = _bag(rows_of(one, table)), _bag(rows_of(other, table))
        if left != right:
            found.append(f"{table}: {sum(left.values())} and {sum(right.values())} rows, e.g. {[*(left - right)][:1]}")
            found[-1] += f" against {[*(right - left)][:1]}"
    filled = sum(bool(rows_of(one, table)) for table in TABLES)
    return found if filled > 16 else [*found, f"only {filled} tables hold rows"]
