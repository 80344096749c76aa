"""A small lake whose files each were a micro-batch, copies of it to spoil, and what its Bronze holds."""

from __future__ import annotations

import gzip
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from tests.integration import hostile
from tests.integration.agreement import rows_of
from tests.integration.lakes import bag

EVENTS = "usage_events"
# What the ingest itself decides, and so may differ between two lakes of the same content.
INGEST = {"ingest_ts", "batch_id", "lateness_seconds", "is_late"}

Bag = Counter[tuple[tuple[str, Any], ...]]


def on(day: int, event_id: str, **fields: Any) -> str:
    """A good event of that day of June 2025."""
    return hostile.event(event_id, timestamp=f"2025-06-{day:02}T12:00:00Z", **fields)


def content(*lines: str) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


PACKED = gzip.compress(content(*(on(12, f"packed_{n}", value=n * 7919) for n in range(40))))
FILES = {
    "a_grows.jsonl": content(on(10, "a1"), on(11, "a2"))[:-30],  # its last line is half written
    "b_rewritten.jsonl": content(on(10, "b1", cost_usd_increment=2.5), on(12, "b2"), on(10, "a1")),
    "c_truncated.jsonl.gz": PACKED[:-40],
    "d_fixed.jsonl": content(hostile.event("d1", timestamp="soon")),
    "e_moves.jsonl": content(on(20, "e1"), on(10, "e2", service="moon"), on(11, "e3")),
    "f_stays.jsonl": content(on(10, "f1"), on(11, "f2"), "not json", on(11, "b2")),
}
LATER = {
    "a_grows.jsonl": content(on(10, "a1"), on(11, "a2"), on(13, "a3")),
    "b_rewritten.jsonl": content(on(10, "b1", cost_usd_increment=7.5), on(12, "b3"), on(10, "a1")),
    "c_truncated.jsonl.gz": PACKED,
    "d_fixed.jsonl": content(hostile.event("d1"), on(10, "d2")),
    "e_moves.jsonl": content(on(12, "e1"), on(11, "e3")),  # e1 was the only event of the 20th
}


def copy(base: Path, target: Path) -> tuple[Path, Path]:
    """(landing, lake) of a copy that looks to the pipeline as if nothing had happened."""
    shutil.copytree(base, target, dirs_exist_ok=True)
    return target / "landing", target / "lake"


def write(landing: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (landing / "usage_events_stream" / name).write_bytes(data)


def bronze(lake: Path) -> dict[str, Bag]:
    """Bronze's events and what it rejected, as they came from which file; nothing of when and in which micro-batch."""
    rejects = [row for row in rows_of(lake, f"quarantine/{EVENTS}") if row["error_type"] in
               ("malformed_json", "invalid_timestamp", "unreadable_file")]  # fmt: skip
    return {
        "events": bag(rows_of(lake, f"bronze/{EVENTS}"), INGEST),
        "rejects": bag(rejects, {*INGEST, "date"}),
    }
