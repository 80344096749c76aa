"""A profile in words: one table row per column, and lines about the source as a whole."""

from __future__ import annotations

from cloud_analytics.reading.profile import ColumnProfile, Gap, SourceProfile

COLUMNS = ("column", "type", "nulls", "distinct", "range, or words with their rows")
_SHOWN = 8  # most words of a column, or gaps of a source, in a text


def summary(profiled: SourceProfile) -> list[str]:
    """Lines about the source as a whole: rows, warnings, matches with masters, dates and their gaps."""
    rejected = sum(profiled.quarantined.values())
    lines = [
        f"{profiled.rows:,} rows"
        + (f", {rejected:,} quarantined ({_counted(profiled.quarantined)})" if rejected else "")
    ]
    if profiled.warnings:
        lines.append(f"warnings: {_counted(profiled.warnings)}")
    lines += [
        f"{found.matched:,} of {found.of:,} match {name} ({found.rate:.1%})"
        for name, found in profiled.matches.items()
        if found.rate is not None
    ]
    dates = profiled.dates
    if dates.first is not None:
        missing = sum(gap.length for gap in dates.gaps)
        shown = ", ".join(_span(gap, dates.step) for gap in dates.gaps[:_SHOWN])
        more = f", and {len(dates.gaps) - _SHOWN:,} more" if len(dates.gaps) > _SHOWN else ""
        lines.append(
            f"{dates.column}: {dates.first} to {dates.last}, {dates.with_rows:,} {dates.step}s with rows,"
            f" {missing:,} without" + (f" ({shown}{more})" if shown else "")
        )
    return lines


def describe(profiled: SourceProfile) -> list[tuple[str, str, str, str, str]]:
    """One tuple of texts per column of a source, with the fields of `COLUMNS`."""
    return [
        (name, found.type, f"{found.nulls:,}", f"{found.distinct:,}", content(found))
        for name, found in columns(profiled).items()
    ]


def columns(profiled: SourceProfile) -> dict[str, ColumnProfile]:
    """The columns of a source in Silver, then its columns in Bronze as they were written."""
    written = {f"{name} (as written)": found for name, found in profiled.as_written.items()}
    return {**profiled.columns, **written}


def content(found: ColumnProfile) -> str:
    """The most frequent words of a column with their row counts, or its range; empty for keys and free text."""
    if found.vocabulary is not None:
        words = [f"{word} {rows:,}" for word, rows in list(found.vocabulary.items())[:_SHOWN]]
        more = found.distinct - len(words)
        return ", ".join(words) + (f", and {more:,} more" if more > 0 else "")
    if found.lowest is None:
        return ""
    mean = "" if found.mean is None else f" (mean {found.mean:,.4g})"
    lowest, highest = (_short(text, found.type) for text in (found.lowest, found.highest))
    return f"{lowest} to {highest}{mean}"


def _short(text: str, kind: str) -> str:
    if kind == "double":
        return f"{float(text):,.4g}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _counted(words: dict[str, int]) -> str:
    return ", ".join(f"{word} {rows:,}" for word, rows in words.items())


def _span(gap: Gap, step: str) -> str:
    first, last = (str(day)[: 10 if step == "day" else 7] for day in (gap.first, gap.last))
    return first if first == last else f"{first} to {last}"
