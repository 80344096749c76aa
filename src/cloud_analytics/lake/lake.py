"""The lake: zones of plain Parquet, changed only by transactions that replace whole partitions.

This is the only writer of Parquet. A transaction writes everything to a staging folder (`_staging/`) and then writes
one journal file, which commits it. After the commit it removes the old files, moves the new files into place and stores
the new state documents. Each of these steps may be repeated, so the next process finishes the work of a killed one.
Staged files without a journal belong to no commit and are deleted.

Data that cannot be built again is flushed to disk before the journal, so that a loss of power does not leave empty
files.

If a partition has one old file and one new file, as everywhere in Gold, the new file replaces the old one atomically:
a reader finds the old partition or the new one at any moment. If there are several files, the old ones are removed
first, so that no reader counts a row twice.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar
from uuid import uuid4

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from cloud_analytics.lake.failures import readable_refusals
from cloud_analytics.lake.file_system import FileSystem
from cloud_analytics.lake.files import LocalFileSystem, file_system
from cloud_analytics.lake.folder import LAST_TRANSACTION, STORED, ZONES, Document, LakeFolder, text_hash
from cloud_analytics.lake.inventory import INVENTORY, MISSING, files_after, folder_of, inventory
from cloud_analytics.lake.journal import JOURNAL, Journal
from cloud_analytics.lake.locks import Lease, held
from cloud_analytics.lake.rows import collected, parquet_files
from cloud_analytics.lake.uris import absolute, escape_glob, local_folder
from cloud_analytics.tables import Table

_FINAL = ("bronze", "quarantine")  # cannot be built again; the other zones are built from them
_STAGING = "_staging"
_STATE = "_state"
_VECTORS = "spark.sql.parquet.enableVectorizedReader"
LONG_LINES = Document("_state/long_lines", bool, False)
"""Whether the lake holds a line of landing that has more than `LONG_LINE` bytes."""
LONG_LINE = 64 * 2**10

Content = TypeVar("Content")
Rows: TypeAlias = "DataFrame | pa.Table"
"""Rows to write: a DataFrame that Spark's tasks write, or an Arrow table in the memory of this process."""


def empty_frame(spark: SparkSession, schema: StructType) -> DataFrame:
    """A DataFrame of this schema without rows. `createDataFrame` is not used because it starts a Python worker."""
    return spark.range(0).selectExpr(
        *[f"cast(null as {field.dataType.simpleString()}) `{field.name}`" for field in schema]
    )


def partition_folder(path: str) -> str:
    """`date=2025-06-10/service=genai/part-0.parquet` → the folder of the file."""
    return path.rpartition("/")[0]


def partition_values(folder: str) -> dict[str, str]:
    """`date=2025-06-10/service=genai` → {"date": "2025-06-10", "service": "genai"}."""
    return dict(part.split("=", 1) for part in folder.split("/") if "=" in part)


def lies_below(folders: Collection[str]) -> Callable[[str], bool]:
    """A function that tells whether the path of a file lies in one of these folders, at any depth."""
    chosen = frozenset(folders)
    return lambda path: any(folder in chosen for folder in _folders_above(path))


def _folders_above(path: str) -> Iterator[str]:
    """`bronze/t/a.parquet` → `bronze`, `bronze/t`."""
    return (path[:end] for end, char in enumerate(path) if char == "/")


def _everything(_path: str) -> bool:
    return True


class _Placed(NamedTuple):
    """The arguments of one call of `Transaction.place`."""

    table: str
    staged: str | None
    remove: Callable[[str], bool] | None
    keep: Callable[[str], bool]


@dataclass
class Transaction:
    """Collects the changes of one commit. They become visible when the `with` block ends without an error."""

    lake: Lake
    number: int
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _placed: list[_Placed] = field(default_factory=list)
    _cleared: dict[str, frozenset[str]] = field(default_factory=dict)
    _documents: dict[str, Any] = field(default_factory=dict)
    final: tuple[str, ...] = _FINAL
    """Folders whose files cannot be built again. New files there are flushed to disk before the commit."""

    def replace(
        self,
        table: str,
        rows: Rows | None,
        partition_by: Sequence[str] = (),
        remove: Callable[[str], bool] | None = _everything,
        rows_per_file: int = 0,
    ) -> str | None:
        """Stage rows as new files of `table`, and drop those old files whose path below the table `remove` accepts.

        With `remove=None` no old file is dropped. Returns the staged folder, from which the rows can be read before the
        commit; None without rows.
        """
        staged = self.stage(rows, partition_by, rows_per_file) if rows is not None else None
        self.place(table, staged, remove)
        return staged

    def stage(self, rows: Rows, partition_by: Sequence[str] = (), rows_per_file: int = 0) -> str:
        """Write rows to a staging folder and return it, to be read and to `place`. Files not placed are deleted later.

        An Arrow table becomes one file for each partition. A DataFrame becomes files as its tasks are partitioned, of
        at most `rows_per_file` rows (0: no limit).
        """
        staged = f"{_STAGING}/{self.number}/{next(self._numbers)}"  # tables are written from several threads
        if isinstance(rows, pa.Table):

            def write(file: tuple[str, bytes]) -> None:
                self.lake.files.write(f"{staged}/{file[0]}/part-{uuid4()}.parquet", file[1], durable=False)

            self.lake.files.each(write, parquet_files(rows, partition_by))
            return staged
        writer = rows.write.mode("overwrite").option("maxRecordsPerFile", rows_per_file)
        if partition_by:
            writer = writer.partitionBy(*partition_by)
        writer.parquet(self.lake.files.full(staged))
        return staged

    def place(
        self,
        table: str,
        staged: str | None,
        remove: Callable[[str], bool] | None = _everything,
        keep: Callable[[str], bool] = _everything,
    ) -> None:
        """Add the staged files that `keep` accepts to `table`, and drop the old files that `remove` accepts."""
        self._placed.append(_Placed(table, staged, remove, keep))

    def clear(self, table: str, folders: Collection[str]) -> None:
        """Drop all files in these partition folders of `table`, including files that the lake did not write.

        Readers are warned that the partitions are missing until they are built again or `forget_missing` is called.
        """
        self._cleared[table] = frozenset(folders)
        self.place(table, None, lambda path: folder_of(path) in folders)

    def store(self, document: Document[Content], content: Content) -> None:
        """Store a document together with the data."""
        self._documents[document.path] = document.adapter.dump_python(content, mode="json")

    def journal(self) -> Journal:
        """The journal of this transaction: files to move and to remove, documents to store."""
        moves: list[tuple[str, str]] = []
        replacements: list[tuple[str, str]] = []
        gone: dict[str, dict[str, int]] = {}  # table → files to remove, including the files to be replaced
        come: dict[str, dict[str, int]] = {}
        for table, staged, remove, keep in self._placed:
            old = _by_folder(self._leaving(table, remove, gone.setdefault(table, {})))
            coming = come.setdefault(table, {})
            new = self.lake.data_files(staged) if staged is not None else {}
            for folder, paths in _by_folder(filter(keep, new)).items():
                if len(paths) == len(old.get(folder, ())) == 1:
                    (places, pairs) = (old[folder], replacements)
                else:
                    names = [f"{self.number}-{path.rpartition('/')[2]}" for path in paths]
                    (places, pairs) = ([f"{folder}/{name}".lstrip("/") for name in names], moves)
                for path, place in zip(paths, places):
                    pairs.append((f"{staged}/{path}", f"{table}/{place}"))
                    coming[place] = new[path]
        self._take_stock(gone, come)
        documents = {path: content for path, content in self._documents.items() if path.startswith(f"{_STATE}/")}
        hashes = {path: text_hash(json.dumps(content)) for path, content in documents.items()}
        self.store(STORED, self.lake.load(STORED) | hashes)
        replaced = {target for _, target in replacements}
        removed = [
            name for table, files in gone.items() for path in files if (name := f"{table}/{path}") not in replaced
        ]
        return Journal(self.number, removed, moves, self._documents, replacements)

    def _leaving(self, table: str, remove: Callable[[str], bool] | None, gone: dict[str, int]) -> list[str]:
        """The files of a table that `remove` accepts and that are not yet in `gone`. Adds them to `gone`."""
        there = self.lake.data_files(table) if remove is not None else {}
        leaving = {path: length for path, length in there.items() if remove and remove(path) and path not in gone}
        gone |= leaving
        return list(leaving)

    def _take_stock(self, gone: Mapping[str, Mapping[str, int]], come: Mapping[str, Mapping[str, int]]) -> None:
        """Store the inventory: the files that the tables have after this transaction."""
        known, found = inventory(self.lake), {}
        for table in gone:
            anew = self._cleared.get(table, frozenset())
            before = {folder: files for folder, files in known.get(table, {}).items() if folder not in anew}
            left = {path: length for path, length in gone[table].items() if folder_of(path) not in anew}
            missing = {folder: MISSING for folder in anew & known.get(table, {}).keys()}
            found[table] = missing | files_after(before, left, come[table])
        if found or self.lake.load(INVENTORY) is None:
            self.store(INVENTORY, {**known, **found})


def _by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for path in paths:
        found[partition_folder(path)].append(path)
    return found


class Lake(LakeFolder):
    """A lake folder (local path or URI): its tables, state documents and transactions."""

    files: FileSystem

    def __init__(self, spark: SparkSession | Callable[[], SparkSession], root: str) -> None:
        """`spark` is a session, or a function that starts one at the first use."""
        self._spark, self._starting = spark, threading.Lock()
        super().__init__(self.reach(root))
        self._lease: Lease | None = None
        self._sweeper: Executor | None = None

    @property
    def spark(self) -> SparkSession:
        """The Spark session, started at the first use."""
        with self._starting:  # several threads may ask for the session at once
            if not isinstance(self._spark, SparkSession):
                self._spark = self._spark()
            return self._spark

    @property
    def has_spark(self) -> bool:
        """Whether a session was started."""
        return isinstance(self._spark, SparkSession)

    def reach(self, root: str) -> FileSystem:
        """The files below any path or URI. Starts Spark if Python cannot reach the path."""
        if not self.has_spark and local_folder(root) is not None:
            return LocalFileSystem(absolute(root))
        return file_system(self.spark, root)

    # reading

    def partitions(self, table: str) -> dict[str, dict[str, str]]:
        """Each folder that holds files, relative to the table → the values of its partition columns."""
        folders = sorted(set(map(partition_folder, self.data_files(table))))
        return {folder: partition_values(folder) for folder in folders}

    def read(self, table: str, schema: StructType, paths: Iterable[str] | None = None) -> DataFrame:
        """A table as a DataFrame with exactly `schema`; an absent or empty table has no rows.

        With `paths` (partition folders relative to the table) only these folders are listed and read.
        """
        wanted = [table] if paths is None else [f"{table}/{path}" for path in paths]
        chosen = list(filter(self.files.exists, wanted))
        if not chosen:
            return empty_frame(self.spark, schema)
        reader = self.spark.read.schema(schema).option("basePath", self.files.full(table))
        return reader.parquet(*[escape_glob(self.files.full(path)) for path in chosen])

    def rows(self, table: Table, folders: Iterable[str] | None = None) -> DataFrame:
        """The rows of a declared table, or those in some of its partition folders."""
        if self.load(LONG_LINES):  # Spark's quick reader holds 4,096 of them at a time; the other one is 7 % slower
            self.spark.conf.set(_VECTORS, "false")
        return self.read(table.path, table.schema, folders)

    # writing

    def gathered(self, frame: DataFrame, by: Sequence[str], partitions: int, little: bool = False) -> Rows:
        """The rows of `frame`, arranged so that each partition becomes one file.

        `partitions`: the largest expected number of combinations of the columns `by`. `little`: the input is small, so
        the rows are collected into this process. Otherwise they are shuffled to at most two tasks per core.
        """
        if little:
            return collected(frame)
        if partitions == 1:
            return frame.coalesce(1)
        tasks = max(1, min(partitions, 2 * self.spark.sparkContext.defaultParallelism))
        return frame.repartition(tasks, *by)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Everything written inside becomes visible together, or not at all."""
        number = max((self.load(LAST_TRANSACTION) or 0) + 1, time.time_ns() // 1_000)
        transaction = Transaction(self, number)
        try:
            yield transaction
        except BaseException:
            with suppress(OSError):  # tasks of a failed job may still write: the next start deletes it
                self.files.delete(f"{_STAGING}/{number}")
            raise
        transaction.store(LAST_TRANSACTION, number)
        journal = transaction.journal()
        self._expect_inside(*{path.rpartition("/")[0] for path in journal.paths()})
        self._expect_lease(decided=False)
        self._sync(journal, transaction.final)
        self.files.write_text(f"{JOURNAL.path}.json", json.dumps(vars(journal)))
        self.files.sync([_STATE])
        self._apply(journal)

    def _sync(self, journal: Journal, final: Sequence[str]) -> None:
        """Flush to disk the new files of the `final` folders, and the old files of folders that become final now."""
        is_final = lies_below(final)
        gone = {*journal.remove, *(target for _, target in journal.replace)}
        there = [f"{folder}/{path}" for folder in final if folder not in _FINAL for path in self.data_files(folder)]
        come = [source for source, target in (*journal.move, *journal.replace) if is_final(target)]
        self.files.sync([*come, *(path for path in there if path not in gone)])

    def _apply(self, journal: Journal, again: bool = False) -> None:
        """Apply a journal. `again`: a process that died may have done some of its steps already."""

        def replace(pair: Sequence[str]) -> None:
            if not again or self.files.exists(pair[0]):
                self.files.replace(*pair)

        def move(pair: Sequence[str]) -> None:
            if not again or self.files.exists(pair[0]):
                if again:
                    self.files.delete(pair[1])  # on an object store the process may have died after half a rename
                self.files.move(*pair)

        self.files.each(self.files.delete, journal.remove)
        self._expect_lease()
        self.files.each(replace, journal.replace)
        self.files.each(move, journal.move)
        self._drop_empty_folders(journal.remove, {target.rsplit("/", 1)[0] for _, target in journal.move})
        self._expect_lease()
        for name, content in journal.documents.items():
            self._texts[name] = json.dumps(content)
            self.files.write_text(f"{name}.json", self._texts[name])
            self._contents.pop(name, None)
        self._expect_lease()
        final = filter(lies_below(_FINAL), (target for _, target in (*journal.move, *journal.replace)))
        self.files.sync([_STATE, *sorted({folder for path in final for folder in _folders_above(path)})])
        self.files.delete(f"{JOURNAL.path}.json")
        waste = f"{_STAGING}/{journal.number}"  # by now hundreds of empty folders
        if self._sweeper is None:
            self.files.delete(waste)
        else:
            self._sweeper.submit(self.files.delete, waste)  # the next writer deletes what this fails to delete

    def _expect_lease(self, decided: bool = True) -> None:
        if self._lease is not None:
            self._lease.check(decided)

    def _drop_empty_folders(self, removed: Sequence[str], filled: set[str]) -> None:
        # Readers would list an empty partition folder as a value of the partition column.
        for folder in sorted({path.rsplit("/", 1)[0] for path in removed} - filled, reverse=True):
            while "=" in folder.rsplit("/", 1)[-1] and not self.files.files(folder):
                self.files.delete(folder)
                folder = folder.rsplit("/", 1)[0]

    def recover(self) -> bool:
        """Apply a journal that a dead process left, and delete its staged files. Returns whether there was a journal.

        PipelineError if a state document is damaged, deleted or of an older backup, or a link leads out of the lake.
        """
        self._expect_inside(_STAGING, "_metrics", "_checkpoints")
        self._forget()
        journal = self.load(JOURNAL)
        if journal is not None:
            if any(map(self.files.leads_out, journal.paths())):
                raise self._damaged(f"{JOURNAL.path}.json", "follows a link out of the lake")
            self._apply(journal, again=True)
        elif self.load(LAST_TRANSACTION) is None and any(map(self.files.files, ZONES)):
            raise self._damaged(f"{LAST_TRANSACTION.path}.json", "is not there")
        # Only folders of transactions are deleted: a folder that was no lake before may hold other files in _staging.
        found = [entry.name for entry in self.files.entries(_STAGING)]
        left = [name for name in found if name.isdigit()]
        for path in [_STAGING] if left == found else [f"{_STAGING}/{name}" for name in left]:
            self.files.delete(path)
        self._forget()
        self._expect_one_time()
        return journal is not None

    def _expect_one_time(self) -> None:
        """PipelineError if a document was changed or deleted by others, or is of an older backup."""
        stored = self.load(STORED)
        if not stored and self.load(INVENTORY) is not None:  # both came with the same version
            raise self._deleted(STORED.path)
        for path, digest in stored.items():
            text = self.text(path)
            if text is None:
                raise self._deleted(path)
            if digest and text_hash(text) != digest:
                raise self._damaged(f"{path}.json", "is not as the last transaction left it")
            self._texts[path] = text  # saves a second read

    @contextmanager
    def writer(self, by_turns: bool = False) -> Iterator[None]:
        """Hold the writer's lock of the lake. UsageError if another process holds it. Begins with `recover`.

        `by_turns`: this process takes the lock again for each micro-batch, so that other commands can write in between.
        Both sides then wait for each other instead of failing.
        """
        with (
            readable_refusals(self.root),
            self._held("writer", f"writing to the lake {self.root}", by_turns) as self._lease,
        ):
            try:
                self.recover()
                with ThreadPoolExecutor(1) as self._sweeper:
                    yield
            finally:
                self._lease = self._sweeper = None

    @contextmanager
    def feeder(self) -> Iterator[None]:
        """Hold the lock for ingesting event files for as long as a streaming query may run.

        UsageError if another process holds it.
        """
        with readable_refusals(self.root), self._held("feeder", f"taking in event files for the lake {self.root}"):
            yield

    def _held(self, name: str, doing: str, by_turns: bool = False) -> AbstractContextManager[Lease | None]:
        self._expect_inside(_STATE)
        if isinstance(self.files, LocalFileSystem):
            return held(self.files.folder / _STATE, name, doing, by_turns)
        return Lease(self.files, name, doing, by_turns)
