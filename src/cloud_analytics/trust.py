"""The users whose files may contain code that this process runs."""

from __future__ import annotations

import os
from pathlib import Path


def trusted_users() -> set[int]:
    """This user, root, and the owner of the package, who can run code as this user anyway."""
    return {os.geteuid(), 0, Path(__file__).stat().st_uid}
