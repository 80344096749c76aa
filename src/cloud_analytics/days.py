"""Reads dates that users type."""

from __future__ import annotations

import re
from datetime import date

from cloud_analytics.errors import UsageError


def calendar_day(option: str, text: str) -> date:
    """`YYYY-MM-DD` → a date. UsageError for any other text, also for forms that only Python 3.11 and later accept."""
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r}: expected a date YYYY-MM-DD of the calendar") from None
