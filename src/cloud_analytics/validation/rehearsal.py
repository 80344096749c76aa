"""What a run would change now, found out without changing anything.

The pipeline's own steps are asked, over a lake that refuses every transaction: a step that finds something new or
stale begins one, before it computes or writes. So the answer comes from the code that a run uses, not from a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cloud_analytics.bronze import ledger
from cloud_analytics.bronze import masters as bronze_masters
from cloud_analytics.bronze.events import landing_files
from cloud_analytics.config import Config
from cloud_analytics.engine import marts, masters
from cloud_analytics.errors import UsageError
from cloud_analytics.lake.lake import Lake, Transaction
from cloud_analytics.silver.build_events import build_events


class _WouldWrite(Exception):
    pass


class _ReadOnlyLake(Lake):
    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Refused: what asks for one would change the lake."""
        raise _WouldWrite
        yield  # a context manager is a generator


def what_a_run_would_change(lake: Lake, landing: str, config: Config) -> list[str]:
    """The steps of a run that would find something to do, in words; none: a second run changes nothing."""
    rehearsed = _ReadOnlyLake(lake.spark, lake.root)
    found = landing_files(lake.spark, landing)
    new, changed = len(ledger.new(rehearsed, found)), len(ledger.changed(rehearsed, found))
    steps: dict[str, Callable[[], object]] = {
        "masters in landing that are not in Bronze as they are": lambda: bronze_masters.ingest(
            rehearsed, landing, config
        ),
        "masters of Silver": lambda: masters.build(rehearsed, config),
        "events of Silver": lambda: build_events(rehearsed, config, whole_history=True),
        "marts of Gold": lambda: marts.build(rehearsed, config, settling=True),
    }
    files = [f"{new:,} new event files"] * (new > 0) + [f"{changed:,} changed event files"] * (changed > 0)
    return files + [name for name, step in steps.items() if _would_write(step)]


def _would_write(step: Callable[[], object]) -> bool:
    try:
        step()
    except (_WouldWrite, UsageError):  # a master whose header lacks a column stops a run, too
        return True
    return False
