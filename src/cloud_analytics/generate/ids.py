"""Identifiers in the spelling of the reference data: a prefix and random-looking base-36 characters, never twice."""

from __future__ import annotations

from math import gcd
from random import Random

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
TRIPLES = tuple(a + b + c for a in ALPHABET for b in ALPHABET for c in ALPHABET)
"""All 36^3 endings of three characters: four of them make an event_id."""
ENDINGS = len(TRIPLES) ** 2
"""Different last six characters of an event_id; each is used once, so uniqueness needs no memory."""


def topic_random(seed: int, topic: str) -> Random:
    """A random source of its own for each topic, so that planting more of one thing changes nothing else."""
    return Random(f"cloud-analytics/{seed}/{topic}")


def stride(rng: Random, size: int) -> int:
    """A random step that, added again and again modulo `size`, visits every number below `size` once."""
    while True:
        step = rng.randrange(size) if size > 1 else 1
        if gcd(step, size) == 1:
            return step


class EndingWalk:
    """Hands out each of the ENDINGS once, in an order that looks random."""

    def __init__(self, rng: Random) -> None:
        self.step = stride(rng, ENDINGS)
        self.position = rng.randrange(ENDINGS)

    def skip(self, count: int) -> None:
        """Leave out the next `count` endings: another walk with the same seed uses them."""
        self.position = (self.position + self.step * count) % ENDINGS


class EventIds:
    """One event_id at a time, for dirt; ordinary events build theirs in the hot loop from the same walk."""

    def __init__(self, seed: int, skip: int) -> None:
        self._walk = EndingWalk(topic_random(seed, "event-ids"))
        self._walk.skip(skip)
        self._rng = topic_random(seed, "dirt-event-ids")

    def next(self) -> str:
        """The next event_id: unique among all events of this seed."""
        walk = self._walk
        walk.skip(1)
        high, low = divmod(walk.position, len(TRIPLES))
        start = self._rng.choice(TRIPLES) + self._rng.choice(TRIPLES)
        return f"evt_{start}{TRIPLES[high]}{TRIPLES[low]}"


class MasterIds:
    """Keys of masters, like `org_xaji0y6d`: the prefix and eight characters."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._walk = EndingWalk(rng)

    def next(self, prefix: str) -> str:
        """The next key with that prefix: unique over all prefixes."""
        walk = self._walk
        walk.skip(1)
        high, low = divmod(walk.position, len(TRIPLES))
        return f"{prefix}_{self._rng.choice(ALPHABET)}{self._rng.choice(ALPHABET)}{TRIPLES[high]}{TRIPLES[low]}"
