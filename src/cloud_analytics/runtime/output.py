"""Output files of commands: a file appears only when it is complete, and replaces nothing but an older file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cloud_analytics.errors import UsageError
from cloud_analytics.trust import expect_trusted

_LINKS = 40  # longest chain of links to follow, the same limit as in Linux


def expect_writable(out: Path) -> Path:
    """The file that `out` is or, as a link, leads to. UsageError if no file can be written there.

    A folder, a device or a pipe is never replaced.
    """
    target = _target(out)
    if out.is_dir():
        problem = "is a folder"
    elif out.exists() and not out.is_file():
        problem = "is a device or a pipe"
    elif not out.absolute().parent.is_dir():
        problem = f"lies in no existing folder ({out.parent})"
    else:
        return target
    raise UsageError(f"{out} cannot be written: it {problem}; give the file to write")


def _target(out: Path) -> Path:
    """The file that `out` is or, as a link, leads to. UsageError if another user could lead the output elsewhere."""
    for _ in range(_LINKS):
        link = out.is_symlink()
        expect_trusted(out if link else out.parent, f"who could lead {out} elsewhere: give a file in a folder of yours")
        if not link:
            return out.parent.resolve() / out.name
        out = out.parent / os.readlink(out)
    raise UsageError(f"{out} cannot be written: it is a link in a circle; give the file to write")


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A path to write to. At the end of the block its file replaces `out`; if no file was written, `out` stays.

    If `out` is a link, the file that it leads to is replaced. Errors: see `expect_writable`.
    """
    target = expect_writable(out)
    try:
        # A new folder: under a name that others can guess they may have put a link to another file.
        with TemporaryDirectory(prefix=".cloud-analytics-", dir=target.parent) as folder:
            aside = Path(folder, target.name)
            yield aside
            if aside.exists():
                aside.replace(target)
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror or error})") from error
