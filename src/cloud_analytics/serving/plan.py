"""What a load will write, and how much of a month's allowance that is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TablePlan:
    """One table: the partitions of its mart that are due, their rows, and the slices that are deleted."""

    table: str
    partitions: int
    rows: int
    deletions: int

    @property
    def writes(self) -> int:
        """Each row is a write, and so is each deletion."""
        return self.rows + self.deletions


@dataclass(frozen=True)
class Plan:
    """A load. `written` are the writes of this month so far, `allowance` those that it includes (None: no limit)."""

    tables: tuple[TablePlan, ...]
    written: int
    allowance: int | None

    @property
    def writes(self) -> int:
        """The writes of all tables."""
        return sum(table.writes for table in self.tables)

    @property
    def exceeds_allowance(self) -> bool:
        """Whether the load takes more writes than this month has left."""
        return self.allowance is not None and self.written + self.writes > self.allowance

    def line(self) -> str:
        """The load in one line."""
        rows, deletions = (sum(getattr(table, name) for table in self.tables) for name in ("rows", "deletions"))
        text = f"this load plans {self.writes:,} writes ({rows:,} rows, {deletions:,} deletions)"
        if self.allowance is None:
            return text
        total = self.written + self.writes
        share = f"{text}: with the {self.written:,} of this month {total / self.allowance:.1%} of {self.allowance:,}"
        return f"{share}: more than the month's allowance" if self.exceeds_allowance else share
