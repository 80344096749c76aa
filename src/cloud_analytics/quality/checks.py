"""Checks that a condition in YAML cannot express, because they read a source's contract.

Each is a Column that is true where a record breaks the rule. A new one is a function here, with its name in
`rules.CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_

from pyspark.sql import Column
from pyspark.sql import functions as F

from cloud_analytics.config import SourceContract
from cloud_analytics.config.rules import CHECKS
from cloud_analytics.tables.columns import LONGEST_KEY


def blank_key(contract: SourceContract, _column: str | None) -> Column:
    """A part of the natural key is blank, or org_id is; or so long that no store takes it as a key."""
    parts = [F.col(f"{name}_text") for name in dict.fromkeys([*contract.key, "org_id"])]
    return reduce(or_, [part.isNull() | (F.octet_length(part) > LONGEST_KEY) for part in parts])


def outside_vocabulary(contract: SourceContract, column: str | None) -> Column:
    """A word is given that is not one of the column's closed vocabulary."""
    assert column is not None  # one rule for each column with a vocabulary
    words = [folded(column, word) for word in contract.vocabularies[column]]
    return F.col(f"{column}_text").isNotNull() & ~F.col(column).isin(words)


def folded(column: str, word: str) -> str:
    """A vocabulary's word as Silver writes it: lower-cased, a currency upper-cased."""
    return word.upper() if column == "currency" else word.lower()


REGISTERED: dict[str, Callable[[SourceContract, str | None], Column]] = {
    check.__name__: check for check in (blank_key, outside_vocabulary)
}
assert REGISTERED.keys() == CHECKS.keys()
