"""Text → exact values: blanks, numbers, timestamps and JSON as contract 4 and 5 say. Nothing passes through a float.

Spark's own reading of JSON does not say whether a text is exactly one JSON value. It takes `{…}{…}` for its first
object, and a part that does not parse for a null. So a text is wrapped into an object whose last field must come
through, and Spark fills a column that tells of broken parts. Spark also reads the escape of an unpaired surrogate,
which is no character, as `?`: two different texts would become the same one. And it takes `-INF`, `+INF` and
`+Infinity` for numbers, which nobody else does.
"""

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
    """`careful(text)` for the few texts that need it, interpreted instead of compiled.

    Spark compiles both sides of a condition into one method. With the careful rules of every column that method is too
    large for the JVM to optimise: judging two million events took 29 seconds of processor time instead of 9.
    """
    return F.when(text.isNotNull(), F.transform(F.array(text), careful).getItem(0))


def trimmed(text: Column) -> Column:
    """Without surrounding blanks; null when nothing is left."""
    # No byte of a character beyond ASCII lies between these. The last byte is found without counting characters.
    last = F.substring(text.cast("binary"), -1, 1)
    are_visible = F.ascii(text).between(33, 126) & last.between(F.lit(b"!"), F.lit(b"~"))
    return F.when(are_visible, text).otherwise(_rarely(text, _trimmed_carefully))


def each_trimmed(texts: Column) -> Column:
    """Every text of an array, trimmed as by `trimmed`. Quicker to plan for many columns, slower for many rows."""
    return F.transform(texts, _trimmed_carefully)


def _trimmed_carefully(text: Column) -> Column:
    return F.nullif(without_blanks(text), F.lit(""))


def without_blanks(text: Column) -> Column:
    """Without surrounding blanks; the empty string stays one."""
    return F.btrim(text, F.lit(BLANKS))


def has_text(text: Column) -> Column:
    """Whether the text holds anything but blanks."""
    return text.rlike(f"[^{BLANKS}]")


def decimal(text: Column, scale: int = 6) -> Column:
    """The text of a finite number → DECIMAL(18, scale), rounded half-up; null when it is no number or too large."""
    exact = text.cast(f"decimal(18,{scale})")
    return F.when(text.rlike(_PLAIN), exact).otherwise(_rarely(text, lambda rare: _careful_decimal(rare, scale)))


def _careful_decimal(text: Column, scale: int) -> Column:
    """`decimal` for any text. Exponents of more than three digits are not computed: the number is 0 or too large."""
    number = without_blanks(text)
    # Without digits that cannot matter; null if it is too large. Spark takes hours for megabytes of them.
    fraction = F.regexp_replace(number, rf"(\.[0-9]{{{_DIGITS}}})[0-9]+", "$1")
    too_large = number.rlike(rf"^[+-]?0*[1-9][0-9]{{{_DIGITS}}}")
    short = F.when(F.length(number) <= _DIGITS, number).when(~too_large, fraction)
    plain = F.coalesce(
        short.cast(f"decimal(38,{scale})"),
        F.when(number.rlike(_ZERO), F.lit(0)),  # with a large exponent, too, which the cast refuses
    )
    exact = F.when(number.rlike(_NUMBER), plain).when(number.rlike(_TINY), F.lit(0))
    limit = F.lit(LIMIT if scale == 6 else "1" + "0" * (18 - scale)).cast("decimal(38,0)")
    return F.when(F.abs(exact) < limit, exact).cast(f"decimal(18,{scale})")


def event_timestamp(text: Column) -> Column:
    """An ISO text with at least minutes → UTC timestamp; null for anything else, and for dates before the year 2000.

    The year is that of the text; null also where the zone pushes the instant past the year 9999.
    """
    # Spark's cast also accepts bare dates and hours, which the pattern keeps out. It needs seconds before a zone, and a
    # colon in an offset.
    complete = F.regexp_replace(text, "^(.{16})([+-])", "$1:00$2")
    complete = F.regexp_replace(complete, "([+-][0-9]{2})([0-9]{2})$", "$1:$2")
    # Nearly all texts end in Z, which is the session's zone: without it Spark need not look up a zone by name.
    utc = F.when(text.endswith("Z"), F.substring_index(text, "Z", 1)).otherwise(complete)
    instant = F.when(text.rlike(_TIMESTAMP) & (F.substring(text, 1, 4) >= "2000"), utc.cast("timestamp"))
    return F.when(instant < F.lit("10000-01-01 00:00:00").cast("timestamp"), instant)


def iso_date(text: Column) -> Column:
    """`YYYY-MM-DD`, a real date → DATE; null for anything else."""
    day = without_blanks(text)
    # Spark's cast accepts the year 0, which the dates of Python and Cassandra do not have.
    return F.when(day.rlike(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$") & ~day.startswith("0000"), day.cast("date"))


def iso_month(text: Column) -> Column:
    """`YYYY-MM-DD` or `YYYY-MM` → DATE (the first day for a month); null for anything else."""
    month = without_blanks(text)
    return iso_date(F.when(month.rlike(r"^[0-9]{4}-[0-9]{2}$"), F.concat(month, F.lit("-01"))).otherwise(month))


def boolean(text: Column) -> Column:
    """true/false, yes/no, 1/0 in any case → BOOLEAN; null for anything else."""
    word = F.lower(without_blanks(text))
    return F.when(word.isin("true", "t", "yes", "y", "1"), True).when(word.isin("false", "f", "no", "n", "0"), False)


# Strict JSON, except that NaN, Infinity and -Infinity parse: they are values for a rule to judge, not broken text. Any
# length is allowed except for bare numbers, which take time with the square of their digits.
STRICT = {
    "mode": "PERMISSIVE",
    "columnNameOfCorruptRecord": "_broken",
    "allowSingleQuotes": "false",
    "allowNonNumericNumbers": "true",
    "maxNumLen": "10000",
    "maxStringLen": str(2**31 - 1),
}
# An escaped backslash, or the escapes of a surrogate pair. The escape of a surrogate outside of these is unpaired.
_WHOLE_ESCAPES = r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_SURROGATE = r"\\u[dD][89a-fA-F]"
_QUOTED = r'"(?:[^"\\]++|\\.)*+"'  # a text in quotes, which may hold any word
# What Spark alone takes for a number.
_LITERAL_OF_SPARK = r"[+-]INF|\+Infinity"


def listed(text: Column, kind: str) -> Column:
    """The text as the one element of an array: fields `r` (array of `kind`), `ok`, `_broken`."""
    return F.from_json(
        F.concat(F.lit('{"r":['), text, F.lit('],"ok":1}')), f"r array<{kind}>, ok string, _broken string", STRICT
    )


def is_one_value(text: Column, parsed: Column, last: str = "") -> Column:
    """Whether the text, `parsed` by `listed`, is exactly one JSON value; may be null.

    `last` is a pattern of the ends that an element of the array can have, where its kind does not allow any.
    """
    # `{…}],"r":[{…}` would close the wrapping array and open another. Such a text does not parse as a single value.
    may_close_array = text.contains("]") & text.rlike(rf"{last}\s*\]\s*,")
    alone = F.from_json(
        F.concat(F.lit('{"r":'), text, F.lit(',"ok":1}')), "r string, ok string, _broken string", STRICT
    )
    whole_alone = F.transform(F.array(alone), _whole).getItem(0)  # named once, it is parsed once
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
    """A text that is exactly one JSON value, as it is; null for anything else."""
    return F.when(is_one_value(text, listed(text, "string")), text)
