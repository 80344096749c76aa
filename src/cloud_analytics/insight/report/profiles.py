"""What the data are: the profile of each source as a row of a table, and its columns folded away below."""

from __future__ import annotations

from cloud_analytics.insight import profile_words
from cloud_analytics.insight.report.numbers import number, percent, plural
from cloud_analytics.insight.report.view import Cell, Fold, Table
from cloud_analytics.reading.profile import SourceProfile


def overview(profiles: dict[str, SourceProfile]) -> Table:
    """A row a source: rows, warnings, dates and their gaps, and how many rows find their masters."""
    names = ("source", "Silver rows", "warnings", "dates and their gaps", "rows that find their master")
    return Table("Profile of each source", names, [[name, *_row(found)] for name, found in profiles.items()])


def folds(profiles: dict[str, SourceProfile]) -> list[Fold]:
    """The columns of each source that has rows, its warnings, gaps and matches."""
    return [_fold(name, found) for name, found in profiles.items() if found.rows or found.as_written]


def _row(found: SourceProfile) -> list[Cell]:
    dates = found.dates
    missing = plural(sum(gap.length for gap in dates.gaps), dates.step)
    matches = ", ".join(f"{master} {percent(match.rate)}" for master, match in found.matches.items())
    return [
        number(found.rows),
        number(sum(found.warnings.values())),
        "" if dates.first is None else f"{dates.first} to {dates.last}, {missing} without a row",
        matches,
    ]


def _fold(source: str, found: SourceProfile) -> Fold:
    rows: list[list[Cell]] = [
        [
            name,
            column.type,
            number(column.nulls),
            number(column.distinct),
            profile_words.content(column),
        ]
        for name, column in profile_words.columns(found).items()
    ]
    table = Table(f"{source}, column by column", profile_words.COLUMNS, rows)
    return Fold(f"{source}: {plural(len(rows), 'column')}", profile_words.summary(found), table)
