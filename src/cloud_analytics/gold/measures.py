"""Sums and ratios as every mart computes them: exact decimals, nothing divided by zero."""

from __future__ import annotations

from cloud_analytics.spark import Column, F
from cloud_analytics.tables.columns import LONGEST_KEY, MONEY, RATIO


def ratio(numerator: Column, denominator: Column, factor: int = 1) -> Column:
    """factor × numerator / denominator with 10 decimals, rounded half-up; null where there is nothing to divide by."""
    # A quotient gets 38 − (digits before the point) decimals: 22 + 6 of those here leave the 10 that are promised.
    top = (numerator.cast("decimal(28,6)") * F.lit(factor).cast("decimal(9,0)")).cast("decimal(28,6)")
    return F.when(denominator != 0, (top / denominator.cast("decimal(28,6)")).cast(RATIO))


def total(column: Column | str, kind: str = MONEY) -> Column:
    """Sum that ignores nulls; null when there is nothing but nulls."""
    return F.sum(column).cast(kind)


def total_or_zero(column: Column | str, kind: str = MONEY) -> Column:
    """Sum that ignores nulls; 0 when there is nothing but nulls."""
    return F.coalesce(F.sum(column), F.lit(0)).cast(kind)


def count_if(condition: Column) -> Column:
    """How many rows meet the condition (BIGINT)."""
    return F.sum(F.coalesce(condition, F.lit(False)).cast("bigint"))


def month(day: str) -> Column:
    """DATE → `YYYY-MM`."""
    return F.date_format(day, "yyyy-MM")


def or_unknown(name: str, longest: int = LONGEST_KEY) -> Column:
    """A text that is part of a mart's key: null reads `unknown`, and what is too long (Cassandra takes neither)."""
    return F.when(F.octet_length(name) <= longest, F.col(name)).otherwise(F.lit("unknown")).alias(name)
