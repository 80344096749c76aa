"""The base class of all sections of the configuration, and durations."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

_DURATION = re.compile(r"^\s*(\d+)\s*(second|minute|hour|day)s?\s*$")


def parse_duration(text: str) -> timedelta:
    """`2 hours` → a timedelta; ValueError says what is allowed."""
    match = _DURATION.match(text)
    if not match:
        raise ValueError("expected a duration such as '30 seconds', '15 minutes', '2 hours' or '1 day'")
    try:
        return timedelta(**{match.group(2) + "s": int(match.group(1))})
    except OverflowError:
        raise ValueError("expected at most 999999999 days") from None


def _as_duration(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(str(value))


Duration = Annotated[timedelta, BeforeValidator(_as_duration)]


class Section(BaseModel):
    """A part of the configuration. It cannot be changed, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
