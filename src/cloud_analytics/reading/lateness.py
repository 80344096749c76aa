"""Late events: the metrics of each micro-batch, what a plain watermark would lose, and how fresh a lake is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import accumulate
from typing import Annotated, Any, get_type_hints

import pandas as pd
from pydantic import AfterValidator, create_model

from cloud_analytics.bronze import ledger
from cloud_analytics.bronze.ledger import METRICS, MicroBatch
from cloud_analytics.errors import PipelineError
from cloud_analytics.lake.folder import LAST_TRANSACTION, Document, LakeFolder
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.untrusted import json_value

_NEVER = -(2**62)  # microseconds: a clock before its first event


def _moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("expected an offset from UTC")
    return text


# The schema of a metrics document. Documents of earlier versions lack some of the fields.
_Stored: Any = create_model(  # type: ignore[call-overload]
    "_Stored",
    ingest_ts=(Annotated[str, AfterValidator(_moment)], ...),
    **{name: (kind, None) for name, kind in get_type_hints(MicroBatch).items()},
)


def micro_batches(lake: LakeFolder, newest: int = 0) -> pd.DataFrame:
    """One row per micro-batch, in the order of ingest: rows, files, late rows, lateness in seconds, alert, duration.

    `watermark_would_drop` counts the events that a plain watermark of the configured length would have lost. `newest`:
    return only this many micro-batches, those written last (0: all). PipelineError if a metrics file is damaged.
    """
    files = sorted(lake.files.files(METRICS), key=lambda info: info.modified)[-newest:]
    rows = [_document(path, text) for path, text in lake.files.contents(files).items()]
    return pd.DataFrame(rows, columns=list(_Stored.model_fields)).sort_values("ingest_ts", ignore_index=True)


def _document(path: str, text: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json_value(text)
        _Stored.model_validate_json(text, strict=True)
    except ValueError:
        raise PipelineError(f"{path} is damaged: delete it, which loses the figures of one micro-batch") from None
    return found


def watermark_losses(lake: LakeReader, watermark: timedelta, sizes: Sequence[int]) -> pd.DataFrame:
    """How many events in Bronze a plain watermark would lose if micro-batches had other sizes.

    One row per size: `files_per_batch`, `events`, `lost`. Files are ordered by modification time, as in Spark's file
    source. As in `watermark_would_drop`, an event is lost if it is older than the clock by more than `watermark`. The
    clock is the newest event time of all earlier micro-batches; events with a time after their ingest do not count.
    """
    in_time = "SELECT source_file, max(epoch_us(event_ts)) FILTER (event_ts <= ingest_ts) AS newest"
    rows = lake.rows(f"{in_time} FROM bronze.usage_events GROUP BY source_file")
    newest = {row["source_file"]: row["newest"] for row in rows}
    entries = lake.load(ledger.FILES)
    files = sorted(entries, key=lambda name: (entries[name].modified, name))
    clocks = list(accumulate((newest.get(name) or _NEVER for name in files), max))
    # The clock before the micro-batch of each file, minus the watermark. Events before this limit are lost.
    length = watermark // timedelta(microseconds=1)
    limits = [
        [clocks[at // size * size - 1] - length if at >= size else _NEVER for at in range(len(files))] for size in sizes
    ]
    columns = ", ".join(f"unnest(?::BIGINT[]) AS limit_{size}" for size in sizes)
    lost = ", ".join(f"count(*) FILTER (epoch_us(event_ts) < limit_{size}) AS lost_{size}" for size in sizes)
    found = lake.row(
        f"SELECT count(*) AS events, {lost} FROM bronze.usage_events"
        f" JOIN (SELECT unnest(?::VARCHAR[]) AS source_file, {columns}) USING (source_file)",
        [files, *limits],
    )
    return pd.DataFrame(
        {"files_per_batch": list(sizes), "events": found["events"], "lost": [found[f"lost_{size}"] for size in sizes]}
    )


@dataclass(frozen=True)
class Freshness:
    """The times of the newest event and of the last transaction, in UTC (None: there was none).

    `snapshots` maps a master to the ingest date of its latest snapshot; a master that never arrived is missing.
    """

    newest_event: datetime | None
    changed: datetime | None
    snapshots: dict[str, str]

    def moments(self, batches: pd.DataFrame) -> dict[str, datetime | None]:
        """What happened when, in words; `batches` is the frame of `micro_batches`."""
        ingested = None if batches.empty else datetime.fromisoformat(max(batches["ingest_ts"]))
        return {
            "newest event": self.newest_event,
            "events last ingested": ingested,
            "lake last changed": self.changed,
        }


def freshness(lake: LakeFolder) -> Freshness:
    """Read the freshness from the state documents of a lake."""

    def moment(document: Document[int | None]) -> datetime | None:
        microseconds = lake.load(document)
        return None if microseconds is None else datetime.fromtimestamp(microseconds / 1e6, timezone.utc)

    snapshots = {name: entry.ingest_date for name, entry in lake.load(ledger.SNAPSHOTS).items() if entry.files}
    return Freshness(moment(ledger.CLOCK), moment(LAST_TRANSACTION), snapshots)
