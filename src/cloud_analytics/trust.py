"""Whose files and folders this process relies on, and which folders others could exchange."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def trusted_users() -> set[int]:
    """This user, root, and the owner of the package, who can run code as this user anyway."""
    return {os.geteuid(), 0, Path(__file__).stat().st_uid}


def is_trusted(path: Path) -> bool:
    """Whether a path belongs to trusted users: the file or folder itself and, if it is a link, the link."""
    return {path.lstat().st_uid, path.stat().st_uid} <= trusted_users()


def is_open(folder: Path, bits: int = stat.S_IWOTH) -> bool:
    """Whether others (by `bits`) can replace files in a folder. In a folder with the sticky bit (/tmp) they cannot."""
    mode = folder.stat().st_mode
    return bool(mode & bits) and not mode & stat.S_ISVTX
