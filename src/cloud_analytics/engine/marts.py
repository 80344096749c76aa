"""Keeps Gold up to date from Silver: find stale partitions → build → compare content → replace → record.

Stale partitions follow from the reads that a table declares. A partition is built again if a rule or the content of any
of its inputs has changed. It is replaced only if its own content differs. Each replacement is a record of the change
log, which serving follows.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.config import Config
from cloud_analytics.engine import staging, usage
from cloud_analytics.engine.staging import Contents, Staged
from cloud_analytics.engine.versions import inputs, wanted
from cloud_analytics.gold import marts
from cloud_analytics.lake import built, periods
from cloud_analytics.lake.built import NEVER_BUILT, Partition, States
from cloud_analytics.lake.folder import Document
from cloud_analytics.lake.lake import Lake, Transaction
from cloud_analytics.lake.periods import Periods
from cloud_analytics.lake.rows import computed_once, is_little
from cloud_analytics.silver import state as silver_state
from cloud_analytics.tables import Earlier, Mart, Read, Table
from cloud_analytics.tables.zones import QUARANTINED_EVENTS, SILVER_EVENTS, SILVER_MASTERS

CHANGE_LOG = "gold/_change_log"
_PENDING = "pending"  # stands for the version of a partition to be built; equals no recorded version


@dataclass(frozen=True)
class Source:
    """A table that `refresh` reads but does not build: its declaration, and the version of each partition."""

    table: Table
    versions: Mapping[str, str]


def build(
    lake: Lake, config: Config, settling: bool = False, documents: Mapping[Document[Any], Any] | None = None
) -> dict[str, int]:
    """Rebuild the stale partitions. Returns mart → number of partitions whose content changed.

    `settling`: write-once marts get a partition for the newest date, too. `documents` are stored in the same
    transaction; they include `periods.DOCUMENT`, which then defines the closed months.
    """
    changed = usage.build(lake, config)
    states, by_date = lake.load(built.TABLES), silver_state.versions(lake)
    sources = [
        Source(usage.TABLE, built.versions(states.get(usage.TABLE.path, {}))),
        Source(SILVER_EVENTS, by_date),
        Source(QUARANTINED_EVENTS, by_date),
        *[
            Source(table, {"": states.get(table.path, {}).get("", NEVER_BUILT).content})
            for table in SILVER_MASTERS.values()
        ],
    ]
    others = [mart for mart in marts().values() if mart.table != usage.TABLE]
    changed |= refresh(lake, config, others, sources, settling, documents)
    return changed | (build(lake, config, settling) if documents else {})  # for partitions open since this commit


def refresh(
    lake: Lake,
    config: Config,
    marts: Iterable[Mart],
    sources: Iterable[Source],
    settling: bool = False,
    documents: Mapping[Document[Any], Any] | None = None,
) -> dict[str, int]:
    """Build the stale partitions in one transaction. Returns table → number of partitions whose content changed.

    Write-once tables are skipped unless `settling`. Partitions of closed months are never stale. `documents`: see
    `build`.
    """
    by_path = {mart.table.path: mart for mart in marts}
    versions = {source.table.path: source for source in sources}
    changed: dict[str, int] = {}
    documents = documents or {}
    for _ in range(2):  # twice: if the newest date turns out to have no rows, another date is the newest
        closed = documents[periods.DOCUMENT] if documents else lake.load(periods.DOCUMENT)
        run = _Refresh(lake, config, by_path, versions, settling, closed)
        stale = run.stale()
        if not stale and not documents:
            break
        with lake.transaction() as transaction:
            transaction.final += tuple(run.final(bool(documents)))
            for document, content in documents.items():
                transaction.store(document, content)
            for name, partitions in run.build(transaction, stale).items() if stale else ():
                changed[name] = changed.get(name, 0) + partitions
        documents = {}
    return changed


class _Refresh:
    """One pass over all tables: stages each table once its inputs are built, then compares the contents of all."""

    def __init__(
        self,
        lake: Lake,
        config: Config,
        marts: dict[str, Mart],
        sources: dict[str, Source],
        settling: bool,
        closed: Periods,
    ) -> None:
        self.lake, self.config, self.marts, self.sources, self.settling = lake, config, marts, sources, settling
        self.open_month, self.closed = closed.open_month, closed.months
        self.rules = config.fingerprint()
        self.known: States = lake.load(built.TABLES)
        self.frames: dict[tuple[str, ...], DataFrame] = {}  # (folder, partitions) → rows read so far
        self.held, self.reading = ExitStack(), threading.Lock()
        reads = {path: {read.table for read in mart.table.reads} - {path} for path, mart in marts.items()}
        self.order = [path for path in TopologicalSorter(reads).static_order() if path in marts]
        self.tables = {path: mart.table for path, mart in marts.items()}
        self.tables |= {path: source.table for path, source in sources.items()}

    def stale(self) -> dict[str, frozenset[str]]:
        """Table → its partitions to build or to remove. A partition that reads a stale partition is stale, too."""
        found = {}
        now: dict[str, Mapping[str, str]] = {path: source.versions for path, source in self.sources.items()}
        for path in self.order:
            table, known = self.marts[path].table, self.known.get(path, {})
            fresh, held = inputs(table, now, self.rules, self.closed), self._held(path)
            stale = {name for name in {*fresh, *known} - held if known.get(name, NEVER_BUILT).inputs != fresh.get(name)}
            if table.write_once:
                stale = stale - known.keys() if self.settling else set()
            if stale and any(isinstance(read, Earlier) and read.table == path for read in table.reads):
                stale |= {name for name in fresh if name > min(stale)}
            kept = {name: version for name, version in built.versions(known).items() if name not in stale}
            now[path] = {**kept, **dict.fromkeys(stale & fresh.keys(), _PENDING)}
            if stale:
                found[path] = frozenset(stale)
        return found

    def final(self, closing: bool) -> Iterator[str]:
        """The folders with rows of closed months, to be flushed to disk. Partitions are final from the `closing` on."""
        for path, table in self.tables.items() if self.closed else ():
            if table.closes is not None or table.of_closed_months:
                yield path
            for name in self.known.get(path, {}) if closing else ():
                if table.is_held(name, self.closed):
                    yield f"{path}/{table.partition}={name}"

    def build(self, transaction: Transaction, stale: dict[str, frozenset[str]]) -> dict[str, int]:
        """Build the stale partitions, replace those whose content differs, and record the new states.

        Returns the number of changed partitions by table name.
        """
        with ThreadPoolExecutor(4) as pool, self.held:
            pending: dict[str, Future[Staged]] = {}
            for path in self.order:  # a table comes after the tables that it reads, so that no thread waits forever
                if path in stale:
                    pending[path] = pool.submit(self._write, transaction, self.marts[path], stale[path], dict(pending))
            done = {path: future.result() for path, future in pending.items()}
        states = self._states(done)
        changed = {path: self._place(transaction, path, entry, states[path]) for path, entry in done.items()}
        transaction.store(built.TABLES, {**self.known, **states})
        log = [
            {
                "version": transaction.number,
                "mart": self.tables[path].name,
                "partition": name,
                "rows": states[path].get(name, NEVER_BUILT).rows,
            }
            for path, names in changed.items()
            for name in names
        ]
        if log:
            transaction.store(Document(f"{CHANGE_LOG}/{transaction.number}", list[dict[str, Any]], []), log)
        return {self.tables[path].name: len(names) for path, names in changed.items() if names}

    def _write(
        self, transaction: Transaction, mart: Mart, stale: frozenset[str], pending: Mapping[str, Future[Staged]]
    ) -> Staged:
        """Stage the stale partitions of a table, after the tables that it reads are built."""
        table = mart.table
        reads = {read.table for read in table.reads} & pending.keys()
        fresh = {path: pending[path].result() for path in reads}
        frames = [self._read(read, stale, fresh.get(read.table)) for read in table.reads]
        little = is_little(frames)
        for place, read in enumerate(table.reads):
            if little or self.tables[read.table].partition is None:
                frames[place] = frames[place].coalesce(1)  # one task groups and joins without a shuffle
            if self.tables[read.table].in_parts:
                frames[place] = self.tables[read.table].added(frames[place])
        settings = [table.settings(self.config)] if table.settings else []
        if table.of_closed_months:
            settings.append(self.open_month or "")
        rows = mart.build(*frames, *settings)
        if table.closes is not None and self.closed and table.path in self.known:
            is_closed = F.col(table.closes).isin(*self.closed)
            rows = rows.where(~is_closed).unionByName(self.lake.rows(table).where(is_closed))
        if table.partition:
            rows = rows.where(F.col(table.partition).cast("string").isin(*stale))
        return staging.stage(transaction, table, rows, stale, little)

    def _read(self, read: Read, stale: frozenset[str], fresh: Staged | None) -> DataFrame:
        """The rows of a table that the stale partitions read, from the lake and from new partitions (`fresh`)."""
        table = self.tables[read.table]
        if table.partition is None:
            return self.lake.read(fresh.folder if fresh else table.path, table.schema)
        source, known = self.sources.get(read.table), self.known.get(read.table, {})
        there = source.versions if source else built.versions(known)
        old = wanted(read, stale, there.keys() - (fresh.partitions if fresh else frozenset()))
        kept = self._partitions(table, table.path, old)
        if fresh is None:
            return kept
        new = self._partitions(table, fresh.folder, wanted(read, stale, fresh.partitions))
        return new.unionByName(kept) if old else new

    def _partitions(self, table: Table, folder: str, names: Iterable[str]) -> DataFrame:
        """The rows of some partitions. They are kept for the other tables of this pass if they are little.

        To list and open the files of sixty dates takes longer than to compute with their few rows.
        """
        partitions = [f"{table.partition}={name}" for name in names]
        key = (folder, *partitions)
        with self.reading:
            found = self.frames.get(key)
            if found is None:
                found = self.lake.read(folder, table.schema, partitions)
                if is_little([found]):
                    found = computed_once(self.held, found.coalesce(1), little=True)
                self.frames[key] = found
            return found

    def _held(self, path: str) -> set[str]:
        """The partitions of a table that must not change because finance has closed their months."""
        return {name for name in self.known.get(path, {}) if self.marts[path].table.is_held(name, self.closed)}

    def _states(self, done: Mapping[str, Staged]) -> States:
        """The state of every table after this pass."""
        contents: dict[str, Contents] = staging.contents(self.lake, list(done.values()))
        now: dict[str, Mapping[str, str]] = {path: source.versions for path, source in self.sources.items()}
        states: States = {}
        for path in self.order:
            known = self.known.get(path, {})
            held = known if self.marts[path].table.write_once else self._held(path)
            states[path] = {name: known[name] for name in held}
            for name, digest_of_inputs in inputs(self.marts[path].table, now, self.rules, self.closed).items():
                if path in done and name in done[path].partitions:
                    states[path][name] = Partition(digest_of_inputs, *contents[path].get(name, ("", 0)))
                elif name in known:
                    states[path][name] = known[name]
            now[path] = built.versions(states[path])
        return states

    def _place(self, transaction: Transaction, path: str, entry: Staged, states: Mapping[str, Partition]) -> list[str]:
        """Replace the partitions whose content differs, and remove those without rows. Returns the changed names."""
        known = self.known.get(path, {})
        touched = entry.partitions | (known.keys() - states.keys())  # the table may have fewer dates than before
        now, before = ({name: each.get(name, NEVER_BUILT).content for name in touched} for each in (states, known))
        changed = {name for name in touched if now[name] != before[name]}
        if changed:
            coming = [name for name in changed if now[name]]
            staging.place(transaction, entry.table, entry.folder, coming, changed)
        return sorted(changed)
