"""Identifiers in the spelling of the reference data: a prefix and random-looking base-36 characters, never twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd
from random import Random

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
TRIPLES = tuple(a + b + c for a in ALPHABET for b in ALPHABET for c in ALPHABET)
"""All 36^3 endings of three characters: four of them make an event_id."""
ENDINGS = len(TRIPLES) ** 2
"""Different last six characters of a key; each is used once, so uniqueness needs no memory."""


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

    def __init__(self, rng: Random, skip: int = 0) -> None:
        """Begin after the first `skip` endings, which another walk with the same seed uses."""
        self.step = stride(rng, ENDINGS)
        self.position = (rng.randrange(ENDINGS) + self.step * skip) % ENDINGS

    def next(self) -> str:
        """The next six characters."""
        self.position = (self.position + self.step) % ENDINGS
        high, low = divmod(self.position, len(TRIPLES))
        return TRIPLES[high] + TRIPLES[low]


def keys(prefix: str, walk: EndingWalk, rng: Random, starts: Sequence[str]) -> Iterator[str]:
    """Keys like `org_xaji0y6d`: the prefix, two random starts and the next ending."""
    while True:
        yield f"{prefix}_{rng.choice(starts)}{rng.choice(starts)}{walk.next()}"


def master_keys(seed: int, prefix: str) -> Iterator[str]:
    """The keys of a master: the same sequence for every caller."""
    rng = topic_random(seed, f"{prefix}-ids")
    return keys(prefix, EndingWalk(rng), rng, ALPHABET)
