"""The stored state of silver/usage_events: how each date was built, and from which inputs. It does not use Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from cloud_analytics.lake.folder import Document, LakeFolder, or_list_of_values


@dataclass(frozen=True)
class Inputs:
    """The inputs of a date: the version of its Bronze rows, the contents of the masters, and the rules."""

    bronze: int
    customers_orgs: str
    resources: str
    users: str
    rules: str


_Inputs = Annotated[Inputs, or_list_of_values(Inputs)]


@dataclass(frozen=True)
class SilverDate:
    """How a date was built; each number is that of a transaction.

    `version`: the transaction that last changed the rows. `base`: the transaction that rebuilt the date, or the last
    change before its files were merged; 0 if it is unknown. `parts`: the transactions that added rows after `base`.
    """

    inputs: _Inputs
    version: int
    base: int = 0
    parts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Baselines:
    """The rules and the number of events from which `silver/cost_baselines` was made."""

    rules: str
    events: int


@dataclass(frozen=True)
class SilverEvents:
    """The state of silver/usage_events.

    `settled`: date → inputs, for dates that have not changed since the last settling. `events`: number of events in
    Silver. `baselines`: None before the first build.
    """

    dates: Mapping[str, SilverDate] = field(default_factory=dict)
    settled: Mapping[str, _Inputs] = field(default_factory=dict)
    events: int = 0
    baselines: Baselines | None = None


DOCUMENT = Document("_state/silver_usage_events", SilverEvents, SilverEvents())


def versions(lake: LakeFolder) -> dict[str, str]:
    """Date → version of its events and rejects, as the engine compares them."""
    return {date: str(entry.version) for date, entry in lake.load(DOCUMENT).dates.items()}
