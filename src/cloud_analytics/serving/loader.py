"""Finds the partitions of Gold that the serving tables lack, loads them, and records what was loaded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pyspark.sql import DataFrame

from cloud_analytics.engine.lost import expect_whole
from cloud_analytics.lake import built
from cloud_analytics.lake.lake import Lake
from cloud_analytics.serving.keyspace import IDENTITY, Found, Identity, Loaded, Owner, claim, document_of, is_empty
from cloud_analytics.serving.tables import tables
from cloud_analytics.serving.target import Target
from cloud_analytics.serving.write import Keys, delete, partition_keys, slices, upsert
from cloud_analytics.tables.cql import ServingTable

if TYPE_CHECKING:
    from cassandra.cluster import Session

logger = logging.getLogger(__name__)

_Load = tuple[str | None, int]
_Loads = Mapping[str, Mapping[str, _Load]]  # see `Loaded.partitions`
Partitions = dict[str, dict[str, str]]  # mart → partition → hash of its rows in Gold
# (table, partitions of its mart, key columns) → the values of these columns in these partitions of Gold
KeysInGold = Callable[[ServingTable, Sequence[str], Sequence[str]], Keys]


@dataclass(frozen=True)
class TablePlan:
    """The load of one table: number of due partitions of its mart, of their rows, and of slices to delete."""

    table: str
    partitions: int
    rows: int
    deletions: int

    @property
    def writes(self) -> int:
        """The number of writes: one for each row and one for each deletion."""
        return self.rows + self.deletions


@dataclass(frozen=True)
class Plan:
    """A planned load. `written`: writes of this month so far. `allowance`: writes allowed a month (None: no limit)."""

    tables: tuple[TablePlan, ...]
    written: int
    allowance: int | None

    @property
    def writes(self) -> int:
        """The planned writes of all tables."""
        return sum(table.writes for table in self.tables)

    @property
    def exceeds_allowance(self) -> bool:
        """Whether the load needs more writes than are left this month."""
        return self.allowance is not None and self.written + self.writes > self.allowance

    def line(self) -> str:
        """A summary of the load in one line."""
        rows, deletions = (sum(getattr(table, name) for table in self.tables) for name in ("rows", "deletions"))
        text = f"this load plans {self.writes:,} writes ({rows:,} rows, {deletions:,} deletions)"
        if self.allowance is None:
            return text
        total = self.written + self.writes
        share = f"{text}: with the {self.written:,} of this month {total / self.allowance:.1%} of {self.allowance:,}"
        return f"{share}: more than the month's allowance" if self.exceeds_allowance else share


@dataclass(frozen=True)
class _Part:
    """The work of a load on one table: write the rows of `frame`, delete older rows with `stale` keys of `columns`."""

    table: ServingTable
    partitions: dict[str, str]
    frame: DataFrame | None
    columns: tuple[str, ...]
    stale: Keys
    plan: TablePlan


class Loader:
    """Loads partitions of Gold into the tables of a keyspace, and records what was loaded (`Loaded`).

    `owner`: the lake whose rows the tables hold. The state is outdated, and everything is due, if the owner is another
    lake, or is this lake with another newest load than its state (the folder or the store was restored from a backup).

    `written`: each loaded table is added to this list, with its number of rows. `keys_in_gold`: reads keys from Gold
    without Spark; a loader with it can plan a load but not execute it.
    """

    def __init__(
        self,
        lake: Lake,
        target: Target,
        session: Session,
        found: Mapping[str, Found],
        owner: Owner | None,
        written: list[tuple[str, int]] | None = None,
        keys_in_gold: KeysInGold | None = None,
    ) -> None:
        self.lake, self.target, self.session, self.present, self.owner = lake, target, session, set(found), owner
        self.document, self.written = document_of(found), [] if written is None else written
        self.marts = {table.mart: table for table in tables().values()}
        self._keys_in_gold = keys_in_gold
        self.state = lake.load(self.document)
        self.identity = lake.load(IDENTITY) or Identity(uuid4().hex)
        outdated = owner is not None and (owner.lake_id, owner.version) != (self.identity.id, self.state.clock)
        if owner is not None and outdated:
            self.state = Loaded(max(owner.version, self.state.clock), writes=self.state.writes)
        self.starts_anew = outdated or not self.state.clock  # no recorded load of these tables

    def due(self) -> Partitions:
        """The partitions whose rows the tables may lack: mart → partition → hash of the rows that Gold holds now.

        A partition is due if it changed after its load, if its load did not end, or if its last write is older than
        half its TTL. If others emptied a table, all its partitions with rows are due. A mart whose first load has not
        ended is always due: the load then also deletes all rows of the table that are not in Gold.
        """
        due: Partitions = {mart: {} for mart in self.marts if mart not in self.state.complete}
        states, now = self.lake.load(built.TABLES), time.time_ns() // 1_000
        for mart, table in self.marts.items():
            gold, loaded = states.get(table.source.path, {}), self.state.partitions.get(mart, {})
            known = any(gold[name].rows for name in gold.keys() & loaded.keys()) and mart in self.state.complete
            emptied = known and table.name in self.present and is_empty(self.session, table)
            limit = now - table.ttl_seconds * 1_000_000 // 2
            for name in {*gold, *loaded}:
                partition, (before, at) = gold.get(name, built.NEVER_BUILT), loaded.get(name, ("", now))
                again = partition.rows and (emptied or at < limit)
                if partition.content != before or again:
                    due.setdefault(mart, {})[name] = partition.content
        return due

    def plan(self, due: Mapping[str, dict[str, str]]) -> Plan:
        """The plan of a load of these partitions. Writes nothing."""
        return self._plan(self._parts(due))

    def load(self, due: Partitions) -> None:
        """Load these partitions: afterwards their slices of the tables hold the same rows as Gold.

        If one table fails, the loads of the other tables remain. The first failure is raised at the end.
        PipelineError if others changed files of these marts.
        """
        if not due:
            return
        paths = {self.marts[mart].source.path for mart in due}
        expect_whole(self.lake, paths.__contains__)  # the load would record missing rows as loaded
        logger.debug("serving: %d partitions of %d marts", sum(map(len, due.values())), len(due))
        parts = self._parts(due)
        plan = self._plan(parts)
        if plan.allowance is not None:
            logger.log(logging.WARNING if plan.exceeds_allowance else logging.INFO, plan.line())
        before = self.state.partitions
        clock = max(self.state.clock + 1, time.time_ns() // 1_000)
        # Recorded before the first write: if this load dies, the next one has a higher T and clears the right slices.
        self._keep(
            clock=clock,
            partitions=_merged(before, due, lambda _content: (None, clock)),
            writes={_month(): plan.written + plan.writes},
        )
        self._claim()
        failures: list[BaseException] = []
        with self._pool() as pool:
            pending = {pool.submit(self._write, part, clock): part for part in parts}
            for done in as_completed(pending):
                failure = done.exception()
                if failure is not None:
                    failures.append(failure)
                else:
                    self._done(pending[done], clock)
        if failures:
            raise failures[0]

    def adopt(self) -> None:
        """Claim a keyspace that this lake filled before keyspaces had an identity."""
        self._keep()
        self._claim()

    def _claim(self) -> None:
        """Write this lake's identity and the version of its newest load into the keyspace."""
        mine = Owner(self.identity.id, self.lake.root, self.state.clock)
        claim(self.session, mine, self.owner, str(self.target))
        self.owner = mine

    def _pool(self) -> ThreadPoolExecutor:
        """Threads that load four tables at once; one table at a time if the store limits the requests."""
        return ThreadPoolExecutor(4 if self.target.requests_per_second is None else 1)

    def _parts(self, due: Mapping[str, dict[str, str]]) -> list[_Part]:
        with self._pool() as pool:
            return list(pool.map(lambda mart: self._part(self.marts[mart], due[mart]), due))

    def _part(self, table: ServingTable, due: dict[str, str]) -> _Part:
        complete, partitions = table.mart in self.state.complete, sorted(due)
        columns = table.slice_key if complete else table.partition_key
        stale: Keys = set()
        if table.name in self.present and (partitions or not complete):
            pace = self.target.requests_per_second
            stale = slices(self.session, table, partitions, pace) if complete else partition_keys(self.session, table)
        # Keys in Gold are stale, too: an earlier load may have left rows that reads do not show yet (on a replica that
        # was away).
        loaded_before, frame = self.state.partitions.get(table.mart, {}).keys() & due.keys(), None
        if self._keys_in_gold is not None:
            stale = stale | (self._keys_in_gold(table, partitions, columns) if loaded_before else set())
        elif partitions:
            day = table.source.partition
            paths = [f"{day}={partition}" for partition in partitions] if day else None
            frame = self.lake.rows(table.source, paths)
            if loaded_before:
                stale = stale | {tuple(row) for row in frame.select(*columns).distinct().collect()}
        gold_rows = self._gold_rows()
        rows = sum(gold_rows.get((table.mart, partition), 0) for partition in partitions)
        return _Part(table, due, frame, columns, stale, TablePlan(table.name, len(due), rows, len(stale)))

    def _write(self, part: _Part, clock: int) -> None:
        if part.frame is not None:
            upsert(part.frame, part.table, self.target, clock, self.session, part.plan.rows)
        pace = self.target.requests_per_second
        delete(self.session, part.table, part.columns, part.stale, clock - 1, pace)

    def _done(self, part: _Part, clock: int) -> None:
        mart, before = part.table.mart, self.state.partitions
        self.written.append((part.table.name, part.plan.rows))
        self._keep(
            complete=tuple(sorted({*self.state.complete, mart})),
            partitions=_merged(before, {mart: part.partitions}, lambda content: (content, clock)),
        )

    def _plan(self, parts: list[_Part]) -> Plan:
        written = self.state.writes.get(_month(), 0)
        return Plan(tuple(part.plan for part in parts), written, self.target.monthly_writes)

    def _gold_rows(self) -> dict[tuple[str, str], int]:
        """(mart, partition) → number of rows in Gold."""
        tables = self.lake.load(built.TABLES)
        return {
            (mart, name): partition.rows
            for mart, table in self.marts.items()
            for name, partition in tables.get(table.source.path, {}).items()
            if partition.rows
        }

    def _keep(self, **values: Any) -> None:
        state = replace(self.state, **values)
        with self.lake.transaction() as transaction:
            transaction.store(self.document, state)
            transaction.store(IDENTITY, self.identity)
        self.state = state


def _month() -> str:
    return f"{datetime.now(timezone.utc):%Y-%m}"


def _merged(known: _Loads, due: Partitions, load: Callable[[str], _Load]) -> _Loads:
    now = {mart: {name: load(content) for name, content in partitions.items()} for mart, partitions in due.items()}
    return {mart: {**known.get(mart, {}), **now.get(mart, {})} for mart in {**known, **now}}
