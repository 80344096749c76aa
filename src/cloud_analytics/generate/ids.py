"""Unique identifiers as the reference data spells them: a prefix and base-36 characters that look random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd
from random import Random

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
TRIPLES = tuple(a + b + c for a in ALPHABET for b in ALPHABET for c in ALPHABET)
"""All 36^3 texts of three characters; an event_id has four of them."""
ENDINGS = len(TRIPLES) ** 2
"""Number of different last six characters of a key. Each is used once, so keys are unique without being stored."""


def topic_random(seed: int, topic: str) -> Random:
    """A random generator for one topic only, so that more of one thing changes nothing else."""
    return Random(f"cloud-analytics/{seed}/{topic}")


def stride(rng: Random, size: int) -> int:
    """A random step whose multiples modulo `size` are all numbers below `size`."""
    while True:
        step = rng.randrange(size) if size > 1 else 1
        if gcd(step, size) == 1:
            return step


class EndingWalk:
    """Each of the ENDINGS once, in an order that looks random."""

    def __init__(self, rng: Random, skip: int = 0) -> None:
        """Begin after the first `skip` endings, which another walk with the same seed hands out."""
        self.step = stride(rng, ENDINGS)
        self.position = (rng.randrange(ENDINGS) + self.step * skip) % ENDINGS

    def next(self) -> str:
        """The next six characters."""
        self.position = (self.position + self.step) % ENDINGS
        high, low = divmod(self.position, len(TRIPLES))
        return TRIPLES[high] + TRIPLES[low]


def keys(prefix: str, walk: EndingWalk, rng: Random, starts: Sequence[str]) -> Iterator[str]:
    """Keys like `org_xaji0y6d`: the prefix, two random starts, and the next ending of the walk."""
    while True:
        yield f"{prefix}_{rng.choice(starts)}{rng.choice(starts)}{walk.next()}"


def master_keys(seed: int, prefix: str) -> Iterator[str]:
    """The keys of a master: the same sequence for every caller."""
    rng = topic_random(seed, f"{prefix}-ids")
    return keys(prefix, EndingWalk(rng), rng, ALPHABET)
