"""Makes the ordinary usage events as JSON lines, in blocks and not in time order. Memory holds only one block."""

from __future__ import annotations

import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import exp, lgamma, log
from random import Random

from cloud_analytics.config import EVENTS
from cloud_analytics.generate import catalog as c
from cloud_analytics.generate.ids import TRIPLES, endings, topic_random
from cloud_analytics.generate.masters import Resource
from cloud_analytics.generate.plan import Calendar, Effect, Effects, draw_days
from cloud_analytics.generate.settings import GeneratorSettings
from cloud_analytics.generate.truth import Label, Truth

BLOCK = 8_192
"""The largest number of events in memory."""

POOL = 16_384  # values of each metric that events draw from
NOISE = 4_096
WORD = 65_536  # an event uses WORDS random numbers below WORD
WORDS = 10
SMALLEST_VALUE = 0.005  # a smaller value costs less than half of 0.0001 USD: its unit price would be noise
NOISE_RANGE = (0.45, 1.6)  # keeps ordinary unit prices clear of any spike, also after small costs are rounded

TOKENS_PER_USD = 120  # in informative data; the total is about the same as in other data

# Random words below these numbers choose the oddities of an event.
NULL_VALUE = int(c.NULL_VALUE_SHARE * WORD)
QUOTED_VALUE = int((c.NULL_VALUE_SHARE + c.QUOTED_VALUE_SHARE) * WORD)
NULL_UNIT = int(c.NULL_UNIT_SHARE * WORD)
NEGATIVE_COST = int(c.NEGATIVE_COST_SHARE * WORD)
ROUNDING_NOISE = NEGATIVE_COST + int(c.ROUNDING_NOISE_SHARE * WORD)
PRICE_SPIKE = ROUNDING_NOISE + int(c.PRICE_SPIKE_SHARE * WORD)


def carbon_text(value: float) -> str:
    """The carbon_kg of a value in the spelling of the reference data (an integer 0 for no usage)."""
    return repr(round(value * c.CARBON_KG_PER_UNIT, 6)) if value else "0"


def value_pools(rng: Random) -> dict[str, list[float]]:
    """Metric → values to draw from: requests around 120; of the CPU hours and the storage, about a tenth is 0."""

    def usage(mean: float, deviation: float) -> float:
        value = round(rng.gauss(mean, deviation), 4)
        return value if value >= SMALLEST_VALUE else 0.0

    counts, mean = range(240), 120.0
    poisson = [exp(n * log(mean) - mean - lgamma(n + 1)) for n in counts]
    return {
        "requests": [float(n) for n in rng.choices(counts, poisson, k=POOL)],  # the reference spells them like 124.0
        "cpu_hours": [usage(1.8, 1.5) for _ in range(POOL)],
        "storage_gb_hours": [usage(10.0, 8.0) for _ in range(POOL)],
    }


def clipped_noise(rng: Random) -> float:
    """A random factor for a cost: 1 on average, with a standard deviation of 15 %, limited to NOISE_RANGE."""
    low, high = NOISE_RANGE
    return min(high, max(low, rng.gauss(1.0, 0.15)))


class EventStream:
    """Makes one line for each event of the calendar, and records in the truth what it plants."""

    def __init__(
        self,
        settings: GeneratorSettings,
        resources: Sequence[Resource],
        calendar: Calendar,
        effects: Effects,
        truth: Truth,
    ) -> None:
        rng = self._rng = topic_random(settings.seed, "events")
        self._settings, self._calendar, self._truth, self._resources = settings, calendar, truth, resources
        self._effects, self._first_v2_day = effects, settings.v1_days
        self._endings = endings(topic_random(settings.seed, "event-ids"))
        self._remaining = list(calendar.counts)
        self._dates = [date.isoformat() for date in settings.dates]
        self._usage: defaultdict[tuple[int, str], float] = defaultdict(float)  # (resource, month) → USD
        # Parts of the lines that many events share.
        self._minutes = [f"T{m // 60:02}:{m % 60:02}:00Z" for m in range(1440)]
        self._heads = [
            f'"org_id": "{r.org_id}", "resource_id": "{r.resource_id}", "service": "{r.service}"'
            f', "region": "{r.region}", "metric": "'
            for r in resources
        ]
        self._prices = [c.UNIT_PRICES[r.service] for r in resources]
        self._intensities = [
            c.REGION_CARBON[r.region] * c.SERVICE_CARBON[r.service] if settings.informative else 1.0 for r in resources
        ]
        self._starts = [rng.choice(TRIPLES) for _ in range(WORD)]
        self._noise = [clipped_noise(rng) for _ in range(NOISE)]
        self._tokens = [round(abs(rng.gauss(800, 470))) for _ in range(NOISE)]
        self._values = value_pools(rng)
        self._metrics = [metric for metric, share in c.METRIC_TWENTIETHS.items() for _ in range(share)]

    def usage(self) -> dict[tuple[str, str], float]:
        """(org_id, first day of the month) → cost (USD) of the lines so far that Silver should hold; for invoices."""
        sums: defaultdict[tuple[str, str], float] = defaultdict(float)
        for (resource, month), cost in self._usage.items():
            sums[self._resources[resource].org_id, f"{month}-01"] += cost
        return dict(sums)

    def block(self, size: int) -> list[str]:
        """The next `size` lines, without line ends. For speed, one call makes nearly all random numbers of a block."""
        order = draw_days(self._rng, self._remaining, size)
        # draw_days has already subtracted the block from `remaining`: slots count down from the numbers before it.
        slots = list(self._remaining)
        for day in order:
            slots[day] += 1
        words = array("H", self._rng.randbytes(2 * WORDS * size))
        if sys.byteorder == "big":
            words.byteswap()
        lines: list[str] = []
        planted: Counter[str] = Counter()
        columns = (words[i::WORDS] for i in range(WORDS))
        for day, id1, id2, at, which, nth, noisy, odd_value, odd_unit, odd_cost, extra in zip(order, *columns):
            slots[day] -= 1
            resource, effect = self._sender(day, slots[day])
            metric = self._metrics[which * 20 >> 16]
            event_id = f"evt_{self._starts[id1]}{self._starts[id2]}{next(self._endings)}"
            value = self._values[metric][nth % POOL]
            if effect is not None:
                effect.label.event_ids.append(event_id)
                value = round(value * effect.usage, 0 if metric == "requests" else 4)
            list_cost = value * self._prices[resource]
            cost = usual_cost = round(list_cost * self._noise[noisy % NOISE], 4)
            if spiked := not effect and value != 0 and ROUNDING_NOISE <= odd_cost < PRICE_SPIKE:
                cost = self._spike(list_cost, event_id, resource, day, metric)
            elif effect or odd_cost < ROUNDING_NOISE:
                cost = _odd_cost(cost, effect, odd_cost, nth)
            self._count(cost, resource, day, planted)
            text, unit = repr(value), f'"{c.METRIC_UNITS[metric]}"'
            if odd_value < NULL_VALUE and not spiked:  # without a value, nobody could tell a spike from high usage
                text, value = "null", 0.0
                planted["null_value"] += 1
            elif odd_value < QUOTED_VALUE:
                text = f'"{text}"'
                planted["quoted_value"] += 1
            if odd_unit < NULL_UNIT:
                unit = "null"
                planted["null_unit"] += 1
            lines.append(
                f'{{"event_id": "{event_id}", "timestamp": "{self._dates[day]}{self._minutes[at * 1440 >> 16]}", '
                f'{self._heads[resource]}{metric}", "value": {text}, "unit": {unit}, '
                f'"cost_usd_increment": {cost!r}, {self._version(day, resource, value, usual_cost, extra)}}}'
            )
        rejected = planted["negative_cost"]
        self._truth.row(EVENTS, count=size - rejected)
        self._truth.row(EVENTS, "negative_cost", rejected)
        self._truth.planted.update(planted)
        return lines

    def _sender(self, day: int, slot: int) -> tuple[int, Effect | None]:
        """The index of the resource that sends an event, and the effect of a label on the event, if any."""
        resource = self._calendar.resource(day, slot)
        effect = self._effects.get((day, resource))
        if effect is not None and effect.replacement is not None:
            return effect.replacement, None
        return resource, effect

    def _count(self, cost: float, resource: int, day: int, planted: Counter[str]) -> None:
        """Add the cost to the usage if Silver accepts it, and count it as a planted oddity if it is negative."""
        if cost >= -0.01:
            self._usage[resource, self._dates[day][:7]] += cost
        if cost < 0:
            planted["negative_cost" if cost < -0.01 else "rounding_noise_cost"] += 1
        elif cost == 0 and repr(cost) == "-0.0":
            planted["negative_zero_cost"] += 1

    def _version(self, day: int, resource: int, value: float, cost: float, extra: int) -> str:
        """The schema version, with the fields that version 2 adds."""
        if day < self._first_v2_day:
            return '"schema_version": 1'
        fields = f'"schema_version": 2, "carbon_kg": {carbon_text(value * self._intensities[resource])}'
        if self._resources[resource].service != "genai":
            return fields
        tokens = self._tokens[extra % NOISE]
        if self._settings.informative:
            tokens = round(cost * TOKENS_PER_USD * self._noise[extra % NOISE])
        return f'{fields}, "genai_tokens": {tokens}'

    def _spike(self, list_cost: float, event_id: str, resource: int, day: int, metric: str) -> float:
        """The cost (USD) of a price spike. Its label holds the multiple of the list price after rounding."""
        if self._settings.anomalies:
            factor = self._rng.uniform(5.0, 30.0)
        else:
            factor = c.PRICE_SPIKE_FACTOR * min(1.5, max(0.65, self._rng.gauss(1.0, 0.15)))
        cost = round(list_cost * factor, 4)
        factor, r, date = round(cost / list_cost, 2), self._resources[resource], self._dates[day]
        spike = Label("price_spike", r.org_id, r.service, r.resource_id, (date, date), factor, metric, [event_id])
        self._truth.labels.append(spike)
        return cost


def _odd_cost(cost: float, effect: Effect | None, odd_cost: int, nth: int) -> float:
    """The cost under an effect, or the negative cost that the random word `odd_cost` chooses."""
    if effect is not None:
        return -cost if effect.label.kind == "negative_burst" else cost
    return -cost if odd_cost < NEGATIVE_COST else -(1 + nth % 100) / 10_000
