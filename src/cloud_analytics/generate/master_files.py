"""Writes the CSV files of the masters (RFC 4180), in a plain or a hostile layout."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from cloud_analytics.generate.catalog import COLUMNS
from cloud_analytics.generate.dirt_cases import LAYOUTS, MASTER_CASES, QUOTED, RIVAL, Case, Layout
from cloud_analytics.generate.masters import Row
from cloud_analytics.generate.settings import GeneratorSettings
from cloud_analytics.generate.truth import IGNORED, Truth

NOT_READ = "_half.csv"
"""A half-written upload among the parts of `users`."""
ROWS_PER_NOTE = 10  # every tenth row has text in the additional column
BLANK: Row = ()
"""A blank line, which is no record."""


def write_master(out: Path, source: str, rows: Iterable[Row], settings: GeneratorSettings, truth: Truth) -> None:
    """Write a master's rows, with dirt when the settings say so."""
    layout = LAYOUTS[source] if settings.dirty else Layout()
    rows = list(rows)
    truth.row(source, count=len(rows))
    parts = [rows[part :: layout.parts or 1] for part in range(layout.parts or 1)]
    if settings.dirty and rows:
        last = parts[-1]  # of two valid rows with one key, the last row of the last file survives
        last += [BLANK] * layout.blank_lines
        if layout.blank_lines:
            truth.dirt(source, "blank_line", IGNORED, layout.blank_lines)
        for case, row in soiled_rows(source, rows[0], settings.dirt_per_kind):
            last.append(row)
            truth.dirt(source, case.kind, case.outcome)
    names = [f"{source}/part_{part:04}.csv" for part in range(1, layout.parts + 1)] or [f"{source}.csv"]
    for number, (name, records) in enumerate(zip(names, parts)):
        path = out / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(csv_text(COLUMNS[source], records, layout, number), encoding="utf-8", newline="")
    if settings.dirty and source == "users":
        half = ",".join(COLUMNS[source]) + "\nuser_dirt_half,org_dirt"
        (out / source / NOT_READ).write_text(half, encoding="utf-8")
        truth.dirt(source, "file_ignored_name", IGNORED)


def soiled_rows(source: str, first_row: Row, times: int) -> list[tuple[Case, Row]]:
    """(case, row) for every case of a master, `times` times; each row is made from the master's first row.

    New keys have a second underscore, so they never equal an ordinary key.
    """
    columns = COLUMNS[source]
    prefix = first_row[0].partition("_")[0]
    made: list[tuple[Case, Row]] = []
    for case in MASTER_CASES[source] * times:
        row = dict(zip(columns, first_row))
        if source == "support_tickets":
            row["resolved_at"] = ""  # otherwise a case that changes created_at could break a second rule
        if case.kind not in RIVAL:
            row[columns[0]] = f"{prefix}_dirt_{len(made)}"
        row |= {column: str(value) for column, value in case.changes.items()}
        made.append((case, tuple(row[column] for column in columns)))
    return made


def csv_text(columns: Sequence[str], rows: Sequence[Row], layout: Layout, part: int) -> str:
    """One CSV file of a master."""
    step = -1 if layout.reverse_columns or part % 2 else 1
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=(end := "\r\n" if layout.crlf else "\n"))
    extra = [layout.extra_column] if layout.extra_column else []
    writer.writerow([*columns[::step], *extra])
    for number, row in enumerate(rows):
        note = [QUOTED if number % ROWS_PER_NOTE == 0 else ""] if extra else []
        writer.writerow([*row[::step], *note] if row else row)
    written = ("\ufeff" if layout.bom else "") + text.getvalue()
    return written if layout.last_newline else written.removesuffix(end)
