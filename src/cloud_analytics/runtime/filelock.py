"""Locks between processes that the kernel takes back when their holder dies, `kill -9` included."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType


class FileLock:
    """`with FileLock(path):` one holder at a time; waits at most `timeout` seconds (for ever when None)."""

    def __init__(self, path: Path, timeout: float | None = None) -> None:
        self._path, self._timeout = path, timeout
        self._descriptor = -1

    def __enter__(self) -> FileLock:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | (0 if deadline is None else fcntl.LOCK_NB))
                return self
            except BlockingIOError:
                if deadline is not None and time.monotonic() > deadline:
                    os.close(self._descriptor)
                    raise TimeoutError(f"{self._path} is locked by another process") from None
                time.sleep(0.05)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)  # and no LOCK_UN: that would end the lock of a child that inherited it

    def descriptor(self) -> int:
        """For a child process to inherit: the lock then lasts as long as the child lives."""
        return self._descriptor


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock at `path`; asks with a shared lock, so askers do not disturb each other."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
