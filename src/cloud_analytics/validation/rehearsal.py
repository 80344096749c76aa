"""Find out what a run would change now, without changing anything.

The rehearsal calls the steps of the pipeline with a lake that refuses transactions and has no Spark session. A step
that finds something new or stale asks for one of the two before it writes, and stops there with an exception. So the
code of a real run decides, not a copy of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cloud_analytics.bronze import ledger
from cloud_analytics.config import EVENTS, Config
from cloud_analytics.engine import marts, masters
from cloud_analytics.lake.file_system import ReadableFiles
from cloud_analytics.lake.folder import LakeFolder
from cloud_analytics.lake.lake import Lake, Transaction
from cloud_analytics.landing.folder import Changes, Contents, changes, look
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.silver.build_events import build_events


class _WouldWrite(Exception):
    pass


class _ReadOnlyLake(Lake):
    def __init__(self, lake: LakeReader) -> None:
        LakeFolder.__init__(self, lake.files)

    def __getattr__(self, name: str) -> Any:
        """Refuse the Spark session, which only a step that computes something asks for."""
        raise _WouldWrite

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Refuse a transaction: a step that asks for one would change the lake."""
        raise _WouldWrite
        yield  # `contextmanager` needs a generator


def open_files(lake: LakeFolder, found: Contents) -> dict[str, Changes]:
    """Source → the files of a landing folder that are new to Bronze, or have changed since their ingest."""
    masters_open = {source: changes(ledger.master_files(lake, source), here) for source, here in found.masters.items()}
    known = lake.load(ledger.FILES)
    return {EVENTS: changes(known, found.events), **masters_open}


def what_a_run_would_change(lake: LakeReader, landing: ReadableFiles, config: Config) -> list[str]:
    """Descriptions of the steps of a run that would change something; empty if a run would change nothing."""
    rehearsed = _ReadOnlyLake(lake)
    contents = look(landing, config.pipeline.landing.follow_links)
    waiting = open_files(lake, contents)
    new, changed = len(waiting[EVENTS].new), len(waiting[EVENTS].changed)
    steps: dict[str, Callable[[], object]] = {
        "masters of Silver": lambda: masters.build(rehearsed, config),
        "events of Silver": lambda: build_events(rehearsed, config, whole_history=True),
        "marts of Gold": lambda: marts.build(rehearsed, config, settling=True),
    }
    found = [f"{new:,} new event files"] * (new > 0) + [f"{changed:,} changed event files"] * (changed > 0)
    if any(waiting[source] for source, here in contents.masters.items() if here):
        found.append("masters in landing that are not in Bronze as they are")
    for name, step in steps.items():
        try:
            step()
        except _WouldWrite:
            found.append(name)
    return found
