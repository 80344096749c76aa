"""What a user's path means: a folder of this machine, or a URI that Spark's file systems reach. Without Spark."""

from __future__ import annotations

from pathlib import Path


def local_folder(root: str) -> Path | None:
    """The folder of this machine that a path or a `file:` URI names, absolute; None for any other URI."""
    if root.startswith("file:"):
        return Path("/" + root.removeprefix("file:").lstrip("/")).resolve()
    return None if "://" in root else Path(root).expanduser().resolve()


def absolute(root: str) -> str:
    """A local path made absolute; a URI without the slashes at its end."""
    folder = local_folder(root)
    if folder is None:
        return root.rstrip("/")
    return f"file://{folder}" if root.startswith("file:") else str(folder)


def escape_glob(path: str) -> str:
    """A path that Spark's readers take literally, whatever characters its names hold."""
    return "".join("\\" + char if char in "*?[]{}\\" else char for char in path)


def no_pattern(path: str) -> str:
    """A path that DuckDB takes literally: it would also read what a name with `*`, `?` or `[` matches as a pattern."""
    return "".join(f"[{char}]" if char in "[*?" else char for char in path)
