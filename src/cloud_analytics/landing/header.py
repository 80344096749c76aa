"""The header of a CSV master: its names as the contract writes them, or what is wrong with it and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cloud_analytics.config import SourceContract
from cloud_analytics.untrusted import printable

_SHOWN = 200  # characters of the first line that a message repeats
# What spreadsheets save under the name of a CSV file: its first bytes → what it is.
_OTHER_FORMATS = {
    b"\xff\xfe": "the file is UTF-16: save it as UTF-8",
    b"\xfe\xff": "the file is UTF-16: save it as UTF-8",
    b"PK\x03\x04": "the file is a ZIP archive or an Excel workbook: save it as CSV",
    b"\x1f\x8b": "the file is compressed: unpack it",
}


def names(written: Sequence[str], contract: SourceContract) -> list[str]:
    """Column names as the contract writes them, whatever their case and blanks; other columns in lower case."""
    required = {_folded(name): name for name in contract.required}
    return [required.get(_folded(name), _folded(name)) for name in written]


def problem(content: bytes, written: Sequence[str], contract: SourceContract) -> str | None:
    """What is wrong with a header, what the file holds instead, and what to do; None where nothing is wrong."""
    found = names(written, contract)
    twice = [name for name, times in Counter(found).items() if name and times > 1]
    if twice:
        return f"the header holds {_columns(twice)} more than once (case does not count): keep one"
    lacking = [name for name in contract.required if name not in found]
    if not lacking:
        return None
    other = next((words for start, words in _OTHER_FORMATS.items() if content.startswith(start)), None)
    seen = other or f"it holds {printable(', '.join(written))[:_SHOWN]}{_advice(written, lacking)}"
    return f"the header lacks {_columns(lacking)}; {seen}"


def _folded(name: str) -> str:
    return name.strip().casefold()


def _columns(found: Sequence[str]) -> str:
    return f"the column{'s' * (len(found) > 1)} {', '.join(map(printable, found))}"


def _advice(written: Sequence[str], lacking: Sequence[str]) -> str:
    first = written[0]
    if first.startswith("\ufeff"):
        return ": it begins with two byte order marks, remove one"
    if first.lower().startswith("sep="):
        return ": this is a line for Excel, remove it"
    separator = next((char for char in ";\t|" if char in first), None)
    if separator is not None and len(written) == 1:
        return f": its fields are separated by {separator!r}, save it with commas"
    alike = {"".join(filter(str.isalnum, _folded(name))): name.strip() for name in written}
    renamed = {name: alike[key] for name in lacking if (key := name.replace("_", "")) in alike}
    return "".join(f"; rename {printable(other)!r} to {name}" for name, other in renamed.items())
