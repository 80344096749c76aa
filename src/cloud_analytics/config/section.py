"""The base class of all sections of the configuration, and durations."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LARGEST_INT = 2**31 - 1
"""The largest whole number that Spark takes where it counts."""
Exact = Annotated[Decimal, Field(lt=10**12, decimal_places=6), AfterValidator(lambda number: Decimal(f"{number:f}"))]
"""A number that Spark computes with exactly, as with costs; kept without an exponent, since it takes none above 0."""
_LONGEST = timedelta(36_500)  # more would not fit where Spark and DuckDB count microseconds
_DURATION = re.compile(r"^\s*(\d+)\s*(second|minute|hour|day)s?\s*$")


def parse_duration(text: str) -> timedelta:
    """`2 hours` → a timedelta; ValueError says what is allowed."""
    match = _DURATION.match(text)
    if not match:
        raise ValueError("expected a duration such as '30 seconds', '15 minutes', '2 hours' or '1 day'")
    number, unit = int(match.group(1)), timedelta(**{match.group(2) + "s": 1})
    if number > _LONGEST // unit:
        raise ValueError(f"expected at most {_LONGEST.days} days")
    return number * unit


def _as_duration(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(str(value))


Duration = Annotated[timedelta, BeforeValidator(_as_duration)]


class Section(BaseModel):
    """A part of the configuration. It cannot be changed, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
