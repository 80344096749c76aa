"""Trying again: pauses that grow, until a store that does not answer has been waited for long enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from cloud_analytics.errors import StoreUnavailable

_FIRST, _LONGEST = 1.0, 30.0


class Backoff:
    """Pauses of 1, 2, 4 … 30 s; `patience` counts from the start, or from the last progress."""

    def __init__(self, patience: timedelta, say: Callable[[str], None]) -> None:
        self._patience, self._say = patience.total_seconds(), say
        self.progress()

    def progress(self) -> None:
        """The store did something: the next failure is a first one."""
        self._pause, self._give_up = _FIRST, time.monotonic() + self._patience

    def wait(self, error: StoreUnavailable) -> None:
        """Pause, or raise `error` when patience would be over before the next try."""
        if time.monotonic() + self._pause > self._give_up:
            raise error
        self._say(f"warning: {error}; trying again in {self._pause:.0f} s")
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST)
