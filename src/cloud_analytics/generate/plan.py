"""Plans which resources send how many events on which day, and where labelled anomalies are planted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from cloud_analytics.generate import catalog as c
from cloud_analytics.generate.ids import stride
from cloud_analytics.generate.masters import Resource
from cloud_analytics.generate.settings import GeneratorSettings
from cloud_analytics.generate.truth import Label

ACTIVE_SHARE = 0.6  # share of the resources that send events on a given day
EVENTS_PER_ACTIVE_DAY = 3  # least number of events of an active resource
WEEKDAY_WEIGHTS = (1.25, 1.35, 1.4, 1.35, 1.25, 0.25, 0.15)  # Monday to Sunday, with --weekly
RUNAWAY_DAYS = 5
BURST_DAYS = 2


def day_counts(settings: GeneratorSettings) -> list[int]:
    """Number of events of each day: the same on every day, unless the settings ask for a weekly rhythm or growth."""
    end = settings.days - 1 if settings.growth > 0 else 0  # this day has the largest weight, 1: no power overflows
    weights = [(1 + settings.growth) ** ((day - end) / 30) for day in range(settings.days)]
    if settings.weekly:
        weights = [weight * WEEKDAY_WEIGHTS[day.weekday()] for weight, day in zip(weights, settings.dates)]
    unit = settings.events / sum(weights)
    counts = [int(unit * weight) for weight in weights]
    by_remainder = sorted(range(settings.days), key=lambda day: counts[day] - unit * weights[day])
    for day in by_remainder[: settings.events - sum(counts)]:  # so that the sum is right
        counts[day] += 1
    return counts


class Calendar:
    """Every event is (day, slot); the slot modulo `active` chooses one of the day's active resources.

    The active resources of a day are `(step * k + offset) mod resources` for k below `active`: a sample without
    repetition that needs only two numbers per day.
    """

    def __init__(self, settings: GeneratorSettings, rng: Random) -> None:
        days, self.resources = settings.days, settings.resources
        self.counts = day_counts(settings)
        full = -(-settings.events // days)
        self.active = max(1, min(round(ACTIVE_SHARE * self.resources), full // EVENTS_PER_ACTIVE_DAY))
        self.steps = [stride(rng, self.resources) for _ in range(days)]
        self.offsets = [rng.randrange(self.resources) for _ in range(days)]

    def resource(self, day: int, slot: int) -> int:
        """The index of the resource that sends this event."""
        return (self.steps[day] * (slot % self.active) + self.offsets[day]) % self.resources

    def is_active(self, day: int, resource: int) -> bool:
        """Whether the resource sends anything on that day."""
        back = pow(self.steps[day], -1, self.resources) if self.resources > 1 else 0
        slot = (resource - self.offsets[day]) * back % self.resources
        return slot < min(self.active, self.counts[day])


def draw_days(rng: Random, remaining: list[int], size: int) -> list[int]:
    """The days of the next `size` events, drawn at random without replacement; `remaining` is reduced by them.

    `choices` draws with replacement. So if a drawn day has no events left, another day is drawn.
    """
    drawn: list[int] = []
    days = range(len(remaining))
    while len(drawn) < size:
        for day in rng.choices(days, weights=remaining, k=size - len(drawn)):
            if remaining[day]:
                remaining[day] -= 1
                drawn.append(day)
    return drawn


@dataclass(frozen=True)
class Effect:
    """How a label changes the events of one resource on one day."""

    label: Label
    usage: float = 1.0  # multiplier of the value, at the normal price
    replacement: int | None = None  # index of a resource that sends the event instead; the label then omits it


Effects = dict[tuple[int, int], Effect]
"""(day, resource), both as indexes → what changes the resource's events of the day."""


def plan_anomalies(
    settings: GeneratorSettings, resources: Sequence[Resource], calendar: Calendar, rng: Random, labels: list[Label]
) -> Effects:
    """Place every kind and pattern `anomalies_per_kind` times, each in an (org, service) group of its own.

    Fewer are placed if there are too few groups: at least one group in four gets no label, so that the labelled groups
    stand out. New labels are appended to `labels`.
    """
    days, effects = settings.days, Effects()
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
            effects |= {(day, member): Effect(label, usage) for member in members}
    free = [index for index in range(len(resources)) if index not in used]
    for (day, member), effect in sorted(effects.items(), key=lambda item: item[0][0]):
        if effect.label.kind == "missing_day":  # other resources send these events, so that their number stays the same
            effects[day, member] = Effect(effect.label, replacement=rng.choice(free))
    return effects


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
