"""Makes text from the data safe to show: the sender of an event also chooses the names that appear on a screen.

A terminal executes escape sequences (move, overwrite, colour, rename the window), and a spreadsheet computes a text
that begins like a formula. Output as files and JSON keeps every byte, since programs read it.

This module also reads JSON that others may have written.
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

# A formula begins a text, or follows a character at which a spreadsheet may split the text into cells: often it splits
# at semicolons. Some spreadsheets also accept the wide forms of East Asian keyboards.
_BEFORE_FORMULA = re.compile(r'(^|[;,\t\r\n]"*)(?=[=+\-@＝＋－＠])')

_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # matches whole pairs, too


def json_value(text: str | bytes, **options: Any) -> Any:
    """The value of a JSON text. `options`: as in json.loads.

    ValueError if the text is no JSON, is nested too deeply, or holds half of a surrogate pair, which cannot be encoded.
    """
    try:
        found = json.loads(text, **options)
        if _HALF.search(text if isinstance(text, str) else text.decode("utf-8", "replace")):
            json.dumps(found, ensure_ascii=False, default=str).encode()
        return found
    except RecursionError:
        raise ValueError("nested too deeply to be read") from None


def printable(text: str, keep: str = "") -> str:
    """The text with JSON escapes (`\\u001b`) for characters that control a terminal or reverse the order of letters.

    Printable text of any language and the characters of `keep` stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else json.dumps(char)[1:-1] for char in text)


def on_a_page(text: str) -> str:
    """Like `printable`, but keeps line ends and no-break spaces, which a browser shows correctly."""
    return printable(text, keep="\n\N{NO-BREAK SPACE}")


def spreadsheet_text(text: str) -> str:
    """The text, with an apostrophe wherever a spreadsheet could read the rest as a formula."""
    return _BEFORE_FORMULA.sub(r"\1'", text)


def csv_text(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], as_text: Callable[[Any], str], spreadsheet: bool = False
) -> str:
    """Rows of values as CSV (RFC 4180) with a header and `\\n` line ends. `as_text` converts a value to text.

    `spreadsheet`: an apostrophe marks what could be read as a formula (`spreadsheet_text`); numbers stay as they are.
    """

    def cell(value: Any) -> str:
        text = as_text(value)
        if spreadsheet and not isinstance(value, int | float | Decimal):
            text = spreadsheet_text(text)
        return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text

    lines = (",".join(map(cell, row)) for row in (columns, *rows))
    return "".join((line or '""') + "\n" for line in lines)  # readers skip an empty line


class PrintableConsole(Console):
    """A console that shows all text as `printable` does, but keeps line ends and its own styles."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape the text of cells, titles and lines before its width is measured."""
        return super().render_str(printable(text, keep="\n"), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Escape all other output, such as a `Text` that was not made printable before."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text, keep="\n"), segment.style)
