"""The months that finance has closed: a state document of the lake (contract 6, periods)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from cloud_analytics.errors import UsageError
from cloud_analytics.lake.folder import Document, LakeFolder


@dataclass(frozen=True)
class Closing:
    """A closed month as it was when it was closed: the daily mart's rows, and their cost (USD)."""

    closed_at: str
    rows: int
    cost_usd: str


@dataclass(frozen=True)
class Periods:
    """The closed months in the order of the calendar, and every closing and reopening there ever was, oldest first."""

    closed: Mapping[str, Closing] = field(default_factory=dict)
    log: tuple[Mapping[str, str], ...] = ()

    @property
    def months(self) -> frozenset[str]:
        """The closed months (YYYY-MM)."""
        return frozenset(self.closed)

    @property
    def open_month(self) -> str | None:
        """The first open month after the closed ones, in which late changes are booked; None where all are open."""
        if not self.closed:
            return None
        return (date.fromisoformat(f"{max(self.closed)}-28") + timedelta(days=4)).isoformat()[:7]

    def with_closed(self, month: str, closing: Closing) -> Periods:
        """The same, and this month closed."""
        entry = {"month": month, "action": "close", "at": closing.closed_at}
        return Periods(dict(sorted({**self.closed, month: closing}.items())), (*self.log, entry))

    def with_reopened(self, month: str, at: str) -> Periods:
        """The same without this month."""
        closed = {name: closing for name, closing in self.closed.items() if name != month}
        return Periods(closed, (*self.log, {"month": month, "action": "reopen", "at": at}))


DOCUMENT = Document("_state/periods", Periods)


def load(lake: LakeFolder) -> Periods:
    """The periods of a lake."""
    return lake.load(DOCUMENT)


def check_month(month: str) -> None:
    """UsageError where the text is no month."""
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", month):
        raise UsageError(f"{month}: expected a month, YYYY-MM")
