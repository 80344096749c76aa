"""Files that a command writes for people: they appear complete, and replace nothing but an older file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cloud_analytics.errors import UsageError

_LINKS = 40  # that lead to each other, as many as Linux follows


def expect_writable(out: Path) -> Path:
    """The file that `out` is or leads to; UsageError if none can be written there.

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
    """The file that `out` is or leads to; UsageError for a link that somebody may have put there for others to follow.

    In a folder such as /tmp a link counts that belongs to this user, or to the folder's owner. That is the rule of
    Linux itself (fs.protected_symlinks), which does not know of a link that is read instead of followed.
    """
    for _ in range(_LINKS):
        if not out.is_symlink():
            return out.parent.resolve() / out.name
        folder = out.parent.stat()
        is_shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
        if is_shared and out.lstat().st_uid not in (os.geteuid(), folder.st_uid):
            problem = "is a link of another user, who chose the file that it leads to"
            raise UsageError(f"{out} cannot be written: it {problem}; give a file in a folder of your own")
        out = out.parent / os.readlink(out)
    raise UsageError(f"{out} cannot be written: it is a link in a circle; give the file to write")


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A path to write to; at the end the file there replaces `out`. If the path was not written, `out` stays.

    A link stays a link: the file that it leads to is replaced. Errors: see `expect_writable`.
    """
    target = expect_writable(out)
    try:
        # A folder of its own: under a name that others can guess they may have put a link to another file.
        with TemporaryDirectory(prefix=".cloud-analytics-", dir=target.parent) as folder:
            aside = Path(folder, target.name)
            yield aside
            if aside.exists():
                aside.replace(target)
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror or error})") from error
