"""Whether a text is exactly one JSON value, which Spark's own reading of JSON does not say.

Spark takes `{…}{…}` for its first object, and a part that does not parse for a null. So a text is wrapped into an
object whose last field must come through, and Spark fills a column that tells of broken parts. Spark also reads the
escape of an unpaired surrogate, which is no character, as `?`: two different texts would become the same one. And it
takes `-INF`, `+INF` and `+Infinity` for numbers, which nobody else does.
"""

from __future__ import annotations

from cloud_analytics.spark import Column, F

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
_TEXT = r'"(?:[^"\\]++|\\.)*+"'  # a text in quotes, which may hold any word
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
    without_texts = F.transform(F.array(text), lambda t: F.regexp_replace(t, _TEXT, "")).getItem(0)
    may_have_one = text.contains("INF") | text.contains("+Infinity")
    return F.when(may_have_one, without_texts.rlike(_LITERAL_OF_SPARK)).otherwise(False)


def _whole(parsed: Column) -> Column:
    return (parsed.getField("ok") == "1") & parsed.getField("_broken").isNull()


def json_text(text: Column) -> Column:
    """A text that is exactly one JSON value, as it is; null for anything else."""
    return F.when(is_one_value(text, listed(text, "string")), text)
