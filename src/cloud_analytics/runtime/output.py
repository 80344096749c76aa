"""The file that a command writes for somebody: it appears whole, in the place of an older file and of nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloud_analytics.errors import UsageError


def check(out: Path) -> None:
    """UsageError where no file can be written at `out`: a folder, a device or a pipe is never replaced by one."""
    if out.is_dir():
        problem = "is a folder"
    elif out.exists() and not out.is_file():
        problem = "is a device or a pipe"
    elif not out.absolute().parent.is_dir():
        problem = f"lies in no existing folder ({out.parent})"
    else:
        return
    raise UsageError(f"{out} cannot be written: it {problem}; give the file to write")


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A path to write to; what was written there takes the place of `out` at the end, unless it is gone.

    A link stays one: the file that it leads to is replaced. Errors: see `check`.
    """
    check(out)
    target = out.resolve()
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield aside
        if aside.exists():
            aside.replace(target)
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror or error})") from error
    finally:
        aside.unlink(missing_ok=True)
