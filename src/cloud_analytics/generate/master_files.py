"""Writing the masters' CSV files (RFC 4180), in the plain layout or in a hostile one."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from cloud_analytics.generate.catalog import COLUMNS, MASTERS
from cloud_analytics.generate.dirt_masters import LAYOUTS, NOT_READ, QUOTED, Layout, soiled_rows
from cloud_analytics.generate.masters import Masters, Row
from cloud_analytics.generate.settings import GeneratorSettings
from cloud_analytics.generate.truth import IGNORED, TruthBook

ROWS_PER_NOTE = 10  # of the additional column


@contextmanager
def arriving(path: Path) -> Iterator[Path]:
    """A name to write to, which the pipeline ignores; the file gets its real name once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    upload = path.with_name(f"_{path.name.lstrip('.')}.upload")
    yield upload
    os.replace(upload, path)


def write_masters(out: Path, settings: GeneratorSettings, masters: Masters, truth: TruthBook) -> list[Path]:
    """Write every master, with dirt when the settings say so; returns the files."""
    written: list[Path] = []
    for source in MASTERS:
        layout = LAYOUTS[source] if settings.dirty else Layout()
        names = [f"{source}/part_{part:04}.csv" for part in range(1, layout.parts + 1)] or [f"{source}.csv"]
        paths = [out / name for name in names]
        with ExitStack() as stack:
            files = [
                stack.enter_context(stack.enter_context(arriving(path)).open("w", encoding="utf-8", newline=""))
                for path in paths
            ]
            _write_rows(source, layout, files, settings, masters, truth)
        written += paths
    if settings.dirty:
        half = out / NOT_READ
        half.write_text(",".join(COLUMNS["users"]) + "\nuser_dirt_half,org_dirt", encoding="utf-8")
        truth.dirt("users", "file_ignored_name", IGNORED)
        written.append(half)
    return written


def _write_rows(
    source: str,
    layout: Layout,
    files: Sequence[IO[str]],
    settings: GeneratorSettings,
    masters: Masters,
    truth: TruthBook,
) -> None:
    writers = [_CsvPart(source, layout, file, part) for part, file in enumerate(files)]
    first: Row | None = None
    for number, row in enumerate(masters.rows(source)):
        first = first or row
        writers[number % len(writers)].write(row)
        truth.row(source)
    if settings.dirty and first:
        last = writers[-1]  # of two valid rows of a key, the last one of the last file survives
        for _ in range(layout.blank_lines):
            last.blank_line()
            truth.dirt(source, "blank_line", IGNORED)
        for case, row in soiled_rows(source, first, settings.dirt_per_kind):
            last.write(row)
            truth.dirt(source, case.kind, case.outcome)
    for writer in writers:
        writer.close()


class _CsvPart:
    """One CSV file of a master; rows come in the order of the columns and leave in the file's own."""

    def __init__(self, source: str, layout: Layout, file: IO[str], part: int) -> None:
        columns = COLUMNS[source]
        order = list(range(len(columns)))
        if layout.reverse_columns or part % 2:
            order.reverse()
        self._order, self._layout, self._file = order, layout, file
        self._end = "\r\n" if layout.crlf else "\n"
        self._rows = 0
        self._pending = "\ufeff" if layout.bom else ""
        self._writer = csv.writer(_Sink(self._hold), lineterminator="")
        header = [columns[i] for i in order]
        self._emit(header + ([layout.extra_column] if layout.extra_column else []))

    def write(self, row: Row) -> None:
        """Add one record."""
        cells = [row[i] for i in self._order]
        if self._layout.extra_column:
            cells.append(QUOTED if self._rows % ROWS_PER_NOTE == 0 else "")
        self._rows += 1
        self._end_line()
        self._emit(cells)

    def blank_line(self) -> None:
        """Add a line that is no record."""
        self._end_line()

    def close(self) -> None:
        """Flush the last record, with its line end unless the layout leaves it out."""
        self._file.write(self._pending + (self._end if self._layout.last_newline else ""))

    def _emit(self, cells: Sequence[str]) -> None:
        self._writer.writerow(cells)

    def _hold(self, text: str) -> int:
        self._pending += text
        return len(text)

    def _end_line(self) -> None:
        self._file.write(self._pending + self._end)
        self._pending = ""


class _Sink:
    """What csv.writer needs of a file."""

    def __init__(self, write: Callable[[str], int]) -> None:
        self.write = write
