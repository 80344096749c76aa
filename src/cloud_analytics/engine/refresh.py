"""Keeps tables up to date: which partitions are stale → build → compare content → replace → record.

What is stale follows from what a table declares to read: a partition is built again when the content of anything that
it is built from, or a rule, has changed; it is replaced only when its own content differs. Every replacement is one
record of the change log, which serving follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from graphlib import TopologicalSorter
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.config import Config
from cloud_analytics.engine.versions import inputs, wanted
from cloud_analytics.lake import built, periods
from cloud_analytics.lake.built import Partition, States
from cloud_analytics.lake.compare import row_hash
from cloud_analytics.lake.few_rows import collected_with_contents, is_little
from cloud_analytics.lake.lake import Lake, Transaction
from cloud_analytics.lake.periods import Periods
from cloud_analytics.tables import Earlier, Mart, Read, Table

CHANGE_LOG = "gold/_change_log"
_PENDING = "pending"  # the version of a partition that is being built: no recorded input has it


@dataclass(frozen=True)
class Source:
    """A table that others read and the engine does not build: its declaration, and the version of each partition."""

    table: Table
    versions: Mapping[str, str]


@dataclass(frozen=True)
class _Built:
    """A table that was built: the partitions that were stale, and the folder that holds the new rows of them.

    `contents`: hash and number of the rows of each partition; None where a query has to find them out.
    """

    table: Table
    stale: frozenset[str]
    staged: str
    contents: dict[str, tuple[str, int]] | None = None


def refresh(
    lake: Lake,
    config: Config,
    marts: Iterable[Mart],
    sources: Iterable[Source],
    settling: bool = False,
    new_periods: Periods | None = None,
    documents: Mapping[str, Any] | None = None,
) -> dict[str, int]:
    """Build what is stale, in one transaction; returns table → number of partitions whose content changed.

    Tables that are written once are only looked at when `settling`. What finance has closed is not stale; `new_periods`
    say what that is from now on, and are stored in the same transaction, together with further `documents`.
    """
    marts_by_path = {mart.table.path: mart for mart in marts}
    sources_by_path = {source.table.path: source for source in sources}
    changed: dict[str, int] = {}
    for _ in range(2):  # a date may turn out to have no rows: then the newest one is another than was thought
        run = _Refresh(lake, config, marts_by_path, sources_by_path, settling, new_periods or periods.load(lake))
        stale = run.stale()
        if not stale and new_periods is None:
            break
        with lake.transaction() as transaction:
            if new_periods is not None:
                for name, content in {**(documents or {}), periods.DOCUMENT: new_periods.as_document()}.items():
                    transaction.put(name, content)
            for name, partitions in run.build(transaction, stale).items() if stale else ():
                changed[name] = changed.get(name, 0) + partitions
        new_periods = None
    return changed


class _Refresh:
    """One pass over all tables: each is written aside as soon as what it reads is there, then all are compared."""

    def __init__(
        self,
        lake: Lake,
        config: Config,
        marts: dict[str, Mart],
        sources: dict[str, Source],
        settling: bool,
        periods: Periods,
    ) -> None:
        self.lake, self.config, self.marts, self.sources, self.settling = lake, config, marts, sources, settling
        self.periods, self.closed = periods, periods.months
        self.rules = config.fingerprint()
        self.known: States = built.load(lake)
        reads = {path: {read.table for read in mart.table.reads} - {path} for path, mart in marts.items()}
        self.order = [path for path in TopologicalSorter(reads).static_order() if path in marts]
        self.tables = {
            **{path: mart.table for path, mart in marts.items()},
            **{path: source.table for path, source in sources.items()},
        }

    def stale(self) -> dict[str, frozenset[str]]:
        """Table → its partitions that have to be built, or to go. What reads a stale partition is stale as well."""
        found = {}
        now: dict[str, Mapping[str, str]] = {path: source.versions for path, source in self.sources.items()}
        for path in self.order:
            table, known = self.marts[path].table, self.known.get(path, {})
            fresh, held = inputs(table, now, self.rules, self.closed), self._held(path)
            stale = {name for name in {*fresh, *known} - held if _inputs(known.get(name)) != fresh.get(name)}
            if table.write_once:
                stale = stale - known.keys() if self.settling else set()
            if stale and any(isinstance(read, Earlier) and read.table == path for read in table.reads):
                stale |= {name for name in fresh if name > min(stale)}
            kept = {name: version for name, version in built.versions(known).items() if name not in stale}
            now[path] = {**kept, **dict.fromkeys(stale & fresh.keys(), _PENDING)}
            if stale:
                found[path] = frozenset(stale)
        return found

    def build(self, transaction: Transaction, stale: dict[str, frozenset[str]]) -> dict[str, int]:
        """Build the stale partitions, replace those whose content differs, and record all."""
        with ThreadPoolExecutor(4) as pool:
            pending: dict[str, Future[_Built]] = {}
            for path in self.order:  # what a table reads is submitted before it: so none waits for ever
                if path in stale:
                    pending[path] = pool.submit(self._write, transaction, self.marts[path], stale[path], dict(pending))
            done = {path: future.result() for path, future in pending.items()}
        states = self._recorded(done)
        changed = {path: self._place(transaction, entry, states[path]) for path, entry in done.items()}
        built.store(transaction, {**self.known, **states})
        log = [
            {
                "version": transaction.number,
                "mart": self.tables[path].name,
                "partition": name,
                "rows": states[path][name].rows if name in states[path] else 0,
            }
            for path, names in changed.items()
            for name in names
        ]
        if log:
            transaction.put_lines(f"{CHANGE_LOG}/{transaction.number}.json", log)
        return {self.tables[path].name: len(names) for path, names in changed.items() if names}

    def _write(
        self, transaction: Transaction, mart: Mart, stale: frozenset[str], pending: Mapping[str, Future[_Built]]
    ) -> _Built:
        """Build the stale partitions aside, once what they are made of is there."""
        table = mart.table
        reads = {read.table for read in table.reads} & pending.keys()
        fresh = {path: pending[path].result() for path in reads}
        frames = [self._read(read, stale, fresh.get(read.table)) for read in table.reads]
        little = is_little(frames)
        for place, read in enumerate(table.reads):
            if little or self.tables[read.table].partition is None:
                frames[place] = frames[place].coalesce(1)  # one task: rows that are grouped or joined need not be moved
            if self.tables[read.table].in_parts:
                frames[place] = self.tables[read.table].added(frames[place])
        settings = [table.settings(self.config)] if table.settings else []
        if table.of_closed_months:
            settings.append(self.periods.open_month or "")
        rows = mart.build(*frames, *settings)
        if table.closes is not None and self.closed and self._there(table.path):
            is_closed = F.col(table.closes).isin(*self.closed)
            rows = rows.where(~is_closed).unionByName(self.lake.read(table.path, table.schema).where(is_closed))
        partition_by = [table.partition] if table.partition else []
        if table.partition:
            rows = rows.where(F.col(table.partition).cast("string").isin(*stale))
        if little:
            held, contents = collected_with_contents(rows, table.partition)
            return _Built(table, stale, transaction.stage(held, partition_by), contents)
        moved = self.lake.together(rows, partition_by, len(stale))
        return _Built(table, stale, transaction.stage(moved, partition_by))

    def _read(self, read: Read, stale: frozenset[str], fresh: _Built | None) -> DataFrame:
        """What a table is given of one that it reads: partitions as they lie in the lake, and those just built."""
        table = self.tables[read.table]
        if table.partition is None:
            return self.lake.read(fresh.staged if fresh else table.path, table.schema)
        old = wanted(read, stale, self._there(read.table) - (fresh.stale if fresh else frozenset()))
        lies = self._partitions(table, table.path, old)
        if fresh is None:
            return lies
        new = self._partitions(table, fresh.staged, wanted(read, stale, fresh.stale))
        return new.unionByName(lies) if old else new

    def _partitions(self, table: Table, folder: str, names: Iterable[str]) -> DataFrame:
        return self.lake.read(folder, table.schema, [f"{table.partition}={name}" for name in names])

    def _held(self, path: str) -> set[str]:
        """The partitions of a table that stay as they are, since finance has closed their months."""
        return {name for name in self.known.get(path, {}) if self.marts[path].table.is_held(name, self.closed)}

    def _there(self, path: str) -> frozenset[str]:
        """The partitions of a table that lie in the lake."""
        if path in self.sources:
            return frozenset(self.sources[path].versions)
        return frozenset(built.versions(self.known.get(path, {})))

    def _recorded(self, done: Mapping[str, _Built]) -> States:
        """The state of every table after this pass; what Spark's tasks wrote is hashed, all in one query."""
        content = {path: dict(entry.contents or {}) for path, entry in done.items()}
        unknown = [self._hashed(entry) for entry in done.values() if entry.contents is None]
        if unknown:
            digest = F.sum(F.col("hash").cast("decimal(20,0)")).cast("string")
            hashed = reduce(DataFrame.unionByName, unknown).groupBy("path", "name")
            for row in hashed.agg(digest.alias("hash"), F.count("*").alias("rows")).collect():
                content[row.path][row.name] = (row.hash, row.rows)
        now: dict[str, Mapping[str, str]] = {path: source.versions for path, source in self.sources.items()}
        states: States = {}
        for path in self.order:
            known = self.known.get(path, {})
            held = known if self.marts[path].table.write_once else self._held(path)
            states[path] = {name: known[name] for name in held}
            for name, digest_of_inputs in inputs(self.marts[path].table, now, self.rules, self.closed).items():
                if path in done and name in done[path].stale:
                    states[path][name] = Partition(digest_of_inputs, *content[path].get(name, ("", 0)))
                elif name in known:
                    states[path][name] = known[name]
            now[path] = built.versions(states[path])
        return states

    def _hashed(self, entry: _Built) -> DataFrame:
        """(table, partition, hash) of each row that was built."""
        table = entry.table
        rows = self.lake.read(entry.staged, table.schema)
        name = F.col(table.partition).cast("string") if table.partition else F.lit("")
        return rows.select(F.lit(table.path).alias("path"), name.alias("name"), row_hash(rows.columns).alias("hash"))

    def _place(self, transaction: Transaction, entry: _Built, states: Mapping[str, Partition]) -> list[str]:
        """Replace the partitions whose content differs; those without rows go. Returns their names."""
        known = self.known.get(entry.table.path, {})
        touched = entry.stale | (known.keys() - states.keys())  # it may have fewer dates than was thought before
        changed = {name for name in touched if _content(states.get(name)) != _content(known.get(name))}
        if changed:
            going = {f"{entry.table.partition}={name}" for name in changed}
            coming = {f"{entry.table.partition}={name}" for name in changed if _content(states.get(name))}
            if entry.table.partition is None:
                transaction.place(entry.table.path, entry.staged if coming else None)
            else:
                transaction.place(
                    entry.table.path,
                    entry.staged,
                    lambda path: path.split("/")[0] in going,
                    lambda path: path.split("/")[0] in coming,
                )
        return sorted(changed)


def _inputs(partition: Partition | None) -> str | None:
    return partition.inputs if partition else None


def _content(partition: Partition | None) -> str:
    return partition.content if partition else ""
