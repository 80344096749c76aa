from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal

import pytest
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from cloud_analytics.landing import text


def _values(spark: SparkSession, texts: Sequence[str | None], typed: Column) -> list[object]:
    rows = [(number, value) for number, value in enumerate(texts)]
    frame = spark.createDataFrame(rows, "n int, t string")
    return [row[0] for row in frame.orderBy("n").select(typed).collect()]


def test_decimals_keep_every_digit_and_round_half_up(spark: SparkSession) -> None:
    cases = {
        "1.5": Decimal("1.5"),
        " 7 ": Decimal(7),
        "999999999999.999999": Decimal("999999999999.999999"),
        "999999999999.9999995": None,  # rounds to 10^12
        "1e12": None,
        "-1e-7": Decimal(0),
        "0.0000005": Decimal("0.000001"),
        "-0.0100005": Decimal("-0.010001"),
        "1e-999999999": Decimal(0),
        "1e999999999": None,
        ".5": Decimal("0.5"),
        "5.": Decimal(5),
        "NaN": None,
        "Infinity": None,
        "true": None,
        "1_000": None,
        "0x10": None,
        "": None,
    }
    assert _values(spark, list(cases), text.decimal(F.col("t"))) == list(cases.values())


@pytest.mark.parametrize(
    ("texts", "usable"),
    [
        (
            [
                "2025-08-17T01:55:00Z",
                "2025-08-17 01:55",
                "2025-08-17T01:55:00.123456789+02:00",
                "2025-08-17T01:55-0300",
                "2025-08-17T01:55Z",
                "2025-08-17 01:55:01.5",
                "2000-01-01T00:00:00+05:00",
            ],
            True,
        ),
        (
            [
                "2025-08-17",
                "2025-08-17T10",
                "2025-02-30T00:00Z",
                "1999-12-31T23:59:59-05:00",
                "2025-08-17T25:00Z",
                "2025-08-17t01:55z",
                " 2025-08-17T01:55Z",
                "20250817T0155Z",
                "1755395700",
                "9999-12-31T23:00-05:00",
            ],
            False,
        ),
    ],
)
def test_timestamps(spark: SparkSession, texts: list[str], usable: bool) -> None:
    seen = _values(spark, list(texts), text.event_timestamp(F.col("t")))
    assert [value is not None for value in seen] == [usable] * len(texts)


def test_offsets_are_taken_to_utc(spark: SparkSession) -> None:
    written = text.event_timestamp(F.col("t")).cast("string")
    assert _values(spark, ["2025-08-17T01:55+0130", "2025-08-17T01:55:00-02:00"], written) == [
        "2025-08-17 00:25:00",
        "2025-08-17 03:55:00",
    ]


def test_blanks_are_more_than_spaces(spark: SparkSession) -> None:
    assert _values(spark, ["\t a \u00a0", " \u2003 ", None], text.trimmed(F.col("t"))) == ["a", None, None]


def test_an_array_is_trimmed_as_each_of_its_texts(spark: SparkSession) -> None:
    odd = ["plain", "", " ", None, "\ta\u00a0", "\u2003x y\u3000", "é", "-1 ", "\r\n", "\x1f!"]
    alone = _values(spark, odd, text.trimmed(F.col("t")))
    assert _values(spark, odd, text.each_trimmed(F.array("t", "t"))[1]) == alone
    assert alone == ["plain", None, None, None, "a", "x y", "é", "-1", None, "!"]


def test_months_and_dates(spark: SparkSession) -> None:
    month = text.iso_month(F.col("t")).cast("string")
    months = ["2025-06", "2025-06-15", "2025-13", "June", "0000-05"]
    assert _values(spark, months, month) == ["2025-06-01", "2025-06-15", None, None, None]
    day = text.iso_date(F.col("t")).cast("string")
    days = ["2025-06-15", "2025-06", "2025-06-15T10:00", "0000-05-01", "0001-01-01"]
    assert _values(spark, days, day) == ["2025-06-15", None, None, None, "0001-01-01"]


def test_endless_digits_are_judged_at_once_and_exactly(spark: SparkSession) -> None:
    many = 500_000  # by backtracking, or as one big number, each of these takes from minutes to hours
    digits, zeros = "9" * many, "0" * many
    texts = [digits, digits + "x", f"{digits}e-9", f"{zeros}1.5", f"1.5{zeros}1", f"0.0000005{zeros}", f"1{digits}.5.5",
             f"0.{zeros}1e999", f"1e{digits}", f"1e-{digits}"]  # fmt: skip
    began = time.monotonic()
    values = _values(spark, texts, text.decimal(F.col("t")))
    assert time.monotonic() - began < 30
    one, tiny, zero = Decimal("1.5"), Decimal("0.000001"), Decimal(0)
    assert values == [None, None, None, one, one, tiny, None, zero, None, zero]


def test_endless_blanks_in_a_value_of_json_are_judged_at_once(spark: SparkSession) -> None:
    blanks = " " * 200_000  # by looking at all that follow from each of them, this takes most of an hour
    texts = [f'["a"{blanks}, "b"]', f'["a",{blanks}"b"]', f'["a"{blanks}]', f'["a"]{blanks},"r":["b"]']
    began = time.monotonic()
    found = _values(spark, texts, text.json_text(F.col("t")))
    assert time.monotonic() - began < 120
    assert found == [*texts[:3], None]


def test_digits_count_as_far_as_an_exponent_can_bring_them(spark: SparkSession) -> None:
    cases = {
        "1" + "0" * 999 + "e-999": Decimal(1),
        "1" + "0" * 1100 + "e-999": None,
        "1" + "0" * 60 + "e-2": None,  # too large for a cast, and not tiny because its exponent is negative
        "0." + "0" * 998 + "15e999": Decimal("1.5"),
        "7" * 1100 + "e-999": None,
        "1e-999": Decimal(0),
        "0e999": Decimal(0),
        "-.0e+999": Decimal(0),
    }
    assert _values(spark, list(cases), text.decimal(F.col("t"))) == list(cases.values())
