"""What a page is made of: sections with plots and tables, and numbers that keep their exact value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

UNKNOWN = "–"
# Characters: a text from here on is a sentence; as many of a table's fit beside each other on a phone.
_LONG, _PHONE = 40, 36


@dataclass(frozen=True)
class Value:
    """A number for people (`text`, `unit`), and as it is stored (`exact`, empty where there is none)."""

    text: str
    unit: str = ""
    exact: str = ""
    alert: bool = False

    def __str__(self) -> str:
        return f"{self.text}\N{NO-BREAK SPACE}{self.unit}" if self.unit else self.text


Cell = str | Value


@dataclass(frozen=True)
class Tile:
    """One headline figure, and what puts it into proportion."""

    name: str
    value: Value
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under column names, which hold the units. The first column names the row."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def kind(self, column: int) -> str:
        """How a column is set: `number`, `long` (sentences), or nothing for words."""
        cells = [row[column] for row in self.rows]
        if any(isinstance(cell, Value) and cell.exact for cell in cells):
            return "number"
        return "long" if column and any(len(str(cell)) > _LONG for cell in cells) else ""

    @property
    def figures(self) -> int:
        """How many columns stand side by side on a phone: those that are neither the first nor long."""
        return sum(self.kind(column) != "long" for column in range(1, len(self.columns)))

    @property
    def full(self) -> bool:
        """Whether it needs the whole width of a page."""
        return any(self.kind(column) == "long" for column in range(len(self.columns)))

    @property
    def stacked(self) -> bool:
        """Whether a phone is too narrow to show the names of rows beside their figures."""
        widths = [
            max(len(text) for text in (*name.split(), *(str(row[at]) for row in self.rows)))
            for at, name in enumerate(self.columns)
        ]
        return sum(widths) > _PHONE


@dataclass(frozen=True)
class Fold:
    """Details that stay closed until a reader opens them under their title: sentences, then a table."""

    title: str
    lines: Sequence[str]
    table: Table


@dataclass(frozen=True)
class Section:
    """`lead` says in a sentence what to see; plots and tables show it; notes say how it is counted; folds go deeper."""

    id: str
    title: str
    lead: str
    plots: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    folds: Sequence[Fold] = ()


def number(amount: Any, unit: str = "", decimals: int = 0, signed: bool = False, alert: bool = False) -> Value:
    """An amount with thousands separators; null is a dash."""
    if not known(amount):
        return Value(UNKNOWN)
    exact = f"{amount:f}" if isinstance(amount, Decimal) else str(amount)
    text = f"{amount:{'+' if signed else ''},.{decimals}f}".replace("-", "−")
    if not text.strip("+−0.,"):
        text = text.lstrip("+−")  # what rounds to nothing has no sign
    return Value(text, unit, exact, bool(alert))


def usd(amount: Any, decimals: int = 2, signed: bool = False, alert: bool = False) -> Value:
    """US dollars."""
    return number(amount, "USD", decimals, signed, alert)


def percent(share: Any, signed: bool = False, alert: bool = False) -> Value:
    """A share (0–1) as per cent; `exact` stays the share."""
    if not known(share):
        return Value(UNKNOWN)
    shown = number(Decimal(str(share)) * 100, "", 1, signed, alert)
    return Value(shown.text + "%", "", str(share), shown.alert)


def known(amount: Any) -> bool:
    """Whether it is a number, and not null."""
    return amount is not None and not pd.isna(amount)


def total(values: pd.Series[Any]) -> Any:
    """The exact sum that ignores nulls; None when there is nothing but nulls (pandas would make it 0)."""
    found = [value for value in values if known(value)]
    return sum(found) if found else None


def ratio(numerator: Any, denominator: Any) -> Any:
    """A quotient; None where something is unknown, or there is nothing to divide by."""
    return numerator / denominator if known(numerator) and known(denominator) and denominator else None


def change(now: Any, before: Any) -> Any:
    """By which share `now` differs from `before`; None where one is unknown or there was nothing before."""
    return ratio(now - before, before) if known(now) and known(before) else None


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a frame, each with its columns as attributes."""
    return iter(frame.itertuples(index=False))


def plural(amount: Any, word: str) -> str:
    """`1 day`, `2 days`, `0 micro-batches`."""
    several = word + ("es" if word.endswith("ch") else "s")
    return f"{amount:,}\N{NO-BREAK SPACE}{word if amount == 1 else several}"
