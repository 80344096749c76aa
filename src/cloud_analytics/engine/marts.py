"""Gold, kept up to date from Silver: every mart that `gold/` declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloud_analytics.config import Config
from cloud_analytics.engine import usage
from cloud_analytics.engine.refresh import Source, refresh
from cloud_analytics.gold import marts
from cloud_analytics.lake import built
from cloud_analytics.lake.folder import Document
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.periods import Periods
from cloud_analytics.silver import state as silver_state
from cloud_analytics.tables.zones import QUARANTINED_EVENTS, SILVER_EVENTS, SILVER_MASTERS


def build(
    lake: Lake,
    config: Config,
    settling: bool = False,
    new_periods: Periods | None = None,
    documents: Mapping[Document[Any], Any] | None = None,
) -> dict[str, int]:
    """Rebuild what is stale; returns mart → number of partitions whose content changed.

    `settling`: marts that are written once get the partition of the newest date, too. `new_periods` replace the closed
    months, and are stored together with the `documents`.
    """
    changed = usage.build(lake, config)
    others = [mart for mart in marts().values() if mart.table != usage.TABLE]
    found = refresh(lake, config, others, _sources(lake), settling, new_periods, documents)
    if new_periods is not None:  # once more, for what is open only since they were stored
        return {**changed, **found, **build(lake, config, settling)}
    return {**changed, **found}


def _sources(lake: Lake) -> list[Source]:
    """The tables that marts read and `refresh` does not build: usage of resources, masters, events and rejects."""
    states = lake.load(built.TABLES)
    by_date = silver_state.versions(lake)
    masters = SILVER_MASTERS.values()
    return [
        Source(usage.TABLE, built.versions(states.get(usage.TABLE.path, {}))),
        Source(SILVER_EVENTS, by_date),
        Source(QUARANTINED_EVENTS, by_date),
        *[Source(table, {"": built.content_of(states.get(table.path, {}).get(""))}) for table in masters],
    ]
