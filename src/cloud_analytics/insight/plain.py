"""Convert values of the lake to plain data for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID


def plain(value: Any) -> Any:
    """Convert a value for JSON: decimals become strings with every digit, dates ISO strings, non-finite numbers None.

    Bytes are decoded as UTF-8; invalid bytes become backslash escapes.
    """
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):  # includes datetime
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, time | timedelta | UUID):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
