"""Trying again after pauses that grow, for as long as one wants to wait for a store."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import timedelta

from cloud_analytics.errors import StoreUnavailable

logger = logging.getLogger(__name__)


def pauses(first: float, longest: float) -> Iterator[float]:
    """Endless pauses in seconds: each is twice the one before, up to the longest."""
    pause = first
    while True:
        yield pause
        pause = min(2 * pause, longest)


class Backoff:
    """Pauses of 1, 2, 4 … 30 s, until `patience` is over; it counts from the start, or from the last progress."""

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience.total_seconds()
        self.progress()

    def progress(self) -> None:
        """Begin anew, with the first pause and full patience, because the store did something."""
        self._pauses, self._give_up = pauses(1.0, 30.0), time.monotonic() + self._patience

    def wait(self, error: StoreUnavailable) -> None:
        """Pause; or raise `error`, if patience would be over before the next try."""
        pause = next(self._pauses)
        if time.monotonic() + pause > self._give_up:
            raise error
        logger.warning(f"{error}; trying again in {pause:.0f} s")
        time.sleep(pause)
