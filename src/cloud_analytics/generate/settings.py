"""The settings of the generator, checked before anything is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Literal

RESOURCES_PER_ORG = 5
USERS_PER_ORG = 10
EVENTS_PER_FILE = 360  # of the reference data
FEW_FILES = 120
MAX_EVENTS_PER_FILE = 50_000
MAX_EVENTS = 36**6 // 2  # half of the unique endings of an event_id: the other half is for planted dirt
HISTORY_DAYS = 60  # the masters begin this long before the first event


@dataclass(frozen=True)
class GeneratorSettings:
    """Size and character of a landing folder. The defaults imitate the reference data; ValueError names a wrong value.

    The same settings always give the same bytes. `dirty` adds lines and rows, and changes no ordinary event. The last
    day should not be in the future: the pipeline quarantines future events, but the truth file does not expect that.
    """

    events: int = 43_200  # ordinary usage events; `dirty` adds more
    days: int = 60  # calendar days with events
    orgs: int = 80
    files: int | None = None  # ordinary files of usage events; None: derived from the events
    seed: int = 7
    start_date: date = date(2025, 7, 3)  # UTC date of the first event
    dirty: bool = False  # plant every kind of hostile input that the data contract names
    anomalies: bool = False  # plant labelled anomalies of every kind, not only price spikes
    dirt_per_kind: int = 3  # lines or rows of each kind of dirt
    anomalies_per_kind: int = 3  # labelled anomalies of each kind; fewer where orgs are too few to keep them apart
    weekly: bool = False  # fewer events on Saturdays and Sundays
    growth: float = 0.0  # share by which events per day grow in 30 days: 0.1 is a tenth; the total stays `events`
    # Whether invoices have nothing to do with usage, as in the reference, or match the month's usage.
    billing: Literal["independent", "matched"] = "independent"
    # Give figures a meaning that the reference data lack: GenAI tokens follow the cost, carbon depends on region and
    # service, and invoices match, so that amounts also depend on the currency.
    informative: bool = False
    leaks_per_kind: int = 3  # with matched invoices: planted leaks of each kind; fewer if months are few

    def __post_init__(self) -> None:
        """Raise ValueError for the first wrong value, with the setting and what is allowed."""
        at_least = {"events": 1, "days": 1, "orgs": 1, "files": 1}
        at_least |= {"dirt_per_kind": 1, "anomalies_per_kind": 1, "leaks_per_kind": 0}
        for name, least in at_least.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}")
        if self.events > MAX_EVENTS:
            raise ValueError(f"events must be at most {MAX_EVENTS}, not {self.events}")
        if self.file_count > self.events:
            raise ValueError(f"files ({self.file_count}) cannot be more than events ({self.events})")
        if self.start_date.year < 2001:
            raise ValueError(f"start_date must be 2001-01-01 or later, not {self.start_date.isoformat()}")
        if self.days > (date(9000, 1, 1) - self.start_date).days:
            raise ValueError(f"days ({self.days}) reach beyond the calendar from {self.start_date.isoformat()}")
        if not -0.9 <= self.growth <= 10:
            raise ValueError(f"growth must lie between -0.9 and 10 (0.1: a tenth more in 30 days), not {self.growth}")
        if self.dirty and self.matched:
            raise ValueError("matched invoices need clean usage and clean invoices: leave out dirty")

    @property
    def matched(self) -> bool:
        """Whether invoices follow the usage."""
        return self.informative or self.billing == "matched"

    @property
    def resources(self) -> int:
        """Number of resources."""
        return RESOURCES_PER_ORG * self.orgs

    @property
    def users(self) -> int:
        """Number of users."""
        return USERS_PER_ORG * self.orgs

    @property
    def file_count(self) -> int:
        """Number of ordinary event files: up to 120 files of the reference's size, then larger files, then more."""
        if self.files is not None:
            return self.files
        small = min(FEW_FILES, max(1, self.events // EVENTS_PER_FILE))
        return max(small, -(-self.events // MAX_EVENTS_PER_FILE))

    @property
    def v1_days(self) -> int:
        """Number of first days whose events have schema version 1."""
        return self.days // 4

    @property
    def dates(self) -> list[date]:
        """The dates of the days, in order; some have no event when there are fewer events than days."""
        return [self.start_date + timedelta(days=i) for i in range(self.days)]

    @property
    def end_date(self) -> date:
        """The last date."""
        return self.start_date + timedelta(days=self.days - 1)

    def event_file(self, index: int) -> str:
        """Name of an ordinary event file."""
        width = max(4, len(str(self.file_count - 1)))
        return f"events_part_{index:0{width}}.jsonl"

    def as_dict(self) -> dict[str, object]:
        """The settings with all derived values, ready for JSON."""
        derived = {"resources": self.resources, "users": self.users, "files": self.file_count, "v1_days": self.v1_days}
        return asdict(self) | derived | {"start_date": self.start_date.isoformat()}
