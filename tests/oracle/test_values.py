"""The oracle's readings of single texts: numbers, timestamps, dates and CSV records."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from .landing import split_csv
from .values import parse_date, parse_decimal, parse_month, parse_timestamp


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1.000000"),
        (" +1.5e2\t", "150.000000"),
        (".5", "0.500000"),
        ("5.", "5.000000"),
        ("0.0000005", "0.000001"),
        ("-0.0000005", "-0.000001"),
        ("-0.0000004", "0.000000"),
        ("999999999999.999999", "999999999999.999999"),
        ("999999999999.9999994", "999999999999.999999"),
        ("999999999999.9999995", None),
        ("1e12", None),
        ("1e99999999999999999999", None),
        ("1e-99999999999999999999", "0.000000"),
        ("0e99999999999999999999", "0.000000"),
        ("", None),
        ("1,000", None),
        ("NaN", None),
        ("1_0", None),
        ("0x10", None),
        ("\u0661", None),
    ],
)
def test_numbers_are_rounded_half_up_and_then_judged(text: str, expected: str | None) -> None:
    number = parse_decimal(text)
    assert (None if number is None else str(number)) == expected


def test_rates_have_ten_decimals_and_eight_digits_before_them() -> None:
    assert str(parse_decimal("0.00000000005", 10)) == "1E-10"
    assert parse_decimal("99999999.9999999999", 10) == Decimal("99999999.9999999999")
    assert parse_decimal("100000000", 10) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-08-17T01:55:00Z", "2025-08-17T01:55:00+00:00"),
        ("2025-08-17 01:55", "2025-08-17T01:55:00+00:00"),
        ("2025-08-17T01:55:00.1234567+02:00", "2025-08-16T23:55:00.123456+00:00"),
        ("2025-08-17T01:55-0330", "2025-08-17T05:25:00+00:00"),
        ("2000-01-01T00:30+02:00", "1999-12-31T22:30:00+00:00"),
        ("1999-12-31T23:59:59Z", None),
        ("2025-08-17", None),
        ("2025-02-29T00:00Z", None),
        ("2025-08-17T24:00Z", None),
        ("2025-08-17T01:55:60Z", None),
        ("2025-08-17T01:55:00.Z", None),
        (" 2025-08-17T01:55Z", None),
        ("2025-08-17T01:55z", None),
        ("2025-08-17T01:55+02", None),
        ("9999-12-31T23:59-01:00", None),
    ],
)
def test_timestamps(text: str, expected: str | None) -> None:
    moment = parse_timestamp(text)
    assert (moment.isoformat() if moment else None) == expected


def test_dates_and_months() -> None:
    assert parse_date("2024-02-29") == date(2024, 2, 29)
    assert parse_date("2025-02-29") is None
    assert parse_date("2025-1-1") is None
    assert parse_date("2025-01-01T00:00") is None
    assert parse_month("2025-06") == date(2025, 6, 1)
    assert parse_month("2025-06-15") == date(2025, 6, 15)
    assert parse_month("2025-13") is None


def test_csv_records_may_hold_commas_quotes_and_newlines() -> None:
    text = 'a,b\r\n"1,""x""\n2",3\n \n"open,4\n'
    assert list(split_csv(text)) == [
        ("a,b", ["a", "b"], True),
        ('"1,""x""\n2",3', ['1,"x"\n2', "3"], True),
        ('"open,4\n', ["open,4\n"], False),
    ]
