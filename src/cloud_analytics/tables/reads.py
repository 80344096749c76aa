"""Which dates of another table are read to build one date of a table.

Tables are named by their folder in the lake, such as `gold/carbon_impact`. A table without a partition column reads
every other table as `Whole`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Read:
    """A table that is read. The subclasses say which of its dates."""

    table: str


class SameDate(Read):
    """The date itself."""


class Earlier(Read):
    """All dates before it. A table may read its own earlier dates."""


class History(Read):
    """The date itself and all dates before it."""


class Whole(Read):
    """All dates, or a table without dates."""


@dataclass(frozen=True)
class Days(Read):
    """The date itself and the `before` calendar days before it.

    The table that is built has each calendar date whose window is not empty, up to the last date that is read.
    """

    before: int
