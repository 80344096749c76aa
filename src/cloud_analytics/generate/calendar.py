"""Which resources send events on which day, and how many. It is arithmetic: nothing is stored per event."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from cloud_analytics.generate.ids import stride
from cloud_analytics.generate.settings import GeneratorSettings

ACTIVE_SHARE = 0.6  # share of the resources that send events on a given day
EVENTS_PER_ACTIVE_DAY = 3  # least number of events of an active resource
WEEKDAY_WEIGHTS = (1.25, 1.35, 1.4, 1.35, 1.25, 0.25, 0.15)  # Monday to Sunday, with --weekly


def day_counts(settings: GeneratorSettings) -> list[int]:
    """Number of events of each day: the same on every day, unless the settings ask for a weekly rhythm or growth."""
    end = settings.days - 1 if settings.growth > 0 else 0  # the day with the weight 1, so that no power overflows
    weights = [(1 + settings.growth) ** ((day - end) / 30) for day in range(settings.days)]
    if settings.weekly:
        weights = [weight * WEEKDAY_WEIGHTS[day.weekday()] for weight, day in zip(weights, settings.dates)]
    return _apportion(settings.events, weights)


def _apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to the weights, whose sum is the total: the largest remainders are rounded up."""
    unit = total / sum(weights)
    counts = [int(unit * weight) for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda day: counts[day] - unit * weights[day])
    for day in by_remainder[: total - sum(counts)]:
        counts[day] += 1
    return counts


class Calendar:
    """Every event is (day, slot); the slot modulo `active` chooses one of the day's active resources.

    The active resources of a day are `(step * k + offset) mod resources` for k below `active`: a sample without
    repetition that needs only two numbers per day.
    """

    def __init__(self, settings: GeneratorSettings, rng: Random) -> None:
        days, self.resources = settings.days, settings.resource_count
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
    """The days of the next `size` events, as if dealt from a shuffled deck; `remaining` is reduced by them.

    `choices` draws with replacement, so a day that is used up is drawn again.
    """
    drawn: list[int] = []
    days = range(len(remaining))
    while len(drawn) < size:
        for day in rng.choices(days, weights=remaining, k=size - len(drawn)):
            if remaining[day]:
                remaining[day] -= 1
                drawn.append(day)
    return drawn
