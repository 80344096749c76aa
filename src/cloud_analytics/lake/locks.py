"""The rights to write to a local lake and to take in its landing files: locks of the operating system.

A killed process holds nothing. Lakes on an object store have leases instead (lease.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloud_analytics.errors import UsageError
from cloud_analytics.runtime.filelock import FileLock

_BY_TURNS = "by turns"  # follows the process id in the file of such a holder
_POLL = 0.05


@contextmanager
def held(folder: Path, name: str, doing: str, by_turns: bool = False) -> Iterator[None]:
    """Hold the lock `name` in the folder. UsageError, with what the holder is `doing`, where another process has it.

    A holder `by_turns` gives the lock back after each micro-batch: it waits for every other holder, and every other
    process waits for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.lock"
    lock = FileLock(path)
    try:
        while not lock.take():
            process, _, kind = lock.noted().partition(" ")
            lives = _lives(process)
            if not (by_turns or (lives and kind == _BY_TURNS)):
                who = f"another run (process {process}) is {doing}" if lives else f"somebody holds the lock file {path}"
                raise UsageError(f"{who}; wait until it ends, or use another --lake")
            time.sleep(_POLL)
        lock.note(f"{os.getpid()} {_BY_TURNS if by_turns else ''}".rstrip())
        yield
    finally:
        lock.release()


def _lives(process: str) -> bool:
    """Whether the process that the lock file names is there. The file goes on naming its last holder."""
    try:
        os.kill(int(process), 0)
    except PermissionError:
        return True  # another user's
    except (ValueError, OverflowError, OSError):
        return False
    return True
