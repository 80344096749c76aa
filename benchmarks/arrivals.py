"""Event files that arrive in a landing folder, and what their lines are recognised by."""

from __future__ import annotations

import re
from pathlib import Path

DATE = re.compile(r'("timestamp": ?")(\d{4}-\d\d-\d\d)')
EVENT_ID = re.compile(r'("event_id": ?"[^"]*)')


def arrive(folder: Path, name: str, text: str) -> None:
    """Write a file under a name that the pipeline ignores, then rename it: so it is complete when it is seen."""
    upload = folder / f".{name}"
    upload.write_text(text, encoding="utf-8")
    upload.rename(folder / name)
