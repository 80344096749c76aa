"""Locks between processes. The kernel releases a lock when its holder dies, even by `kill -9`."""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from cloud_analytics.errors import UsageError

logger = logging.getLogger(__name__)

_POLL = 0.05
_SILENT = 5.0  # seconds of waiting before a warning names the lock file


class FileLock:
    """`with FileLock(path):` has one holder at a time, or any number of `shared` holders.

    It waits at most `timeout` seconds for the lock, then raises UsageError.
    """

    def __init__(self, path: Path, timeout: float = 900.0, shared: bool = False) -> None:
        self._path, self._timeout = path, timeout
        self._kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._descriptor = -1

    def take(self, alone: bool = False) -> bool:
        """Take the lock if it is free, else return False. Never waits. With `alone` a shared lock becomes exclusive."""
        if self._descriptor < 0:
            self._descriptor = _opened(self._path)
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_EX if alone else self._kind) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Release the lock, if it was taken. A child process that inherited its `descriptor` still holds the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)  # not LOCK_UN, which would release the child's lock, too
            self._descriptor = -1

    def __enter__(self) -> FileLock:
        began, told = time.monotonic(), False
        while not self.take():
            waited = time.monotonic() - began
            if waited > self._timeout:
                self.release()
                raise UsageError(
                    f"another process, or another user's, has held the lock file {self._path} for {waited:.0f} s:"
                    " end it, or try again later"
                )
            if waited > _SILENT and not told:
                logger.warning("waiting for the lock file %s, which another process holds", self._path)
                told = True
            time.sleep(_POLL)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def descriptor(self) -> int:
        """The open file for a child process to inherit. The child then holds the lock as long as it lives."""
        return self._descriptor

    def note(self, text: str) -> None:
        """Write a text into the lock file for other processes to read. The caller must hold the lock."""
        os.pwrite(self._descriptor, text.encode(), 0)
        os.ftruncate(self._descriptor, len(text.encode()))  # last, so that a reader never finds it empty

    def noted(self) -> str:
        """The text that the present or the last holder wrote into the lock file."""
        return os.pread(self._descriptor, 100, 0).decode("utf-8", "replace")


def _opened(path: Path) -> int:
    """Open the lock file, and create it if it is missing. UsageError if the path is a link, a folder or a pipe.

    A user who can open a file, even only for reading, can lock it. So the file's mode, whatever the umask is, admits
    only users who may write to its folder. Files of older versions were open to all readers.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise UsageError(f"{path} is a link, a folder or a pipe, where a lock file belongs: remove it")
    writers = 0o200 | path.parent.stat().st_mode & 0o022
    mode = writers | writers << 1
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, mode)
    with suppress(PermissionError):  # the file of another user, or a file system without such modes
        os.fchmod(descriptor, mode)
    return descriptor


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock at `path`. Tries a shared lock, so that callers do not block each other."""
    if not path.exists():
        return False
    lock = FileLock(path, shared=True)
    try:
        return not lock.take()
    finally:
        lock.release()
