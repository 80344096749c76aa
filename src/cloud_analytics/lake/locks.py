"""Who may write to a lake, and who takes in its landing files: one process each, held by the operating system.

A killed process holds nothing. Lakes on an object store have a lease instead (lease.py).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from cloud_analytics.errors import UsageError

_BY_TURNS = "by turns"  # stands behind the process id of a holder that gives the lock back after each micro-batch
_POLL = 0.05


@contextmanager
def held(folder: str, name: str, doing: str, by_turns: bool = False) -> Iterator[None]:
    """Hold the lock `name` in the folder. UsageError, with what the holder is `doing`, where another process has it.

    `by_turns`: this holder gives it back soon, and waits for anybody; any other waits only for a holder by turns.
    """
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{name}.lock"), "a+", encoding="utf-8") as handle:
        while not _taken(handle):
            handle.seek(0)
            holder, _, kind = handle.read().partition(" ")
            if not (by_turns or kind == _BY_TURNS):
                raise UsageError(
                    f"another run (process {holder or 'unknown'}) is {doing}; wait until it ends, or use another --lake"
                )
            time.sleep(_POLL)
        handle.truncate(0)
        handle.write(f"{os.getpid()} {_BY_TURNS if by_turns else ''}".rstrip())
        handle.flush()
        yield


def _taken(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
