"""What a micro-batch reports of itself; kept as `_metrics/micro_batches/<batch_id>.json`."""

from __future__ import annotations

from dataclasses import dataclass

METRICS = "_metrics/micro_batches"


@dataclass(frozen=True)
class MicroBatch:
    """What one micro-batch did. Lateness is in seconds.

    `files_again`: files that had been ingested before, with another content. `watermark_would_drop`: rows that a plain
    watermark would have lost. `late_alert`: these are a larger share than the configured one, in files that came since
    the lake began. `touched`: the event dates whose rows it changed. `unreadable`: file → why none of its content is
    used. `lines_gone`: file that changed → how many of its earlier lines it does not hold any more.
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
