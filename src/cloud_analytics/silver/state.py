"""What the lake remembers of Silver's events: how each date was built, and of what. Without Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from cloud_analytics.lake.folder import Document, LakeFolder, or_list_of_values


@dataclass(frozen=True)
class Inputs:
    """What a date was built from: the version of its Bronze rows, the contents of the masters, the rules."""

    bronze: int
    customers_orgs: str
    resources: str
    users: str
    rules: str


_Inputs = Annotated[Inputs, or_list_of_values(Inputs)]


@dataclass(frozen=True)
class SilverDate:
    """How a date was built; each number is that of a transaction.

    `version`: the one that last changed its rows. `base`: the one that built it anew or joined its files; 0 where
    nobody knows it. `parts`: those that added rows since.
    """

    inputs: _Inputs
    version: int
    base: int = 0
    parts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Baselines:
    """The rules by which `silver/cost_baselines` was made, and the number of events that it was made of."""

    rules: str
    events: int


@dataclass(frozen=True)
class SilverEvents:
    """The state of silver/usage_events.

    `settled`: the inputs of those dates that are as the last settling left them. `events`: how many Silver holds.
    `baselines`: None before the first build.
    """

    dates: Mapping[str, SilverDate] = field(default_factory=dict)
    settled: Mapping[str, _Inputs] = field(default_factory=dict)
    events: int = 0
    baselines: Baselines | None = None


DOCUMENT = Document("_state/silver_usage_events", SilverEvents)


def load(lake: LakeFolder) -> SilverEvents:
    """The state of Silver's events in a lake."""
    return lake.load(DOCUMENT)


def versions(lake: LakeFolder) -> dict[str, str]:
    """Date → version of its events and rejects, as the engine compares them."""
    return {date: str(entry.version) for date, entry in load(lake).dates.items()}
