"""Files that somebody deleted from a lake: what Bronze can give again is built again, and the rest is told first."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace

from cloud_analytics.bronze import ledger
from cloud_analytics.engine import usage
from cloud_analytics.errors import PipelineError
from cloud_analytics.gold import marts
from cloud_analytics.lake import built, periods
from cloud_analytics.lake.folder import REMEDY
from cloud_analytics.lake.lake import Lake
from cloud_analytics.silver import state as silver_state
from cloud_analytics.tables import Table
from cloud_analytics.tables.zones import BRONZE_EVENTS, SILVER_EVENTS, SILVER_MASTERS

logger = logging.getLogger(__name__)


def forget_lost(lake: Lake) -> None:
    """Forget the partitions of Silver and Gold that had rows and have no file any more, so that they are built again.

    Each table is told by a warning. PipelineError for what cannot be built again: dates of Bronze, and what Gold keeps
    of months that finance has closed.
    """
    states, silver = built.load(lake), silver_state.load(lake)
    bronze = lake.load(ledger.DATES)
    _refuse(BRONZE_EVENTS, _without_files(lake, BRONZE_EVENTS, bronze))
    summed = states.get(usage.TABLE.path, {})
    versions = silver_state.versions(lake)
    had_rows = [date for date, entry in summed.items() if entry.rows and entry.inputs == versions.get(date)]
    events = _without_files(lake, SILVER_EVENTS, had_rows)
    lost = {SILVER_EVENTS: events} if events else {}
    left = {}
    closed = periods.load(lake).months
    for table in (*SILVER_MASTERS.values(), *(mart.table for mart in marts().values())):
        known = states.get(table.path, {})
        gone = _without_files(lake, table, [name for name, entry in known.items() if entry.rows])
        if gone:
            _refuse(table, {name for name in gone if table.is_held(name, closed) or (table.closes and closed)})
            lost[table] = gone
            left[table.path] = {name: entry for name, entry in known.items() if name not in gone}
    if not lost:
        return
    for table, names in lost.items():
        logger.warning(f"{table.path} has lost {_told(names)}: what Bronze gives of it is built again")
    dates = {date: entry for date, entry in silver.dates.items() if date not in events}
    settled = {date: entry for date, entry in silver.settled.items() if date not in events}
    with lake.transaction() as transaction:
        transaction.store(silver_state.DOCUMENT, replace(silver, dates=dates, settled=settled))
        transaction.store(built.TABLES, {**states, **left})


def _without_files(lake: Lake, table: Table, partitions: Collection[str]) -> set[str]:
    """Those of these partitions ("" where the table is one) that have no file."""
    there = {path.partition("/")[0].partition("=")[2] for path in lake.relative_files(table.path)}
    return set(partitions) - there


def _refuse(table: Table, gone: Collection[str]) -> None:
    if gone:
        raise PipelineError(f"{table.path} has lost {_told(gone)}, which nothing in the lake can build again: {REMEDY}")


def _told(names: Collection[str]) -> str:
    """`the files of 2025-06-01 and 3 more`; `all its files` for a table that is one partition."""
    first, *others = sorted(names)
    return "all its files" if not first else f"the files of {first}" + (f" and {len(others)} more" if others else "")
