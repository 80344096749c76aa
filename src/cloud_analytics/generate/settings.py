"""What to generate, checked before anything is written, and what was generated."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, timedelta
from pathlib import Path

RESOURCES_PER_ORG = 5
USERS_PER_ORG = 10
EVENTS_PER_FILE = 360  # of the reference data
FEW_FILES = 120
MAX_EVENTS_PER_FILE = 50_000
MAX_EVENTS = 36**6 // 2  # half of the unique endings of an event_id: the other half is for planted dirt
HISTORY_DAYS = 60  # the masters begin this long before the first event


@dataclass(frozen=True)
class GeneratorSettings:
    """Size and character of a landing folder; impossible values raise ValueError with one line.

    `None` means "scaled": resources and users with orgs, files with events, v1_days with days. The defaults give the
    shape of the reference data. The same settings always give the same bytes; `dirty` adds lines and rows to a clean
    folder and changes none of its ordinary events. Keep `start_date + days` in the past: the pipeline quarantines
    events that lie in the future, which the truth does not foresee.
    """

    events: int = 43_200
    """Ordinary usage events (dirt comes on top)."""
    days: int = 60
    """Calendar days that the events cover."""
    orgs: int = 80
    resources: int | None = None
    users: int | None = None
    files: int | None = None
    """Ordinary files of usage events."""
    seed: int = 7
    start_date: date = date(2025, 7, 3)
    """UTC date of the first event."""
    dirty: bool = False
    """Plant every kind of hostile input that the data contract names."""
    anomalies: bool = False
    """Plant the richer labelled anomalies, not only price spikes."""
    v1_days: int | None = None
    """First days whose events have schema version 1 (scaled: a quarter of the days)."""
    dirt_per_kind: int = 3
    """Lines or rows of each kind of dirt."""
    anomalies_per_kind: int = 3
    """Labelled anomalies of each kind; fewer when the orgs are too few to keep them apart."""

    def __post_init__(self) -> None:
        """Check every value; the message names the setting and what it may be."""
        at_least = {"events": 1, "days": 1, "orgs": 1, "resources": 1, "users": 1, "files": 1, "v1_days": 0}
        at_least |= {"dirt_per_kind": 1, "anomalies_per_kind": 1}
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

    @property
    def resource_count(self) -> int:
        """Resources, scaled from the orgs when not given."""
        return RESOURCES_PER_ORG * self.orgs if self.resources is None else self.resources

    @property
    def user_count(self) -> int:
        """Users, scaled from the orgs when not given."""
        return USERS_PER_ORG * self.orgs if self.users is None else self.users

    @property
    def file_count(self) -> int:
        """Ordinary event files: about as full as the reference's up to 120 of them, then fuller, then more."""
        if self.files is not None:
            return self.files
        small = min(FEW_FILES, max(1, self.events // EVENTS_PER_FILE))
        return max(small, -(-self.events // MAX_EVENTS_PER_FILE))

    @property
    def v1_day_count(self) -> int:
        """Days of schema version 1, counted from the first."""
        return self.days // 4 if self.v1_days is None else min(self.v1_days, self.days)

    @property
    def dates(self) -> list[date]:
        """Every date that has events, in order (some are empty when there are fewer events than days)."""
        return [self.start_date + timedelta(days=i) for i in range(self.days)]

    @property
    def end_date(self) -> date:
        """The last of the dates."""
        return self.start_date + timedelta(days=self.days - 1)

    def event_file(self, index: int) -> str:
        """Name of an ordinary event file."""
        width = max(4, len(str(self.file_count - 1)))
        return f"events_part_{index:0{width}}.jsonl"

    def as_dict(self) -> dict[str, object]:
        """The settings with the scaled values filled in, ready for JSON."""
        plain: dict[str, object] = {f.name: getattr(self, f.name) for f in fields(self)}
        plain["start_date"] = self.start_date.isoformat()
        scaled = {"resources": self.resource_count, "users": self.user_count, "files": self.file_count}
        return plain | scaled | {"v1_days": self.v1_day_count}


@dataclass(frozen=True)
class GeneratorSummary:
    """What `generate` wrote; the counts are those of `_truth.json`."""

    out: Path
    files: int
    """Landing files, the ones the pipeline must ignore included, the truth not."""
    bytes_written: int
    landing: dict[str, int]
    """Landing lines (records) by source."""
    silver: dict[str, int]
    """Rows that should reach Silver, by source."""
    quarantine: dict[str, dict[str, int]]
    """Rows that should be quarantined, by source and error_type."""
    anomalies: dict[str, int]
    """Labelled anomalies by kind."""

    @property
    def events(self) -> int:
        """Landing lines of usage events, dirt included."""
        return self.landing["usage_events"]
