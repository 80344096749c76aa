"""Which resources send events on which day, and how many: decided by arithmetic, so nothing is stored per event."""

from __future__ import annotations

from random import Random

from cloud_analytics.generate.ids import stride
from cloud_analytics.generate.settings import GeneratorSettings

ACTIVE_SHARE = 0.6  # of the resources send on a given day
EVENTS_PER_ACTIVE_DAY = 3  # at least, of an active resource


class Calendar:
    """Every event is (day, slot); the slot modulo `active` picks one of the day's active resources.

    A day's active resources are `(step * k + offset) mod resources` for k below `active`: a sample without repetition
    that costs two numbers a day.
    """

    def __init__(self, settings: GeneratorSettings, rng: Random) -> None:
        days, self.resources = settings.days, settings.resource_count
        each, more = divmod(settings.events, days)
        self.counts = [each + (day < more) for day in range(days)]
        full = -(-settings.events // days)
        self.active = max(1, min(round(ACTIVE_SHARE * self.resources), full // EVENTS_PER_ACTIVE_DAY))
        self.steps = [stride(rng, self.resources) for _ in range(days)]
        self.offsets = [rng.randrange(self.resources) for _ in range(days)]

    def resource(self, day: int, slot: int) -> int:
        """The index of the resource that sends the event in that slot."""
        return (self.steps[day] * (slot % self.active) + self.offsets[day]) % self.resources

    def is_active(self, day: int, resource: int) -> bool:
        """Whether the resource sends anything on that day."""
        back = pow(self.steps[day], -1, self.resources) if self.resources > 1 else 0
        slot = (resource - self.offsets[day]) * back % self.resources
        return slot < min(self.active, self.counts[day])


def draw_days(rng: Random, remaining: list[int], size: int) -> list[int]:
    """The days of the next `size` events, as if drawn from a shuffled deck; takes them off `remaining`.

    `choices` draws with replacement, so a draw from a day that is used up is drawn again.
    """
    drawn: list[int] = []
    days = range(len(remaining))
    while len(drawn) < size:
        for day in rng.choices(days, weights=remaining, k=size - len(drawn)):
            if remaining[day]:
                remaining[day] -= 1
                drawn.append(day)
    return drawn
