"""The ordinary usage events, block by block: lines of JSON in no order of time, without keeping any."""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Sequence
from math import exp, lgamma, log
from random import Random

from cloud_analytics.generate import catalog as c
from cloud_analytics.generate.anomalies import Effects
from cloud_analytics.generate.calendar import Calendar, draw_days
from cloud_analytics.generate.ids import ENDINGS, TRIPLES, EndingWalk, topic_random
from cloud_analytics.generate.masters import Resource
from cloud_analytics.generate.settings import GeneratorSettings
from cloud_analytics.generate.truth import Label, Truth

BLOCK = 8_192
"""Most events in memory at once."""

POOL = 16_384  # values of each metric that events draw from; a power of two
NOISE = 4_096  # a power of two
WORD = 65_536  # random numbers of an event are 16-bit words ...
WORDS = 10  # ... ten of them
SMALLEST_VALUE = 0.005  # smaller ones would cost less than half a 0.0001 USD: their unit price would be noise
NOISE_RANGE = (0.45, 1.6)  # keeps ordinary unit prices clear of any spike, rounding of small costs included

TOKENS_PER_USD = 120  # of informative data; about as many tokens in all as otherwise

PooledValue = tuple[float, str, str]  # value, its text, the text of carbon_kg


def _poisson(rng: Random, mean: float, count: int) -> list[float]:
    """Counts around the mean, as floats: the reference spells requests like 124.0."""
    counts = range(round(2 * mean))
    weights = [exp(n * log(mean) - mean - lgamma(n + 1)) for n in counts]
    return [float(n) for n in rng.choices(counts, weights, k=count)]


def carbon_text(value: float) -> str:
    """carbon_kg of a value, as the reference spells it (an integer 0 for no usage)."""
    return repr(round(value * c.CARBON_KG_PER_UNIT, 6)) if value else "0"


def value_pools(rng: Random) -> dict[str, list[PooledValue]]:
    """Values of each metric: requests around 120, cpu hours and storage with about a tenth of zeros."""

    def usage(mean: float, deviation: float) -> float:
        value = round(rng.gauss(mean, deviation), 4)
        return value if value >= SMALLEST_VALUE else 0.0

    values = {
        "requests": _poisson(rng, 120.0, POOL),
        "cpu_hours": [usage(1.8, 1.5) for _ in range(POOL)],
        "storage_gb_hours": [usage(10.0, 8.0) for _ in range(POOL)],
    }
    return {metric: [(v, repr(v), carbon_text(v)) for v in drawn] for metric, drawn in values.items()}


def clipped_noise(rng: Random) -> float:
    """Multiplier of a cost: 1 on average, 15 % deviation."""
    low, high = NOISE_RANGE
    return min(high, max(low, rng.gauss(1.0, 0.15)))


class EventStream:
    """Writes each event of the calendar once; what it plants goes into the truth book."""

    def __init__(
        self,
        settings: GeneratorSettings,
        resources: Sequence[Resource],
        calendar: Calendar,
        effects: Effects | None,
        truth: Truth,
    ) -> None:
        rng = self._rng = topic_random(settings.seed, "events")
        self._calendar, self._effects, self._truth, self._resources = calendar, effects, truth, resources
        self._spike_range = (5.0, 30.0) if settings.anomalies else None
        self._walk = EndingWalk(topic_random(settings.seed, "event-ids"))
        self._remaining = list(calendar.counts)
        self._dates = [date.isoformat() for date in settings.dates]
        self._days = [
            (f'", "timestamp": "{date}', day >= settings.v1_day_count) for day, date in enumerate(self._dates)
        ]
        self._minutes = [f"T{m // 60:02}:{m % 60:02}:00Z" for m in range(1440)]
        self._heads = [
            f'", "org_id": "{r.org_id}", "resource_id": "{r.resource_id}", "service": "{r.service}", '
            f'"region": "{r.region}", "metric": "'
            for r in resources
        ]
        self._prices = [(c.UNIT_PRICES[r.service], r.service == "genai") for r in resources]
        self._months = [f"{date[:7]}-01" for date in self._dates]
        self._usage: defaultdict[tuple[int, str], float] | None = defaultdict(float) if settings.matched else None
        self._informative = settings.informative
        self._intensities = [c.REGION_CARBON[r.region] * c.SERVICE_CARBON[r.service] for r in resources]
        self._starts = [rng.choice(TRIPLES) for _ in range(WORD)]
        self._noise = [clipped_noise(rng) for _ in range(NOISE)]
        self._tokens = [round(abs(rng.gauss(800, 470))) for _ in range(NOISE)]
        pools = value_pools(rng)
        self._metrics = [
            (f'{metric}", "value": ', f'"{c.METRIC_UNITS[metric]}"', pools[metric], metric)
            for metric, share in c.METRIC_TWENTIETHS.items()
            for _ in range(share)
        ]

    def usage(self) -> dict[tuple[str, str], float]:
        """USD that Silver should hold of the lines so far, by (org_id, first day of the month); for invoices."""
        sums: defaultdict[tuple[str, str], float] = defaultdict(float)
        for (resource, month), cost in (self._usage or {}).items():
            sums[self._resources[resource].org_id, month] += cost
        return dict(sums)

    def block(self, size: int) -> list[str]:
        """The next `size` lines, without line ends.

        This is the one hot loop of the package: names are local, texts are made beforehand, and the random numbers
        of a block come from one call, because each of these alone is worth a tenth of the time.
        """
        days, remaining, starts, minutes = self._days, self._remaining, self._starts, self._minutes
        heads, prices, metrics, noise, tokens = self._heads, self._prices, self._metrics, self._noise, self._tokens
        steps, offsets, active = self._calendar.steps, self._calendar.offsets, self._calendar.active
        resource_count, triples, base = self._calendar.resources, TRIPLES, len(TRIPLES)
        pool_mask, noise_mask, endings = POOL - 1, NOISE - 1, ENDINGS
        ending, stride = self._walk.position, self._walk.step
        effects, usage, months = self._effects, self._usage, self._months
        informative, intensities = self._informative, self._intensities
        null_value, quoted = int(c.NULL_VALUE_SHARE * WORD), int((c.NULL_VALUE_SHARE + c.QUOTED_VALUE_SHARE) * WORD)
        null_unit, negative = int(c.NULL_UNIT_SHARE * WORD), int(c.NEGATIVE_COST_SHARE * WORD)
        noise_cost = negative + int(c.ROUNDING_NOISE_SHARE * WORD)
        odd_cost = noise_cost + int(c.PRICE_SPIKE_SHARE * WORD)
        nulls = quotes = unit_nulls = rejected = rounding = negative_zeros = 0
        order = draw_days(self._rng, remaining, size)
        # draw_days took the whole block off `remaining`: the slots are counted down from where they stood before.
        slots = list(remaining)
        for day in order:
            slots[day] += 1
        words = array("H", self._rng.randbytes(2 * WORDS * size))
        if sys.byteorder == "big":
            words.byteswap()
        lines: list[str] = []
        columns = (words[i::WORDS] for i in range(WORDS))
        for day, id1, id2, at, which, nth, noisy, odd_value, odd_unit, cost_word, extra in zip(order, *columns):
            slot = slots[day] = slots[day] - 1
            r = (steps[day] * (slot % active) + offsets[day]) % resource_count
            name, unit, pool, metric = metrics[which * 20 >> 16]
            value, text, carbon = pool[nth & pool_mask]
            ending = (ending + stride) % endings
            high, low = divmod(ending, base)
            event_id = f"evt_{starts[id1]}{starts[id2]}{triples[high]}{triples[low]}"
            effect = effects[day].get(r) if effects is not None else None
            if effect is not None:
                if effect.replacement is not None:
                    r, effect = effect.replacement, None
                else:
                    effect.label.event_ids.append(event_id)
                    value = round(value * effect.usage, 0 if metric == "requests" else 4)
                    text, carbon = repr(value), carbon_text(value)
            price, is_genai = prices[r]
            cost = round(value * price * noise[noisy & noise_mask], 4)
            token_count = tokens[extra & noise_mask]
            if informative:
                carbon = carbon_text(value * intensities[r])
                token_count = round(cost * TOKENS_PER_USD * noise[extra & noise_mask])
            spiked = False
            if effect is not None:
                if effect.negative:
                    cost = -cost
            elif cost_word < odd_cost:
                if cost_word < negative:
                    cost = -cost
                elif cost_word < noise_cost:
                    cost = -(1 + nth % 100) / 10_000
                elif value:
                    spiked = True
                    cost = self._spike(value * price, event_id, r, day, metric)
            if usage is not None and cost >= -0.01:
                usage[r, months[day]] += cost
            if cost <= 0:
                if cost < -0.01:
                    rejected += 1
                elif cost < 0:
                    rounding += 1
                elif repr(cost) == "-0.0":
                    negative_zeros += 1
            if odd_value < null_value and not spiked:  # a spike without a value could not be told from usage
                text, carbon = "null", "0"
                nulls += 1
            elif odd_value < quoted:
                text = f'"{text}"'
                quotes += 1
            if odd_unit < null_unit:
                unit = "null"
                unit_nulls += 1
            prefix, is_v2 = days[day]
            if not is_v2:
                tail = "1}"
            elif is_genai:
                tail = f'2, "carbon_kg": {carbon}, "genai_tokens": {token_count}}}'
            else:
                tail = f'2, "carbon_kg": {carbon}}}'
            lines.append(
                f'{{"event_id": "{event_id}{prefix}{minutes[at * 1440 >> 16]}{heads[r]}{name}{text}, "unit": {unit}'
                f', "cost_usd_increment": {cost!r}, "schema_version": {tail}'
            )
        self._walk.position = ending
        truth = self._truth
        truth.row(c.EVENTS, count=size - rejected)
        truth.row(c.EVENTS, "negative_cost", rejected)
        truth.planted.update(
            null_value=nulls,
            quoted_value=quotes,
            null_unit=unit_nulls,
            negative_cost=rejected,
            rounding_noise_cost=rounding,
            negative_zero_cost=negative_zeros,
        )
        return lines

    def _spike(self, list_cost: float, event_id: str, resource: int, day: int, metric: str) -> float:
        """The cost of a price spike, USD; registers it with the multiple of the list price that it came out at."""
        if self._spike_range:
            factor = self._rng.uniform(*self._spike_range)
        else:
            factor = c.PRICE_SPIKE_FACTOR * min(1.5, max(0.65, self._rng.gauss(1.0, 0.15)))
        cost = round(list_cost * factor, 4)
        factor, r, date = round(cost / list_cost, 2), self._resources[resource], self._dates[day]
        spike = Label("price_spike", r.org_id, r.service, r.resource_id, (date, date), factor, metric, [event_id])
        self._truth.labels.append(spike)
        return cost
