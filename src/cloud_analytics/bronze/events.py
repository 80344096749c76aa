"""Decides when the files of usage_events_stream/ are ingested into bronze/usage_events (contract 3 and 4).

A Structured Streaming query delivers new files. Each micro-batch is a list of *files*: `foreachBatch` ingests them and
their ledger entries in one transaction. The ledger, not the checkpoint, decides which files are already ingested: after
a replayed batch or a lost checkpoint, the files are found in the ledger and nothing is added.

The query's source never delivers a file twice. So a listing of the folder, the sweep, finds the files that changed
after they were ingested, and the few files that the source leaves out.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from cloud_analytics.bronze import ledger
from cloud_analytics.bronze.ingest import ingest
from cloud_analytics.bronze.ledger import MicroBatch
from cloud_analytics.config import EVENTS, Config
from cloud_analytics.config.sources import EVENTS_FOLDER
from cloud_analytics.lake.file_system import FileInfo, Kind
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.streams import own_failures, to_end
from cloud_analytics.lake.uris import absolute, escape_glob
from cloud_analytics.landing.folder import NAME_PATTERN, is_event_file, look, tell_passed_over
from cloud_analytics.untrusted import json_value


class _Stopping(Exception):
    """A micro-batch begins after the request to stop: it fails, so that the next start receives it again."""


@dataclass
class EventFeed:
    """Ingests the event files of a landing folder into a lake.

    `after_batch` runs at the end of each micro-batch that ingested something, in the same thread. The micro-batches of
    the query and of the sweep never run at the same time. The caller holds the feeder lock of the lake, and for
    `available` also the writer lock; `follow` acquires the writer lock each time that it writes.
    """

    lake: Lake
    landing: str
    config: Config
    after_batch: Callable[[MicroBatch], None] = lambda _batch: None
    told: set[str] = field(default_factory=set)  # skipped paths that a message has named
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)
    _stopping: threading.Event = field(default_factory=threading.Event, init=False)
    _failures: list[Exception] = field(default_factory=list, init=False)
    _by_turns: bool = field(default=False, init=False)

    def available(self) -> None:
        """Ingest all files that are in landing now, then stop. If no file is new or changed, no query starts."""
        changes = ledger.event_changes(self.lake, self._files())
        if changes.new and self._spark_can_list():
            to_end(self.lake, self._checkpoint(), self._failures, lambda: self._start({"availableNow": True}))
        if changes.new or changes.changed:
            with self._turn_to_write():
                swept: set[str] = set()  # a file that keeps growing waits for the next start
                while self._sweep(swept):
                    pass

    def follow(self, interval: timedelta, stop: threading.Event, idle: Callable[[], None] = lambda: None) -> None:
        """Watch the folder until `stop`: each interval runs a micro-batch, a sweep and a call of `idle`.

        A micro-batch that is running at `stop` is completed; a micro-batch that has not begun runs at the next start.
        """
        self._by_turns = True
        while not self.lake.reach(self.landing).exists(EVENTS_FOLDER):
            if stop.wait(interval.total_seconds()):
                return
            with self._turn_to_write():
                idle()
        trigger = {"processingTime": f"{max(1, int(interval.total_seconds()))} seconds"}
        query = None
        try:
            if self._spark_can_list():
                with own_failures(self.lake, self._checkpoint(), self._failures):
                    query = self._start(trigger)
            while not stop.is_set():
                if _waited(query, interval.total_seconds(), stop):
                    with self._turn_to_write():
                        self._sweep(set())
                        idle()
                elif query is not None and not query.isActive:
                    if self._spark_can_list():
                        with own_failures(self.lake, self._checkpoint(), self._failures):
                            query.awaitTermination()
                        return
                    query = None  # it ended at an entry that it cannot list: from now on the sweep ingests all
        finally:
            self._stopping.set()
            with self._turn:
                if query is not None:
                    query.stop()

    def _spark_can_list(self) -> bool:
        """Whether the folder of events holds only files and hidden folders; otherwise the sweep ingests all files.

        Spark's source also lists visible subfolders and follows every link: a folder that this user may not list, or a
        circular link, would end the query.
        """
        entries = self.lake.reach(self.landing).entries(EVENTS_FOLDER)
        return all(entry.kind is Kind.FILE or (entry.kind is Kind.FOLDER and entry.is_hidden) for entry in entries)

    def _start(self, trigger: dict[str, Any]) -> StreamingQuery:
        files = (
            self.lake.spark.readStream.format("binaryFile")
            .schema("path string, modificationTime timestamp, length bigint, content binary")
            .option("pathGlobFilter", NAME_PATTERN)
            .option("recursiveFileLookup", "true")  # otherwise a folder named `x=y` adds a partition column
            .option("maxFilesPerTrigger", self.config.pipeline.stream.max_files_per_trigger)
            .option("maxFileAge", "36500d")  # the default silently ignores files a week older than the newest
            .load(escape_glob(f"{absolute(self.landing)}/{EVENTS_FOLDER}"))
            # `content` is left out, so that Spark reads no file.
            .select("path", "length", F.unix_millis("modificationTime").alias("modified"))
        )
        return (
            files.writeStream.queryName(f"bronze_{EVENTS}")
            .option("checkpointLocation", self.lake.files.full(self._checkpoint()))
            .foreachBatch(self._micro_batch)
            .trigger(**trigger)
            .start()
        )

    def _micro_batch(self, batch: DataFrame, number: int) -> None:
        try:
            found = [FileInfo(row.path, row.length, row.modified) for row in batch.collect()]
            here = [Path(absolute(self.landing)).name, EVENTS_FOLDER]
            found = [info for info in found if info.path.split("/")[-3:-1] == here]  # not in a subfolder
            files, follow_links = self.lake.reach(self.landing), self.config.pipeline.landing.follow_links
            found = [info for info in found if is_event_file(files, info.name, follow_links)]
            with self._turn_to_write():
                self._take(ledger.event_changes(self.lake, found).new, f"{number:06d}")
        except Exception as error:
            self._failures.append(error)
            raise

    def _sweep(self, swept: set[str]) -> bool:
        """Ingest the files that the query does not deliver, as one micro-batch; return whether there were any.

        These are changed files, and new files that Spark's source leaves out: empty files, names that look like a glob,
        and all files if Spark cannot list the folder. All changed files go into one micro-batch, so that a partition
        with rows of several of them is rewritten once. The number of new files has the same limit as in the query.
        Files named in `swept` are skipped, and the names of the ingested files are added to `swept`.
        """
        changes = ledger.event_changes(self.lake, [info for info in self._files() if info.name not in swept])
        chosen = [*changes.changed, *changes.new[: self.config.pipeline.stream.max_files_per_trigger]]
        swept.update(info.name for info in chosen)
        self._take(chosen, f"sweep-{time.time_ns() // 1_000_000}")
        return bool(chosen)

    def _files(self) -> list[FileInfo]:
        """The event files in landing; a message names each skipped entry when it is first seen."""
        contents = look(self.lake.reach(self.landing), self.config.pipeline.landing.follow_links)
        tell_passed_over(contents, self.told)
        return list(contents.events.values())

    def _take(self, found: Sequence[FileInfo], name: str) -> None:
        done = ingest(self.lake, self.config, found, f"{self._checkpoint_id()}-{name}")
        if done is not None:
            self.after_batch(done)

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        while not self._turn.acquire(timeout=0.1):
            if self._stopping.is_set():
                raise _Stopping
        try:
            if self._stopping.is_set():
                raise _Stopping
            with self.lake.writer(by_turns=True) if self._by_turns else nullcontext():
                yield
        finally:
            self._turn.release()

    def _checkpoint(self) -> str:
        # One checkpoint per landing folder: a query cannot continue in another folder than the one it started in.
        root = absolute(self.landing)
        return f"_checkpoints/bronze_{EVENTS}_{hashlib.sha256(root.encode()).hexdigest()[:8]}"

    def _checkpoint_id(self) -> str:
        # Batch numbers begin at 0 in each new checkpoint: the query's id tells the batches of two checkpoints apart.
        text = self.lake.files.read_text(f"{self._checkpoint()}/metadata")
        try:
            return str(json_value(text or "")["id"])[:8]
        except (ValueError, KeyError, TypeError):
            return "no-query"  # no checkpoint, or a damaged one


def _waited(query: StreamingQuery | None, seconds: float, stop: threading.Event) -> bool:
    """Wait; return whether the time passed before `stop` was set and before the query, if there is one, ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if stop.wait(min(0.2, seconds)) or (query is not None and not query.isActive):
            return False
    return True
