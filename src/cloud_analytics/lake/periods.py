"""The state document of the months that finance has closed (contract 6, periods)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from cloud_analytics.lake.folder import Document


@dataclass(frozen=True)
class Closing:
    """A month at the time of its closing: the number of rows in the daily mart, and their cost in USD."""

    closed_at: str
    rows: int
    cost_usd: str


@dataclass(frozen=True)
class Periods:
    """The closed months in calendar order, and a log of every closing and reopening, oldest first."""

    closed: Mapping[str, Closing] = field(default_factory=dict)
    log: tuple[Mapping[str, str], ...] = ()

    @property
    def months(self) -> frozenset[str]:
        """The closed months (YYYY-MM)."""
        return frozenset(self.closed)

    @property
    def open_month(self) -> str | None:
        """The month after the last closed one, in which late changes are booked; None if no month is closed."""
        if not self.closed:
            return None
        return (date.fromisoformat(f"{max(self.closed)}-28") + timedelta(days=4)).isoformat()[:7]

    def with_closed(self, month: str, closing: Closing) -> Periods:
        """These periods with one more closed month."""
        entry = {"month": month, "action": "close", "at": closing.closed_at}
        return Periods(dict(sorted({**self.closed, month: closing}.items())), (*self.log, entry))

    def with_reopened(self, month: str, at: str) -> Periods:
        """These periods with this month open again."""
        closed = {name: closing for name, closing in self.closed.items() if name != month}
        return Periods(closed, (*self.log, {"month": month, "action": "reopen", "at": at}))


DOCUMENT = Document("_state/periods", Periods, Periods())
