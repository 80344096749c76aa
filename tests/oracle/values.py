"""One text in, one value out: numbers, dates, timestamps, booleans, and the exact arithmetic on them."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

CONTEXT = Context(prec=120, rounding=ROUND_HALF_UP)  # wide enough for every sum, product and quotient here
MONEY = 6
RATE = 10
RATIO = 8
DIGITS = 18

_NUMBER = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d+))?", re.ASCII)
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_TIMESTAMP = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?(?:Z|([+-])(\d{2}):?(\d{2}))?", re.ASCII
)
_TRUE = {"true", "t", "yes", "y", "1"}
_FALSE = {"false", "f", "no", "n", "0"}


def blank_to_none(text: str | None) -> str | None:
    """The text without surrounding blanks; None where nothing is left."""
    if text is None:
        return None
    return text.strip() or None


def quantize(number: Decimal, places: int) -> Decimal:
    """The number rounded half-up to so many decimals; there is no negative zero."""
    rounded = number.quantize(Decimal(1).scaleb(-places), context=CONTEXT)
    return abs(rounded) if rounded.is_zero() else rounded


def parse_decimal(text: str, places: int = MONEY) -> Decimal | None:
    """A number text as DECIMAL(18, places): rounded half-up first, then None where it does not fit."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    sign, mantissa, exponent_text = match.groups()
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return quantize(Decimal(0), places)
    exponent = _small_int(exponent_text or "0") - len(fraction)
    if len(digits) + exponent > DIGITS:  # far too large, whatever the rounding does
        return None
    if len(digits) + exponent < -places:  # less than half of the last place
        return quantize(Decimal(0), places)
    exact = Decimal((1 if sign == "-" else 0, tuple(map(int, digits)), exponent))
    rounded = quantize(exact, places)
    return rounded if abs(rounded) < Decimal(10) ** (DIGITS - places) else None


def _small_int(text: str) -> int:
    """An exponent as int; absurdly long ones are cut to something that is just as absurd."""
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").lstrip("0") or "0"
    return sign * (int(digits) if len(digits) <= 12 else 10**12)


def parse_date(text: str | None) -> date | None:
    """A real `YYYY-MM-DD`, else None."""
    match = _DATE.fullmatch(text or "")
    if match is None:
        return None
    try:
        return date(*map(int, match.groups()))
    except ValueError:
        return None


def parse_month(text: str | None) -> date | None:
    """The day of a `YYYY-MM-DD` as written, the first day of a `YYYY-MM`, else None."""
    if _MONTH.fullmatch(text or ""):
        return parse_date(f"{text}-01")
    return parse_date(text)


def parse_bool(text: str) -> bool | None:
    """True and false in their usual spellings, else None."""
    word = text.lower()
    if word in _TRUE:
        return True
    return False if word in _FALSE else None


def parse_timestamp(text: str | None) -> datetime | None:
    """An event's timestamp as UTC, else None; the text is not trimmed."""
    match = _TIMESTAMP.fullmatch(text or "")
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    if int(year) < 2000:
        return None
    offset = timedelta(0)
    if sign:
        offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes)) * (-1 if sign == "-" else 1)
        if abs(offset) > timedelta(hours=18) or int(offset_minutes) > 59:
            return None
    micros = int((fraction or "")[:6].ljust(6, "0"))
    try:
        local = datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second or 0), micros, tzinfo=timezone.utc
        )
        return local - offset
    except (ValueError, OverflowError):
        return None


def month_of(day: date) -> str:
    """A date's month as `YYYY-MM`."""
    return day.isoformat()[:7]


def total(numbers: list[Decimal]) -> Decimal:
    """An exact sum with six decimals."""
    result = Decimal(0)
    for number in numbers:
        result = CONTEXT.add(result, number)
    return quantize(result, MONEY)


def ratio(numerator: Decimal | int | None, denominator: Decimal | int | None) -> Decimal | None:
    """A quotient with eight decimals; None where a part is missing or the denominator is 0."""
    if numerator is None or denominator is None or denominator == 0:
        return None
    return quantize(CONTEXT.divide(Decimal(numerator), Decimal(denominator)), RATIO)


def round_to_int(number: Decimal) -> int:
    """Half-up to a whole number."""
    return int(quantize(number, 0))


def to_decimal(number: Fraction, places: int) -> Decimal:
    """A fraction as a decimal of so many places, rounded half-up."""
    return quantize(CONTEXT.divide(Decimal(number.numerator), Decimal(number.denominator)), places)
