"""Files that a command writes for people: they appear complete, and replace nothing but an older file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cloud_analytics.errors import UsageError


def expect_writable(out: Path) -> None:
    """UsageError if no file can be written at `out`. A folder, a device or a pipe is never replaced."""
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
    """A path to write to; at the end the file there replaces `out`. If the path was not written, `out` stays.

    A link stays a link: the file that it leads to is replaced. Errors: see `expect_writable`.
    """
    expect_writable(out)
    target = out.resolve()
    try:
        # A folder of its own: under a name that others can guess they may have put a link to another file.
        with TemporaryDirectory(prefix=".cloud-analytics-", dir=target.parent) as folder:
            aside = Path(folder, target.name)
            yield aside
            if aside.exists():
                aside.replace(target)
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror or error})") from error
