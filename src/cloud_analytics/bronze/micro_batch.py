"""What a micro-batch tells of itself; kept as `_metrics/micro_batches/<batch_id>.json`."""

from __future__ import annotations

from dataclasses import dataclass

METRICS = "_metrics/micro_batches"


@dataclass(frozen=True)
class MicroBatch:
    """What one micro-batch did. Lateness in seconds; `touched` are the event dates whose rows it changed.

    `watermark_would_drop` counts the rows that a plain watermark would have lost. `late_alert`: they are a larger share
    than the configured one, of files that came since the lake began. `files_again` of its files had been ingested
    before, with another content. `unreadable`: file → why none of its content is used. `lines_gone`: file that changed
    → how many of its earlier lines are not in it any more.
    """

    batch_id: str
    files: int
    files_again: int
    input_rows: int
    rejected_rows: int
    late_rows: int
    max_lateness_seconds: int | None
    p95_lateness_seconds: float | None
    watermark_would_drop: int
    late_share: float
    late_alert: bool
    duration_seconds: float
    touched: tuple[str, ...]
    unreadable: dict[str, str]
    lines_gone: dict[str, int]
