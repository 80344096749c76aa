"""The sums and ratios of all marts: exact decimals, and null instead of a division by zero."""

from __future__ import annotations

from cloud_analytics.spark import Column, F
from cloud_analytics.tables.columns import LONGEST_KEY, MONEY, RATIO


def ratio(numerator: Column | str, denominator: Column | str, factor: int = 1) -> Column:
    """factor × numerator / denominator, rounded half-up to 10 decimals; null where the denominator is null or 0."""
    # A quotient in Spark has 38 digits. These types can need 22 + 6 digits before the point, which leaves 10 decimals.
    top, bottom = (F.col(part) if isinstance(part, str) else part for part in (numerator, denominator))
    scaled = (top.cast("decimal(28,6)") * F.lit(factor).cast("decimal(9,0)")).cast("decimal(28,6)")
    return F.when(bottom != 0, (scaled / bottom.cast("decimal(28,6)")).cast(RATIO))


def total(column: Column | str) -> Column:
    """The sum without nulls; null where all values are null."""
    return F.sum(column).cast(MONEY)


def total_or_zero(column: Column | str) -> Column:
    """The sum without nulls; 0 where all values are null."""
    return F.coalesce(F.sum(column), F.lit(0)).cast(MONEY)


def month(day: str) -> Column:
    """DATE → `YYYY-MM`."""
    return F.date_format(day, "yyyy-MM")


def or_unknown(name: str, longest: int = LONGEST_KEY) -> Column:
    """A text for a mart's key; `unknown` instead of null and of more than `longest` bytes, which Cassandra refuses."""
    return F.when(F.octet_length(name) <= longest, F.col(name)).otherwise(F.lit("unknown")).alias(name)
