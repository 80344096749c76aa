"""Handles files that others deleted, added or changed: rebuilds what comes from Bronze, refuses to go on otherwise."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import replace

from cloud_analytics.engine import staging
from cloud_analytics.engine.staging import Staged
from cloud_analytics.errors import PipelineError
from cloud_analytics.gold import marts
from cloud_analytics.lake import built, periods
from cloud_analytics.lake.built import States
from cloud_analytics.lake.folder import REMEDY
from cloud_analytics.lake.inventory import INVENTORY, MISSING, changed_by_others, inventory, is_of_bronze, told
from cloud_analytics.lake.lake import Lake
from cloud_analytics.silver import state as silver_state
from cloud_analytics.silver.state import SilverEvents
from cloud_analytics.tables import Table
from cloud_analytics.tables.zones import COST_BASELINES, QUARANTINED_EVENTS, SILVER_EVENTS, SILVER_MASTERS

logger = logging.getLogger(__name__)

_Changed = Mapping[str, Mapping[str, bool]]  # see `changed_by_others`
_Lost = Mapping[str, Set[str]]  # path of a table → the folders of its partitions that are built again


def expect_whole_bronze(lake: Lake) -> None:
    """PipelineError if others changed files of Bronze or of Bronze's rejects, which cannot be built again."""
    _refuse_bronze(changed_by_others(lake, lambda table: table.startswith(("bronze/", "quarantine/"))))


def expect_whole(lake: Lake, chosen: Callable[[str], bool] | None = None) -> None:
    """PipelineError if others changed files of a table that `chosen` accepts, or of any table without `chosen`.

    Tables that are built from the remaining files would be wrong.
    """
    for path, folders in _changed(lake, chosen).items():
        changed = f"others changed {path}, {told(folders)}"
        raise PipelineError(f"{changed}: `cloud-analytics run` (or `reconcile`) builds that again from Bronze")


def forget_lost(lake: Lake) -> None:
    """Remove the partitions of Silver and Gold whose files others changed, and their state, so that they are rebuilt.

    All tables that read one of these are rebuilt, too: they may have been built from the remaining files. Logs a
    warning for each table that others changed. PipelineError if others changed data that cannot be built again: files
    of Bronze, or Gold's rows of months that finance has closed.
    """
    changed = _changed(lake)
    if not changed:
        return
    lost = _lost(lake, changed)
    closed = lake.load(periods.DOCUMENT).months
    for table in _tables():
        _refuse(table.path, {folder for folder in lost[table.path] if table.is_final(_name(folder), closed)})
    written_once = {table.path for table in _tables() if table.write_once}
    with lake.transaction() as transaction:
        for path, folders in lost.items():
            if folders:
                again = "only the newest date is" if path in written_once else "that is"
                logger.warning(f"others changed {path}, {told(folders)}: {again} built again from Bronze")
                transaction.clear(path, folders)
        transaction.store(silver_state.DOCUMENT, _events_without(lake.load(silver_state.DOCUMENT), lost))
        transaction.store(built.TABLES, _states_without(lake.load(built.TABLES), lost))


def _tables() -> list[Table]:
    """The declared tables whose partitions have a state: Silver's masters and Gold."""
    return [*SILVER_MASTERS.values(), *(mart.table for mart in marts().values())]


def _ours() -> set[str]:
    """The paths of the tables that are built from Bronze."""
    rejects = [QUARANTINED_EVENTS.path, *(f"quarantine/{source}" for source in SILVER_MASTERS)]
    return {SILVER_EVENTS.path, COST_BASELINES.path, *rejects, *(table.path for table in _tables())}


def _changed(lake: Lake, chosen: Callable[[str], bool] | None = None) -> _Changed:
    """What others changed of the tables that are built from Bronze. PipelineError if they changed Bronze itself."""
    found = changed_by_others(lake, chosen)
    _refuse_bronze(found)
    return {path: found[path] for path in found.keys() & _ours()}


def _lost(lake: Lake, changed: _Changed) -> _Lost:
    """The partitions to build again, from those that others changed."""
    lost = {path: {*changed.get(path, ())} for path in _ours()}
    for source, table in SILVER_MASTERS.items():
        if f"quarantine/{source}" in changed:  # a master and its rejects are built together
            lost[table.path] = {""}
    if any(any(folders.values()) for folders in changed.values()):
        # Some files are of another time, as after a backup of only a part. Files of equal length may be so as well.
        for path, folders in _of_another_time(lake).items():
            lost[path] |= folders
    days = {*changed.get(SILVER_EVENTS.path, ()), *changed.get(QUARANTINED_EVENTS.path, ())}
    if any(any(changed.get(path, {}).values()) for path in (SILVER_EVENTS.path, QUARANTINED_EVENTS.path)):
        # Silver's dates have no hash of their content that would tell which other dates are of another time.
        days |= {f"date={date}" for date in lake.load(silver_state.DOCUMENT).dates}
    return {**lost, SILVER_EVENTS.path: days, QUARANTINED_EVENTS.path: days}


def _events_without(silver: SilverEvents, lost: _Lost) -> SilverEvents:
    """The state of Silver's events in which the lost dates were never built.

    Without a master, all dates are stale: their events may have been joined with the rest of it.
    """
    dates = {date: entry for date, entry in silver.dates.items() if f"date={date}" not in lost[SILVER_EVENTS.path]}
    settled = {date: entry for date, entry in silver.settled.items() if f"date={date}" not in lost[SILVER_EVENTS.path]}
    if any(lost[table.path] for table in SILVER_MASTERS.values()):
        dates = {date: replace(entry, inputs=replace(entry.inputs, rules="")) for date, entry in dates.items()}
        settled = {date: replace(inputs, rules="") for date, inputs in settled.items()}
    baselines = None if lost[COST_BASELINES.path] else silver.baselines
    return replace(silver, dates=dates, settled=settled, baselines=baselines)


def _states_without(states: States, lost: _Lost) -> States:
    """The states in which the lost partitions were never built, and all tables that read them are stale."""
    readers: set[str] = set()
    affected = {path for path, folders in lost.items() if folders}
    while more := {table.path for table in _tables() if affected & {read.table for read in table.reads}} - readers:
        readers |= more
        affected |= more
    gone = {path: set(map(_name, folders)) for path, folders in lost.items()}
    return {
        path: {
            name: replace(entry, inputs="") if path in readers else entry
            for name, entry in partitions.items()
            if name not in gone.get(path, ())
        }
        for path, partitions in states.items()
    }


def forget_missing(lake: Lake) -> None:
    """Drop the marks of `forget_lost` after the rebuild: a partition that is still missing has no rows any more."""
    before = inventory(lake)
    after = {
        table: {folder: files for folder, files in folders.items() if files != MISSING}
        for table, folders in before.items()
    }
    if after != before:
        with lake.transaction() as transaction:
            transaction.store(INVENTORY, after)


def _refuse_bronze(changed: _Changed) -> None:
    for path, folders in changed.items():
        _refuse(path, {folder for folder in folders if is_of_bronze(path, folder)})


def _of_another_time(lake: Lake) -> dict[str, set[str]]:
    """Path of a table → the folders of its partitions whose rows differ from the rows that were built."""
    states = lake.load(built.TABLES)
    built_once = [table for table in _tables() if states.get(table.path)]
    found = staging.contents(lake, [Staged(table, table.path) for table in built_once])
    return {
        table.path: {
            f"{table.partition}={name}" if table.partition else ""
            for name, entry in states[table.path].items()
            if found[table.path].get(name, ("", 0)) != (entry.content, entry.rows)
            and entry.content != entry.inputs  # a date with added parts has no hash; parts have new names
        }
        for table in built_once
    }


def _name(folder: str) -> str:
    """The name of a partition in the engine's state: `2025-06-10` for the folder `date=2025-06-10`."""
    return folder.partition("=")[2]


def _refuse(path: str, folders: Collection[str]) -> None:
    if folders:
        changed = f"others changed {path}, {told(folders)}"
        raise PipelineError(f"{changed}, which nothing in the lake can build again: {REMEDY}")
