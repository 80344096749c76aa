"""Gold, kept up to date from Silver: every mart that `gold/` declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloud_analytics.config import Config
from cloud_analytics.engine.refresh import Source, refresh
from cloud_analytics.gold import marts
from cloud_analytics.lake import built
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.periods import Periods
from cloud_analytics.silver.build_events import EVENTS_STATE
from cloud_analytics.tables.zones import QUARANTINED_EVENTS, SILVER_EVENTS, SILVER_MASTERS


def build(
    lake: Lake,
    config: Config,
    settling: bool = False,
    new_periods: Periods | None = None,
    documents: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Rebuild what is stale; returns mart → number of partitions whose content changed.

    `settling`: marts that are written once get the partition of the newest date, too. `new_periods`: other months are
    closed from now on; they are stored together with the `documents`.
    """
    return refresh(lake, config, marts().values(), _silver(lake), settling, new_periods, documents)


def _silver(lake: Lake) -> list[Source]:
    """Silver's tables, and the rejects that were judged with them, date by date."""
    events: dict[str, Any] = lake.state(EVENTS_STATE, {"dates": {}})["dates"]
    masters = built.load(lake)
    by_date = {date: str(entry["version"]) for date, entry in events.items()}
    return [
        Source(SILVER_EVENTS, by_date),
        Source(QUARANTINED_EVENTS, by_date),
        *[Source(table, {"": built.content(masters, table.path)}) for table in SILVER_MASTERS.values()],
    ]
