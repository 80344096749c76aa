"""Locks between processes, which the kernel releases when their holder dies, also by `kill -9`."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

_POLL = 0.05


class FileLock:
    """`with FileLock(path):` one holder at a time, or any number of `shared` ones.

    Waits at most `timeout` seconds (None: for ever), then TimeoutError.
    """

    def __init__(self, path: Path, timeout: float | None = None, shared: bool = False) -> None:
        self._path, self._timeout = path, timeout
        self._kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._descriptor = -1

    def take(self, alone: bool = False) -> bool:
        """Take the lock if it is free, else return False; never waits. With `alone` a shared lock excludes others."""
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_EX if alone else self._kind) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Release the lock. A child process that inherited its `descriptor` still holds it."""
        os.close(self._descriptor)  # without LOCK_UN, which would release the child's as well
        self._descriptor = -1

    def __enter__(self) -> FileLock:
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while not self.take():
            if deadline is not None and time.monotonic() > deadline:
                self.release()
                raise TimeoutError(f"{self._path} is locked by another process")
            time.sleep(_POLL)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def descriptor(self) -> int:
        """The open file, for a child process to inherit: the child then holds the lock as long as it lives."""
        return self._descriptor


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock at `path`. It is tried as a shared lock, so callers do not block each other."""
    if not path.exists():
        return False
    lock = FileLock(path, shared=True)
    try:
        return not lock.take()
    finally:
        lock.release()
