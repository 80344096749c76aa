"""Random numbers by topic, and unique identifiers as the reference data spells them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from math import gcd
from random import Random
from string import ascii_lowercase, digits

ALPHABET = digits + ascii_lowercase
TRIPLES = tuple(a + b + c for a in ALPHABET for b in ALPHABET for c in ALPHABET)
"""All 36^3 texts of three characters; an event_id has four of them."""


def topic_random(seed: int, topic: str) -> Random:
    """A random generator for one topic only, so that a larger number of one thing changes no other thing."""
    return Random(f"cloud-analytics/{seed}/{topic}")


def stride(rng: Random, size: int) -> int:
    """A random step whose multiples modulo `size` are all numbers below `size`."""
    while True:
        step = rng.randrange(size) if size > 1 else 1
        if gcd(step, size) == 1:
            return step


def endings(rng: Random, skip: int = 0) -> Iterator[str]:
    """Texts of six characters, each once in an order that looks random: keys are unique without being stored.

    The first `skip` texts are left out, since another caller with the same seed uses them.
    """
    size = len(TRIPLES)
    step = stride(rng, size**2)
    start = rng.randrange(size**2) + step * (skip + 1)
    return (TRIPLES[n // size % size] + TRIPLES[n % size] for n in count(start, step))


def keys(prefix: str, rng: Random, starts: Sequence[str], last: Iterator[str]) -> Iterator[str]:
    """Keys like `org_xaji0y6d`: the prefix, two random starts, and the next of the endings."""
    for ending in last:
        yield f"{prefix}_{rng.choice(starts)}{rng.choice(starts)}{ending}"


def master_keys(seed: int, prefix: str) -> Iterator[str]:
    """The keys of a master: the same sequence for every caller."""
    rng = topic_random(seed, f"{prefix}-ids")
    return keys(prefix, rng, ALPHABET, endings(rng))
