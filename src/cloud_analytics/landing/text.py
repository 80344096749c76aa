"""Text → exact values: blanks, numbers and timestamps as contract 4 and 5 say. Nothing passes through a float."""

from __future__ import annotations

from collections.abc import Callable

from cloud_analytics.landing.folder import BLANKS
from cloud_analytics.spark import Column, F

_PLAIN = r"^[0-9.-]{1,18}\z"  # Spark's own cast is exact for these: what is no number among them, it makes null
# Each digit can be matched in one way only: with `[0-9]+\.?[0-9]*`, a text of 100,000 digits took minutes to refuse.
_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?(0*[1-9][0-9]{0,2}|0+))?$"
_TINY = r"^[+-]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE]-|(0+(\.0*)?|\.0+)[eE]\+?)[0-9]+$"  # zero whatever its exponent, too
_TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?\z"
_ZERO = r"^[+-]?(0+(\.0*)?|\.0+)([eE].*)?$"
_DIGITS = 1_020  # as many can matter, before or after the point: an exponent has at most three digits
LIMIT = "1000000000000"  # 10^12: magnitudes from here on are invalid


def _rarely(text: Column, careful: Callable[[Column], Column]) -> Column:
    """`careful(text)` for the few texts that need it: interpreted, not compiled into the code of all rows.

    Spark compiles both sides of a condition into one method. With the careful rules of every column in it, the method
    was too large for the JVM to run well: judging two million events took 29 seconds of processor time, and takes 9.
    """
    return F.when(text.isNotNull(), F.transform(F.array(text), careful).getItem(0))


def trimmed(text: Column) -> Column:
    """Without surrounding blanks; null when nothing is left."""
    ends = (F.ascii(end).between(33, 126) for end in (text, F.substring(text, -1, 1)))
    return F.when(next(ends) & next(ends), text).otherwise(_rarely(text, _trimmed_carefully))


def each_trimmed(texts: Column) -> Column:
    """Every text of an array as `trimmed` gives it: for a few rows of many columns, where it is quicker to plan."""
    return F.transform(texts, _trimmed_carefully)


def _trimmed_carefully(text: Column) -> Column:
    return F.nullif(without_blanks(text), F.lit(""))


def without_blanks(text: Column) -> Column:
    """Without surrounding blanks; the empty string stays one."""
    return F.btrim(text, F.lit(BLANKS))


def has_text(text: Column) -> Column:
    """Whether anything but blanks stands in it; stops at the first character that does."""
    return text.rlike(f"[^{BLANKS}]")


def decimal(text: Column, scale: int = 6) -> Column:
    """A finite number text → DECIMAL(18, scale), rounded half-up; null when it is no number or too large."""
    exact = text.cast(f"decimal(18,{scale})")
    return F.when(text.rlike(_PLAIN), exact).otherwise(_rarely(text, lambda rare: _careful_decimal(rare, scale)))


def _careful_decimal(text: Column, scale: int) -> Column:
    """The same for every text. Exponents beyond three digits are judged without computing them.

    Tiny ones are 0, huge ones are no usable number.
    """
    number = without_blanks(text)
    plain = F.coalesce(
        _shortened(number).cast(f"decimal(38,{scale})"),
        F.when(number.rlike(_ZERO), F.lit(0)),  # with a large exponent, too, which the cast refuses
    )
    exact = F.when(number.rlike(_NUMBER), plain).when(number.rlike(_TINY), F.lit(0))
    limit = F.lit(LIMIT if scale == 6 else "1" + "0" * (18 - scale)).cast("decimal(38,0)")
    return F.when(F.abs(exact) < limit, exact).cast(f"decimal(18,{scale})")


def _shortened(number: Column) -> Column:
    """The same number without digits that cannot matter; null if it is too large. Megabytes of digits take hours."""
    fraction = F.regexp_replace(number, rf"(\.[0-9]{{{_DIGITS}}})[0-9]+", "$1")
    too_large = number.rlike(rf"^[+-]?0*[1-9][0-9]{{{_DIGITS}}}")
    return F.when(F.length(number) <= _DIGITS, number).when(~too_large, fraction)


def event_timestamp(text: Column) -> Column:
    """An ISO text with at least minutes → UTC timestamp; null for anything else, and for dates before the year 2000.

    The year is judged as written; a zone that would push the instant past the year 9999 makes it unusable.
    """
    # Spark's cast also takes bare dates and hours (the pattern keeps those out), and wants seconds before a zone and a
    # colon in an offset.
    complete = F.regexp_replace(text, "^(.{16})([+-])", "$1:00$2")
    complete = F.regexp_replace(complete, "([+-][0-9]{2})([0-9]{2})$", "$1:$2")
    # Nearly all end in Z. The session's zone is UTC as well, and needs none of the above, nor a zone looked up by name.
    utc = F.when(text.endswith("Z"), F.substring_index(text, "Z", 1)).otherwise(complete)
    instant = F.when(text.rlike(_TIMESTAMP) & (F.substring(text, 1, 4) >= "2000"), utc.cast("timestamp"))
    return F.when(F.year(instant) <= 9999, instant)


def iso_date(text: Column) -> Column:
    """`YYYY-MM-DD`, a real date → DATE; null for anything else."""
    day = without_blanks(text)
    # The calendar has no year 0: Spark's cast takes one, Python's and Cassandra's dates do not.
    return F.when(day.rlike(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$") & ~day.startswith("0000"), day.cast("date"))


def iso_month(text: Column) -> Column:
    """`YYYY-MM-DD` or `YYYY-MM` → DATE (the first day for a month); null for anything else."""
    month = without_blanks(text)
    return iso_date(F.when(month.rlike(r"^[0-9]{4}-[0-9]{2}$"), F.concat(month, F.lit("-01"))).otherwise(month))


def boolean(text: Column) -> Column:
    """true/false, yes/no, 1/0 in any case → BOOLEAN; null for anything else."""
    word = F.lower(without_blanks(text))
    return F.when(word.isin("true", "t", "yes", "y", "1"), True).when(word.isin("false", "f", "no", "n", "0"), False)
