"""Interprets a user's path: a local folder, or a URI that Spark's file systems reach. Needs no Spark."""

from __future__ import annotations

from pathlib import Path


def local_folder(root: str) -> Path | None:
    """The absolute local folder that a path or a `file:` URI names; None for any other URI."""
    if root.startswith("file:"):
        return Path("/" + root.removeprefix("file:").lstrip("/")).resolve()
    return None if "://" in root else Path(root).expanduser().resolve()


def absolute(root: str) -> str:
    """A local path made absolute, or a URI without the slashes at its end."""
    folder = local_folder(root)
    if folder is None:
        return root.rstrip("/")
    return f"file://{folder}" if root.startswith("file:") else str(folder)


def escape_glob(path: str) -> str:
    """The path with its glob characters escaped, so that Spark's readers take it literally."""
    return "".join("\\" + char if char in "*?[]{}\\" else char for char in path)
