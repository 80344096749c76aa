"""Numbers formatted for people that keep their exact value; sums, ratios and changes of values that may be null."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

UNKNOWN = "–"


@dataclass(frozen=True)
class Value:
    """A number as people read it (`text`, `unit`) and as it is stored (`exact`; empty if the number is unknown)."""

    text: str
    unit: str = ""
    exact: str = ""
    alert: bool = False

    def __str__(self) -> str:
        return f"{self.text}\N{NO-BREAK SPACE}{self.unit}" if self.unit else self.text


def number(amount: Any, unit: str = "", decimals: int = 0, signed: bool = False, alert: bool = False) -> Value:
    """An amount with thousands separators; a dash for null."""
    if not known(amount):
        return Value(UNKNOWN)
    exact = f"{amount:f}" if isinstance(amount, Decimal) else str(amount)
    text = f"{amount:{'+' if signed else ''},.{decimals}f}".replace("-", "−")
    if not text.strip("+−0.,"):
        text = text.lstrip("+−")  # a number that rounds to zero has no sign
    return Value(text, unit, exact, bool(alert))


def usd(amount: Any, decimals: int = 2, signed: bool = False, alert: bool = False) -> Value:
    """An amount in US dollars."""
    return number(amount, "USD", decimals, signed, alert)


def percent(share: Any, signed: bool = False, alert: bool = False) -> Value:
    """A share (0–1) as per cent; `exact` stays the share."""
    if not known(share):
        return Value(UNKNOWN)
    shown = number(Decimal(str(share)) * 100, "", 1, signed, alert)
    return Value(shown.text + "%", "", str(share), shown.alert)


def known(amount: Any) -> bool:
    """Whether an amount is a number, and not null."""
    return amount is not None and not pd.isna(amount)


def total(values: pd.Series[Any]) -> Any:
    """The exact sum of the values that are not null; None if all are null (pandas would return 0)."""
    found = [value for value in values if known(value)]
    return sum(found) if found else None


def ratio(numerator: Any, denominator: Any) -> Any:
    """A quotient; None if one of the two is null, or the denominator is 0."""
    return numerator / denominator if known(numerator) and known(denominator) and denominator else None


def change(now: Any, before: Any) -> Any:
    """The difference as a share of `before`; None if one of the two is null, or `before` is 0."""
    return ratio(now - before, before) if known(now) and known(before) else None


def plural(amount: Any, word: str) -> str:
    """`1 day`, `2 days`, `0 micro-batches`."""
    several = word + ("es" if word.endswith("ch") else "s")
    return f"{amount:,}\N{NO-BREAK SPACE}{word if amount == 1 else several}"
