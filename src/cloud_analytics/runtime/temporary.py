"""One private folder for the temporary files of a process. The next process removes the folder of a killed one."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from cloud_analytics.errors import UsageError
from cloud_analytics.runtime.filelock import FileLock, is_locked
from cloud_analytics.trust import expect_trusted

_PREFIX = f"cloud-analytics-{os.getuid()}-"
_LOCK = "owner.lock"


def expect_place() -> Path:
    """The folder TMPDIR, else `/tmp`. UsageError if none can be written, or if another user could exchange it."""
    try:
        place = Path(tempfile.gettempdir())
    except OSError:
        raise UsageError("no folder for temporary files: set TMPDIR to one that is there and can be written") from None
    expect_trusted(place, "who could exchange temporary files: set TMPDIR to a folder of your own")
    return place


@lru_cache(maxsize=1)
def temporary_folder() -> Path:
    """The private folder of this process below TMPDIR, deleted when it ends. UsageError if it cannot be created."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=expect_place())).absolute()
    except OSError as error:
        raise UsageError(f"no folder for temporary files ({error.strerror}): set TMPDIR to one that is there") from None
    lock = FileLock(folder / f"new.{_LOCK}")
    lock.__enter__()  # never released: the kernel releases it at any end of the process
    os.rename(folder / f"new.{_LOCK}", folder / _LOCK)  # so that the lock is held before others see it
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _sweep(folder.parent)
    return folder


def _sweep(place: Path) -> None:
    """Delete this user's folders in `place` whose process has ended."""
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):  # another process deletes the same folders
            if folder.lstat().st_uid == os.getuid() and not folder.is_symlink():  # not another user's
                lock = folder / _LOCK
                if lock.is_file() and not is_locked(lock):
                    shutil.rmtree(folder, ignore_errors=True)
