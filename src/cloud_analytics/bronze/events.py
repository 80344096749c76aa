"""usage_events_stream/ → bronze/usage_events: which files are ingested when (contract 3 and 4).

New files come by a Structured Streaming query over *files*: a micro-batch is a list of them, and `foreachBatch` ingests
them in one transaction together with their ledger entries. The ledger, not the checkpoint, decides what was ingested: a
replayed batch or a lost checkpoint finds its files in the ledger and adds nothing.

The query's source never delivers a file twice. Files that changed after they were ingested, and the few that the source
leaves out, are found by listing the folder: the sweep.
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
from cloud_analytics.lake.files import FileInfo, Kind
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.streams import own_failures, to_end
from cloud_analytics.lake.uris import absolute, escape_glob
from cloud_analytics.landing.folder import FOLDER, NAME_PATTERN, is_event_file, look, tell_passed_over
from cloud_analytics.untrusted import json_value


class _Stopping(Exception):
    """A micro-batch comes after the feed was asked to stop: it fails, so that the next start gets it again."""


@dataclass
class EventFeed:
    """The event files of a landing folder on their way into a lake.

    `after_batch` runs at the end of each micro-batch that ingested something, in the thread that ingested it. The
    micro-batches of the query and of the sweep take turns. The caller holds the right to take in event files, and for
    `available` the right to write as well; `follow` takes the latter for each turn.
    """

    lake: Lake
    landing: str
    config: Config
    after_batch: Callable[[MicroBatch], None] = lambda _batch: None
    told: set[str] = field(default_factory=set)  # paths that are passed over, and that a message has named
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)
    _stopping: threading.Event = field(default_factory=threading.Event, init=False)
    _failures: list[Exception] = field(default_factory=list, init=False)
    _by_turns: bool = field(default=False, init=False)

    def available(self) -> None:
        """Ingest everything that is there now, then stop. Nothing starts when the ledger knows every file as it is."""
        changes = ledger.event_changes(self.lake, self._files())
        if changes.new and self._spark_can_list():
            to_end(self.lake, self._checkpoint(), self._failures, lambda: self._start({"availableNow": True}))
        if changes.new or changes.changed:
            with self._turn_to_write():
                swept: set[str] = set()  # a file that goes on growing waits for the next start
                while self._sweep(swept):
                    pass

    def follow(self, interval: timedelta, stop: threading.Event, idle: Callable[[], None] = lambda: None) -> None:
        """Watch the folder until `stop`: a micro-batch, a sweep and a call of `idle`, every interval.

        The micro-batch that runs at `stop` is finished first; one that has not begun comes again at the next start.
        """
        self._by_turns = True
        while not self.lake.reach(self.landing).exists(FOLDER):
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
                    query = None  # it ended because of what it could not list: from now on the sweep takes in all
        finally:
            self._stopping.set()
            with self._turn:
                if query is not None:
                    query.stop()

    def _spark_can_list(self) -> bool:
        """Whether the stream's folder holds nothing but files; otherwise the sweep takes in all of them.

        Spark's source also lists the visible folders below, and follows every link: a folder that this user may not
        list, or a link in a circle, would end the query.
        """
        entries = self.lake.reach(self.landing).entries(FOLDER)
        return all(entry.kind is Kind.FILE or (entry.kind is Kind.FOLDER and entry.is_hidden) for entry in entries)

    def _start(self, trigger: dict[str, Any]) -> StreamingQuery:
        files = (
            self.lake.spark.readStream.format("binaryFile")
            .schema("path string, modificationTime timestamp, length bigint, content binary")
            .option("pathGlobFilter", NAME_PATTERN)
            .option("recursiveFileLookup", "true")  # else a folder called `x=y` makes partition columns of its files
            .option("maxFilesPerTrigger", self.config.pipeline.stream.max_files_per_trigger)
            .option("maxFileAge", "36500d")  # the default ignores files a week older than the newest, without a word
            .load(escape_glob(f"{absolute(self.landing)}/{FOLDER}"))
            # Without `content` no file is read.
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
            here = [Path(absolute(self.landing)).name, FOLDER]
            found = [info for info in found if info.path.split("/")[-3:-1] == here]  # not in a folder below
            files, follow_links = self.lake.reach(self.landing), self.config.pipeline.landing.follow_links
            found = [info for info in found if is_event_file(files, info.name, follow_links)]
            with self._turn_to_write():
                self._take(ledger.event_changes(self.lake, found).new, f"{number:06d}")
        except Exception as error:
            self._failures.append(error)
            raise

    def _sweep(self, swept: set[str]) -> bool:
        """Ingest what the query does not deliver, as one micro-batch; returns whether there was something.

        These are the changed files, and new ones that Spark's source leaves out: empty files, names that look like a
        glob, all files where Spark cannot list the folder. All changed files are one micro-batch, so that a partition
        which held rows of several is rewritten once. Of new files it takes as many as a micro-batch may have. Files
        whose names are `swept` are left out, and those that it takes are added to them.
        """
        changes = ledger.event_changes(self.lake, [info for info in self._files() if info.name not in swept])
        chosen = [*changes.changed, *changes.new[: self.config.pipeline.stream.max_files_per_trigger]]
        swept.update(info.name for info in chosen)
        self._take(chosen, f"sweep-{time.time_ns() // 1_000_000}")
        return bool(chosen)

    def _files(self) -> list[FileInfo]:
        """The event files in landing; a message names what is passed over when it is first seen."""
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
        # One for each landing folder: a query cannot go on in another folder than the one it began in.
        root = absolute(self.landing)
        return f"_checkpoints/bronze_{EVENTS}_{hashlib.sha256(root.encode()).hexdigest()[:8]}"

    def _checkpoint_id(self) -> str:
        # Batch numbers begin at 0 with each new checkpoint: the query's own id tells two of them apart.
        text = self.lake.files.read_text(f"{self._checkpoint()}/metadata")
        try:
            return str(json_value(text or "")["id"])[:8]
        except (ValueError, KeyError, TypeError):
            return "no-query"  # none, or one that is damaged


def _waited(query: StreamingQuery | None, seconds: float, stop: threading.Event) -> bool:
    """Wait; returns whether the time passed without a `stop` and without the end of the query, if there is one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if stop.wait(min(0.2, seconds)) or (query is not None and not query.isActive):
            return False
    return True
