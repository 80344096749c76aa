"""How fresh a lake is: its newest event, its masters, and when it last changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from cloud_analytics.bronze import ledger
from cloud_analytics.lake.folder import LAST_TRANSACTION, LakeFolder


@dataclass(frozen=True)
class Freshness:
    """The times of the newest event and of the last change, in UTC (None: there was none).

    `snapshots` maps a master to the ingest date of its latest snapshot; one that never arrived is not in it.
    """

    newest_event: datetime | None
    changed: datetime | None
    snapshots: dict[str, str]


def freshness(lake: LakeFolder) -> Freshness:
    """Read it from the state documents of a lake."""
    return Freshness(
        newest_event=_moment(lake.state(ledger.CLOCK, None)),
        changed=_moment(lake.state(LAST_TRANSACTION, None)),
        snapshots={name: entry.ingest_date for name, entry in lake.load(ledger.SNAPSHOTS).items() if entry.files},
    )


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else datetime.fromtimestamp(microseconds / 1e6, timezone.utc)
