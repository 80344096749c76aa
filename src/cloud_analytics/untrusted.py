"""Text from the data on its way to people: whoever sends an event also chooses names that a person's screen shows.

A terminal obeys what it is told between escape characters (move, overwrite, colour, rename the window), and a
spreadsheet computes what begins like a formula. Files and JSON keep every byte: nothing there is for eyes alone.

And JSON that others may have written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

# What spreadsheets begin a formula with; the wide forms are those of East Asian keyboards, which some take as well.
_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # also in escapes of whole pairs


def json_value(text: str | bytes, **options: Any) -> Any:
    """What a JSON text holds. `options`: those of json.loads.

    ValueError where it is no JSON, is nested too deeply, or holds half of a surrogate pair, which no output can hold.
    """
    try:
        found = json.loads(text, **options)
        if _HALF.search(text if isinstance(text, str) else text.decode("utf-8", "replace")):
            json.dumps(found, ensure_ascii=False, default=str).encode()
        return found
    except RecursionError:
        raise ValueError("nested too deeply to be read") from None


def printable(text: str, keep: str = "") -> str:
    """The text with JSON's escapes (`\\u001b`) for what controls a terminal or turns the order of letters round.

    Printable text stays as it is, in any language; so do the characters of `keep`.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else json.dumps(char)[1:-1] for char in text)


def on_a_page(text: str) -> str:
    """The text as `printable`, but with line ends and no-break spaces, which a browser sets as it should."""
    return printable(text, keep="\n\N{NO-BREAK SPACE}")


def spreadsheet_text(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_BEGINS_FORMULA) else text


def csv_text(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], as_text: Callable[[Any], str], spreadsheet: bool = False
) -> str:
    """Rows of values as CSV (RFC 4180) with a header and `\\n` line ends; `as_text` says how a value is written.

    With `spreadsheet` texts that begin like a formula get an apostrophe in front; numbers stay as they are.
    """

    def cell(value: Any) -> str:
        text = as_text(value)
        if spreadsheet and not isinstance(value, int | float | Decimal):
            text = spreadsheet_text(text)
        return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text

    lines = (",".join(map(cell, row)) for row in (columns, *rows))
    return "".join((line or '""') + "\n" for line in lines)  # an empty line would be no row


class PrintableConsole(Console):
    """A console that shows all text as `printable` does, line ends apart; styles of its own stay."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Text of cells, titles and lines, before its width is measured."""
        return super().render_str(printable(text, keep="\n"), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """All else that is shown, such as a `Text` that nobody has made printable before."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text, keep="\n"), segment.style)
