"""Labelled anomalies other than price spikes: where they are planted, and how they change an event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from cloud_analytics.generate import catalog as c
from cloud_analytics.generate.calendar import Calendar
from cloud_analytics.generate.masters import Resource
from cloud_analytics.generate.settings import GeneratorSettings
from cloud_analytics.generate.truth import Label

RUNAWAY_DAYS = 5
BURST_DAYS = 2


@dataclass(frozen=True)
class Effect:
    """How a label changes the events of one resource on one day."""

    label: Label
    usage: float = 1.0
    """Multiplier of the value, at the normal price."""
    negative: bool = False
    """Whether the cost changes its sign."""
    replacement: int | None = None
    """The index of a resource that sends the event instead; the label then does not get the event."""


Effects = list[dict[int, Effect]]
"""For each day, the effects by resource index."""


def plan_anomalies(
    settings: GeneratorSettings, resources: Sequence[Resource], calendar: Calendar, rng: Random, labels: list[Label]
) -> Effects:
    """Place every kind and pattern `anomalies_per_kind` times, each on an (org, service) of its own, while groups last.

    At least one group in four gets no label: the labelled groups stand out from them. New labels go to `labels`.
    """
    days = settings.days
    effects: Effects = [{} for _ in range(days)]
    groups: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, resource in enumerate(resources):
        groups[resource.org_id, resource.service].append(index)
    order = sorted(groups)
    rng.shuffle(order)
    kinds = [*c.ANOMALIES * settings.anomalies_per_kind, *c.PATTERNS * settings.anomalies_per_kind][::-1]
    used: set[int] = set()
    for org_id, service in order[: len(order) * 3 // 4]:
        if not kinds:
            break
        members = groups[org_id, service]
        used |= set(members)
        if kinds[-1] == "runaway_resource":
            members = [rng.choice(members)]
        busy = [day for day in range(days // 2, days) if any(calendar.is_active(day, r) for r in members)]
        if not busy:  # the group sends no events in the second half: the kind goes to the next group
            continue
        kind = kinds.pop()
        planted, factor = _extent(kind, busy, days, rng)
        dates = (settings.dates[planted[0]].isoformat(), settings.dates[planted[-1]].isoformat())
        resource_id = resources[members[0]].resource_id if kind == "runaway_resource" else None
        label = Label(kind, org_id, service, resource_id, dates, None if factor is None else round(factor, 2))
        labels.append(label)
        for number, day in enumerate(planted, 1):
            usage = label.factor or 1.0
            if kind == "slow_drift":
                usage = 1 + (usage - 1) * number / len(planted)
            effects[day] |= {member: Effect(label, usage, kind == "negative_burst") for member in members}
    _replace_missing(effects, [index for index in range(len(resources)) if index not in used], rng)
    return effects


def _replace_missing(effects: Effects, free: Sequence[int], rng: Random) -> None:
    """Let free resources send the events of a `missing_day`, so that the number of events stays the same."""
    for by_resource in effects:
        for member, effect in by_resource.items():
            if effect.label.kind == "missing_day":
                by_resource[member] = Effect(effect.label, replacement=rng.choice(free))


def _extent(kind: str, busy: Sequence[int], days: int, rng: Random) -> tuple[range, float | None]:
    """The days of a label, and its multiplier of the usage."""
    first = rng.choice(busy)
    match kind:
        case "usage_spike":
            return range(first, first + 1), rng.uniform(6, 12)
        case "level_shift":  # it begins in the earlier half of the busy days, so that it lasts long enough
            return range(rng.choice(busy[: -(-len(busy) // 2)]), days), rng.uniform(2.5, 4)
        case "slow_drift":
            return range(days // 3, days), rng.uniform(3, 5)
        case "runaway_resource":
            return range(first, min(days, first + RUNAWAY_DAYS)), rng.uniform(8, 15)
        case "negative_burst":
            return range(first, min(days, first + BURST_DAYS)), None
        case "weekly_peak":
            return range(first % 7, days, 7), rng.uniform(4, 6)
        case _:  # missing_day
            return range(first, first + 1), None
