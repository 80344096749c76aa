"""Serving beside a stream: if the store is away the stream goes on, and what was missed is loaded later."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cloud_analytics.errors import StoreUnavailable
from cloud_analytics.runtime.backoff import pauses

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 120.0


def _pauses() -> Iterator[float]:
    return pauses(_FIRST_PAUSE, _LONGEST_PAUSE)


@dataclass
class Deferred:
    """Calls `load`, with a pause after each failure in a row. The pause doubles, up to two minutes.

    `behind_since` is when the store failed first, in seconds since 1970; None while it is up to date.
    """

    load: Callable[[], dict[str, int]]
    behind_since: float | None = field(default=None, init=False)
    _pauses: Iterator[float] = field(default_factory=_pauses, init=False)
    _not_before: float = field(default=0.0, init=False)

    def __call__(self) -> dict[str, int]:
        """Load, and return table → rows; an empty dict during a pause, or where the store is away."""
        if time.monotonic() < self._not_before:
            return {}
        try:
            written = self.load()
        except StoreUnavailable as error:
            self.behind_since = self.behind_since or time.time()
            pause = next(self._pauses)
            logger.warning(f"{error}; the lake moves on, and serving is tried again in {pause:.0f} s")
            self._not_before = time.monotonic() + pause
            return {}
        if self.behind_since is not None:
            logger.info("the serving store is back and has caught up")
        self.behind_since, self._pauses = None, _pauses()
        return written
