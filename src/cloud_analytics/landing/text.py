"""Converts text to exact values (contract 4 and 5): blanks, numbers, timestamps and JSON. No value becomes a float.

Spark's JSON parser does not say whether a text is exactly one JSON value. It reads only the first object of `{…}{…}`,
and a part that does not parse as null. So the text is wrapped in an object whose last field must come through, and
Spark fills a column that reports broken parts. Spark also reads the escape of an unpaired surrogate, which is not a
character, as `?`, so that two different texts would become equal. And it accepts `-INF`, `+INF` and `+Infinity` as
numbers, which no other parser does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cloud_analytics.landing.folder import BLANKS
from cloud_analytics.spark import Column, F

_PLAIN = r"^[0-9.-]{1,18}\z"  # Spark's cast is exact for these texts, and gives null if such a text is not a number
# Each digit can match in only one way. With `[0-9]+\.?[0-9]*`, rejecting a text of 100,000 digits took minutes.
_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?(0*[1-9][0-9]{0,2}|0+))?$"
_TINY = r"^[+-]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE]-|(0+(\.0*)?|\.0+)[eE]\+?)[0-9]+$"  # also zero with any exponent
_TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?\z"
_ZERO = r"^[+-]?(0+(\.0*)?|\.0+)([eE].*)?$"
_DIGITS = 1_020  # further digits, before or after the point, cannot matter: an exponent has at most three digits
LIMIT = "1000000000000"  # 10^12: magnitudes from here on are invalid


def _rarely(text: Column, careful: Callable[[Column], Column]) -> Column:
    """`careful(text)` for the few texts that need it, in a lambda, which Spark interprets and does not compile.

    Spark compiles both branches of a condition into one method. With the careful rules of every column, this method is
    too large for the JVM to optimise: judging two million events took 29 seconds of CPU time instead of 9.
    """
    return F.when(text.isNotNull(), F.transform(F.array(text), careful).getItem(0))


def trimmed(text: Column) -> Column:
    """The text without surrounding blanks; null if nothing is left."""
    # A byte from `!` to `~` is always a visible ASCII character, never a part of another one. So the last byte is
    # enough, and Spark finds it without counting characters.
    last = F.substring(text.cast("binary"), -1, 1)
    are_visible = F.ascii(text).between(33, 126) & last.between(F.lit(b"!"), F.lit(b"~"))
    return F.when(are_visible, text).otherwise(_rarely(text, _trimmed_carefully))


def each_trimmed(texts: Column) -> Column:
    """Trim every text of an array like `trimmed`: faster to plan for many columns, slower to run for many rows."""
    return F.transform(texts, _trimmed_carefully)


def _trimmed_carefully(text: Column) -> Column:
    return F.nullif(without_blanks(text), F.lit(""))


def without_blanks(text: Column) -> Column:
    """The text without surrounding blanks; an empty text stays empty."""
    return F.btrim(text, F.lit(BLANKS))


def has_text(text: Column) -> Column:
    """Whether the text has a character that is not blank."""
    return text.rlike(f"[^{BLANKS}]")


def lookup(words: Mapping[str, str], key: Column) -> Column:
    """The entry of a small dictionary for `key`; null if there is none."""
    entries = [F.lit(text) for pair in sorted(words.items()) for text in pair]
    return F.element_at(F.create_map(*entries), key) if entries else F.lit(None).cast("string")


def decimal(text: Column, scale: int = 6) -> Column:
    """Convert a text to DECIMAL(18, scale), rounded half-up; null if it is not a finite number or is too large."""
    exact = text.cast(f"decimal(18,{scale})")
    return F.when(text.rlike(_PLAIN), exact).otherwise(_rarely(text, lambda rare: _careful_decimal(rare, scale)))


def _careful_decimal(text: Column, scale: int) -> Column:
    """`decimal` for any text. An exponent of more than three digits is not computed: the number is 0 or too large."""
    number = without_blanks(text)
    # Digits that cannot matter are cut off, since Spark takes hours for megabytes of digits. Null if it is too large.
    fraction = F.regexp_replace(number, rf"(\.[0-9]{{{_DIGITS}}})[0-9]+", "$1")
    too_large = number.rlike(rf"^[+-]?0*[1-9][0-9]{{{_DIGITS}}}")
    short = F.when(F.length(number) <= _DIGITS, number).when(~too_large, fraction)
    plain = F.coalesce(
        short.cast(f"decimal(38,{scale})"),
        F.when(number.rlike(_ZERO), F.lit(0)),  # the cast gives null for a zero with a large exponent
    )
    exact = F.when(number.rlike(_NUMBER), plain).when(number.rlike(_TINY), F.lit(0))
    limit = F.lit(LIMIT if scale == 6 else "1" + "0" * (18 - scale)).cast("decimal(38,0)")
    return F.when(F.abs(exact) < limit, exact).cast(f"decimal(18,{scale})")


def event_timestamp(text: Column) -> Column:
    """Convert an ISO text with at least minutes to a UTC timestamp; null for other texts and for years before 2000.

    The year is taken from the text, before the conversion to UTC. Null also if the UTC time is after the year 9999.
    """
    # Spark's cast also accepts a date alone, and a date with only hours; the pattern excludes both. The cast needs
    # seconds before a zone and a colon in an offset; the replacements add them.
    complete = F.regexp_replace(text, "^(.{16})([+-])", "$1:00$2")
    complete = F.regexp_replace(complete, "([+-][0-9]{2})([0-9]{2})$", "$1:$2")
    # Nearly all texts end in Z, the session's zone. Without the Z, Spark does not have to look up a zone by name.
    utc = F.when(text.endswith("Z"), F.substring_index(text, "Z", 1)).otherwise(complete)
    instant = F.when(text.rlike(_TIMESTAMP) & (F.substring(text, 1, 4) >= "2000"), utc.cast("timestamp"))
    return F.when(instant < F.lit("10000-01-01 00:00:00").cast("timestamp"), instant)


def iso_date(text: Column) -> Column:
    """Convert a real date `YYYY-MM-DD` to DATE; null for any other text."""
    day = without_blanks(text)
    # Spark's cast accepts the year 0, which dates in Python and Cassandra do not have.
    return F.when(day.rlike(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$") & ~day.startswith("0000"), day.cast("date"))


def iso_month(text: Column) -> Column:
    """Convert `YYYY-MM-DD` or `YYYY-MM` to DATE (a month becomes its first day); null for any other text."""
    month = without_blanks(text)
    return iso_date(F.when(month.rlike(r"^[0-9]{4}-[0-9]{2}$"), F.concat(month, F.lit("-01"))).otherwise(month))


def boolean(text: Column) -> Column:
    """Convert true/false, t/f, yes/no, y/n and 1/0, in any case, to BOOLEAN; null for any other text."""
    word = F.lower(without_blanks(text))
    return F.when(word.isin("true", "t", "yes", "y", "1"), True).when(word.isin("false", "f", "no", "n", "0"), False)


# Strict JSON, except that NaN, Infinity and -Infinity parse: rules judge these values, they are not malformed text.
# Texts may have any length. Unquoted numbers may not: the time to parse one grows with the square of its digits.
STRICT = {
    "mode": "PERMISSIVE",
    "columnNameOfCorruptRecord": "_broken",
    "allowSingleQuotes": "false",
    "allowNonNumericNumbers": "true",
    "maxNumLen": "10000",
    "maxStringLen": str(2**31 - 1),
}
# An escaped backslash, or the escapes of a surrogate pair. Any other escape of a surrogate is unpaired.
_WHOLE_ESCAPES = r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_SURROGATE = r"\\u[dD][89a-fA-F]"
_QUOTED = r'"(?:[^"\\]++|\\.)*+"'  # a quoted text, in which any word is allowed
# Spellings that only Spark accepts as numbers.
_LITERAL_OF_SPARK = r"[+-]INF|\+Infinity"


def listed(text: Column, kind: str) -> Column:
    """Parse the text as the only element of an array; the result has `r` (array of `kind`), `ok` and `_broken`."""
    return F.from_json(
        F.concat(F.lit('{"r":['), text, F.lit('],"ok":1}')), f"r array<{kind}>, ok string, _broken string", STRICT
    )


def is_one_value(text: Column, parsed: Column, last: str = "") -> Column:
    """Whether the text is exactly one JSON value; `parsed` is the result of `listed` for it. May be null.

    `last` is a pattern for the possible ends of an array element and blanks, if the kind of the elements limits these.
    """
    # `{…}],"r":[{…}` would close the wrapping array and open another. Such a text does not parse as a single value.
    # The pattern must not begin with `\s*`: at each of n blanks the search would look at all blanks that follow.
    may_close_array = text.contains("]") & text.rlike(rf"{last}\]\s*,")
    alone = F.from_json(
        F.concat(F.lit('{"r":'), text, F.lit(',"ok":1}')), "r string, ok string, _broken string", STRICT
    )
    whole_alone = F.transform(F.array(alone), _whole).getItem(0)  # as a lambda variable, it is parsed once
    alone_in_array = (F.size(parsed.getField("r")) == 1) & F.when(may_close_array, whole_alone).otherwise(True)
    return _whole(parsed) & alone_in_array & ~_has_unpaired_surrogate(text) & ~_has_literal_of_spark(text)


def _has_unpaired_surrogate(text: Column) -> Column:
    without_pairs = F.transform(F.array(text), lambda t: F.regexp_replace(t, _WHOLE_ESCAPES, " ")).getItem(0)
    may_have_one = text.contains(r"\ud") | text.contains(r"\uD")
    return F.when(may_have_one, without_pairs.rlike(_SURROGATE)).otherwise(False)


def _has_literal_of_spark(text: Column) -> Column:
    without_texts = F.transform(F.array(text), lambda t: F.regexp_replace(t, _QUOTED, "")).getItem(0)
    may_have_one = text.contains("INF") | text.contains("+Infinity")
    return F.when(may_have_one, without_texts.rlike(_LITERAL_OF_SPARK)).otherwise(False)


def _whole(parsed: Column) -> Column:
    return (parsed.getField("ok") == "1") & parsed.getField("_broken").isNull()


def json_text(text: Column) -> Column:
    """The unchanged text if it is exactly one JSON value; null for any other text."""
    return F.when(is_one_value(text, listed(text, "string")), text)
