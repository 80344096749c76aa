"""Labelled anomalies beyond price spikes: where they are planted, and what they do to an event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from random import Random

from cloud_analytics.generate.calendar import Calendar
from cloud_analytics.generate.masters import Resource
from cloud_analytics.generate.settings import GeneratorSettings

KINDS = ("usage_spike", "level_shift", "slow_drift", "runaway_resource", "missing_day", "negative_burst")
PATTERNS = ("weekly_peak",)
"""Labelled as well, but the ordinary way of a group: what a detector should not call an anomaly."""
RUNAWAY_DAYS = 5
BURST_DAYS = 2

Group = tuple[str, str]  # org_id, service


@dataclass(frozen=True)
class Effect:
    """What a label does to the events of one resource on one day."""

    label: int
    """Index of the label in the plan."""
    usage: float = 1.0
    """Multiplier of the value, at the normal price."""
    negative: bool = False
    """The cost changes its sign."""
    replacement: int | None = None
    """Another resource (its index) sends the event instead, and the label gets none."""


@dataclass(frozen=True)
class Label:
    """One planted anomaly, or pattern, of an org's service."""

    kind: str
    org_id: str
    service: str
    dates: tuple[date, date]
    """First and last, both included."""
    factor: float | None
    """Usage multiplier (of the last day for a drift); null where usage does not change."""
    resource_id: str | None
    """Only for a runaway resource."""


@dataclass
class AnomalyPlan:
    """The labels and, for each day, their effects by resource index."""

    labels: list[Label]
    effects: list[dict[int, Effect]]


@dataclass
class _Planner:
    settings: GeneratorSettings
    resources: Sequence[Resource]
    calendar: Calendar
    rng: Random
    plan: AnomalyPlan = field(init=False)

    def __post_init__(self) -> None:
        self.plan = AnomalyPlan([], [{} for _ in range(self.settings.days)])

    def place(self, kind: str, group: Group, members: list[int]) -> bool:
        """Plant one anomaly; False when the group sends nothing on the days that the kind needs."""
        days, rng = self.settings.days, self.rng
        factor: float | None = None
        if kind == "runaway_resource":
            members = [rng.choice(members)]
        busy = [day for day in range(days // 2, days) if any(self.calendar.is_active(day, r) for r in members)]
        if not busy:
            return False
        first = rng.choice(busy)
        last = first
        if kind == "usage_spike":
            factor = rng.uniform(6, 12)
        elif kind == "level_shift":
            # The earlier half of the busy days, so that the new level lasts long enough to be one.
            first, last, factor = rng.choice(busy[: -(-len(busy) // 2)]), days - 1, rng.uniform(2.5, 4)
        elif kind == "slow_drift":
            first, last, factor = days // 3, days - 1, rng.uniform(3, 5)
        elif kind == "runaway_resource":
            last, factor = min(days - 1, first + RUNAWAY_DAYS - 1), rng.uniform(8, 15)
        elif kind == "negative_burst":
            last = min(days - 1, first + BURST_DAYS - 1)
        planted = range(first, last + 1)
        if kind == "weekly_peak":
            planted, factor = range(first % 7, days, 7), rng.uniform(4, 6)
        factor = None if factor is None else round(factor, 2)
        dates = (self.settings.dates[planted[0]], self.settings.dates[planted[-1]])
        resource_id = self.resources[members[0]].resource_id if kind == "runaway_resource" else None
        label = len(self.plan.labels)
        self.plan.labels.append(Label(kind, group[0], group[1], dates, factor, resource_id))
        for day in planted:
            usage = factor or 1.0
            if kind == "slow_drift":
                usage = 1 + (usage - 1) * (day - first + 1) / len(planted)
            for member in members:
                self.plan.effects[day][member] = Effect(label, usage, kind == "negative_burst")
        return True

    def silence(self, free: Sequence[int]) -> None:
        """Give the events of missing days to resources without any label, so that totals stay as asked for."""
        missing = {i for i, label in enumerate(self.plan.labels) if label.kind == "missing_day"}
        for effects in self.plan.effects:
            for member, effect in effects.items():
                if effect.label in missing:
                    effects[member] = Effect(effect.label, replacement=self.rng.choice(free))


def _groups(resources: Sequence[Resource], rng: Random) -> dict[Group, list[int]]:
    """Resource indexes by (org, service) in random order."""
    groups: defaultdict[Group, list[int]] = defaultdict(list)
    for index, resource in enumerate(resources):
        groups[resource.org_id, resource.service].append(index)
    keys = sorted(groups)
    rng.shuffle(keys)
    return {key: groups[key] for key in keys}


def plan_anomalies(
    settings: GeneratorSettings, resources: Sequence[Resource], calendar: Calendar, rng: Random
) -> AnomalyPlan:
    """Place every kind and pattern `anomalies_per_kind` times, each on an (org, service) of its own, while those last.

    One group in four at least keeps out of every label: it is what the labelled ones stand out from.
    """
    planner = _Planner(settings, resources, calendar, rng)
    groups = _groups(resources, rng)
    keys: Iterator[Group] = iter(list(groups)[: len(groups) * 3 // 4])
    used: set[int] = set()
    for kind in (*KINDS * settings.anomalies_per_kind, *PATTERNS * settings.anomalies_per_kind):
        for key in keys:
            used |= set(groups[key])
            if planner.place(kind, key, groups[key]):
                break
    planner.silence([index for index in range(len(resources)) if index not in used])
    return planner.plan
