"""Retries with growing pauses while a store is away, for a caller that waits and for a stream that goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from cloud_analytics.errors import StoreUnavailable

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 120.0  # seconds, for a stream


def _pauses(first: float, longest: float) -> Iterator[float]:
    pause = first
    while True:
        yield pause
        pause = min(2 * pause, longest)


class Backoff:
    """Pauses of 1, 2, 4 … 30 s until `patience` is over. It is counted from the start or from the last progress."""

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience.total_seconds()
        self.progress()

    def progress(self) -> None:
        """Start again with the first pause and full patience, because the store has done some work."""
        self._pauses, self._give_up = _pauses(1.0, 30.0), time.monotonic() + self._patience

    def wait(self, error: StoreUnavailable) -> None:
        """Sleep for the next pause. Raise `error` instead if the patience ends before the next try."""
        pause = next(self._pauses)
        if time.monotonic() + pause > self._give_up:
            raise error
        logger.warning(f"{error}; trying again in {pause:.0f} s")
        time.sleep(pause)


class Deferred:
    """Calls `load` beside a stream and pauses after a failure. Each further failure doubles the pause, up to 120 s.

    So the stream goes on while the store is away, and the missed partitions are loaded later. `behind_since`: the time
    of the first failure, in seconds since 1970; None while the store is up to date.
    """

    def __init__(self, load: Callable[[], dict[str, int]]) -> None:
        self._load, self._not_before = load, 0.0
        self.behind_since: float | None = None
        self._pauses = _pauses(_FIRST_PAUSE, _LONGEST_PAUSE)

    def __call__(self) -> dict[str, int]:
        """Load, and return table → rows written. Returns an empty dict during a pause or if the store is away."""
        if time.monotonic() < self._not_before:
            return {}
        try:
            written = self._load()
        except StoreUnavailable as error:
            self.behind_since = self.behind_since or time.time()
            pause = next(self._pauses)
            logger.warning(f"{error}; the lake moves on, and serving is tried again in {pause:.0f} s")
            self._not_before = time.monotonic() + pause
            return {}
        if self.behind_since is not None:
            logger.info("the serving store is back and has caught up")
        self.behind_since, self._pauses = None, _pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
        return written
