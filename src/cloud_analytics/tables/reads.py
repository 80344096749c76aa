"""What a table reads to hold a date: of which other table, and how far back.

A table is named by its folder in the lake, such as `gold/carbon_impact`. A table without a partition column is one
partition: it reads others as a `Whole`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Read:
    """A table that is read; its kinds say which dates of it."""

    table: str


class SameDate(Read):
    """The date itself."""


class Earlier(Read):
    """All dates before it. A table may read itself so."""


class History(Read):
    """The date itself and all dates before it."""


class Whole(Read):
    """All of it, whatever the date."""


@dataclass(frozen=True)
class Days(Read):
    """The date itself and so many calendar days before it.

    The table then has every calendar date whose days hold something, up to the last date of what it reads.
    """

    before: int
