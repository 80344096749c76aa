"""The parts of a page: sections with tiles, plots and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cloud_analytics.insight.numbers import Value

# In characters: the longest text that is not a sentence, the width of a phone and of half a page, the column gap.
_LONG, _PHONE, _HALF_A_PAGE, _GAP = 40, 36, 86, 2

Cell = str | Value


@dataclass(frozen=True)
class Tile:
    """One headline figure, with a note that puts it into proportion."""

    name: str
    value: Value
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under headings; units are in the headings. The first column names the row."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    @classmethod
    def of(cls, caption: str, records: Iterable[Any], columns: Mapping[str, Callable[[Any], Cell]]) -> Table:
        """One row per record; each heading has a function that returns the cell for a record."""
        return cls(caption, list(columns), [[cell(record) for cell in columns.values()] for record in records])

    def kind(self, column: int) -> str:
        """The CSS class of a column: `number`, `long` (sentences), or empty for words."""
        cells = [row[column] for row in self.rows]
        if any(isinstance(cell, Value) and cell.exact for cell in cells):
            return "number"
        return "long" if column and any(len(str(cell)) > _LONG for cell in cells) else ""

    @property
    def figures(self) -> int:
        """The number of columns side by side on a phone: all but the first and the long ones."""
        return sum(self.kind(column) != "long" for column in range(1, len(self.columns)))

    @property
    def full(self) -> bool:
        """Whether the table needs the whole width of a page."""
        long = any(self.kind(column) == "long" for column in range(len(self.columns)))
        return long or self._width + _GAP * len(self.columns) > _HALF_A_PAGE

    @property
    def stacked(self) -> bool:
        """Whether a phone is too narrow to show row names and figures side by side."""
        return self._width > _PHONE

    @property
    def _width(self) -> int:
        return sum(
            max(len(text) for text in (*name.split(), *(str(row[at]) for row in self.rows)))
            for at, name in enumerate(self.columns)
        )


@dataclass(frozen=True)
class Fold:
    """Details that stay closed until a reader opens them under their title: sentences, then a table."""

    title: str
    lines: Sequence[str]
    table: Table


@dataclass(frozen=True)
class Section:
    """`lead` summarises the section in a sentence; notes explain its tiles, plots and tables; folds hold details.

    The page leaves out a table that has no rows.
    """

    id: str
    title: str
    lead: str
    plots: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    folds: Sequence[Fold] = ()
    tiles: Sequence[Tile] = ()


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Iterate over the rows of a frame; each row has its columns as attributes."""
    return iter(frame.itertuples(index=False))
