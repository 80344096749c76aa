"""Reads dates, months and durations that users type."""

from __future__ import annotations

import re
from datetime import date, timedelta

from cloud_analytics.errors import UsageError

_LONGEST = timedelta(36_500)  # Spark and DuckDB count microseconds, in which a much longer duration would not fit
_DURATION = re.compile(r"^\s*(\d+)\s*(second|minute|hour|day)s?\s*$")


def calendar_day(option: str, text: str) -> date:
    """`YYYY-MM-DD` → a date. UsageError for any other text, also for forms that only Python 3.11 and later accept."""
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r}: expected a date YYYY-MM-DD of the calendar") from None


def check_month(month: str) -> None:
    """UsageError if the text is not a month (YYYY-MM)."""
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", month):
        raise UsageError(f"{month}: expected a month, YYYY-MM")


def parse_duration(text: str) -> timedelta:
    """Convert a text such as `2 hours` to a timedelta. Raises ValueError, which says what is allowed."""
    match = _DURATION.match(text)
    if not match:
        raise ValueError("expected a duration such as '30 seconds', '15 minutes', '2 hours' or '1 day'")
    number, unit = int(match.group(1)), timedelta(**{match.group(2) + "s": 1})
    if number > _LONGEST // unit:
        raise ValueError(f"expected at most {_LONGEST.days} days")
    return number * unit
