"""Locks between processes that the kernel takes back when their holder dies, `kill -9` included."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

_POLL = 0.05


class FileLock:
    """`with FileLock(path):` one holder at a time (`shared`: any number of those); waits at most `timeout` seconds."""

    def __init__(self, path: Path, timeout: float | None = None, shared: bool = False) -> None:
        self._path, self._timeout = path, timeout
        self._kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._descriptor = -1

    def take(self, alone: bool = False) -> bool:
        """Take the lock if it is free (`alone`: a shared one for itself); False if it is not. Asks, and waits never."""
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_EX if alone else self._kind) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Give the lock back; a child that inherited it (`descriptor`) goes on holding it."""
        os.close(self._descriptor)  # and no LOCK_UN, which would end the child's as well
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
        """For a child process to inherit: the lock then lasts as long as the child lives."""
        return self._descriptor


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock at `path`; asks with a shared lock, so askers do not disturb each other."""
    if not path.exists():
        return False
    lock = FileLock(path, shared=True)
    try:
        return not lock.take()
    finally:
        lock.release()
