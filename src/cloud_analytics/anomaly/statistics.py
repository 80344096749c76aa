"""Order statistics of arrays, exact: the result never depends on the order of rows."""

from __future__ import annotations

from cloud_analytics.spark import Column, F

MAD_SCALE = 0.6745
"""Times a distance / MAD: the same distance in standard deviations, were the values normal."""


def at(values: Column, index: Column) -> Column:
    """The element at an index from 0."""
    return F.element_at(values, index.cast("int") + 1)


def median(values: Column) -> Column:
    """Median of a sorted array (double)."""
    size = F.size(values)
    return (at(values, F.floor((size - 1) / 2)) + at(values, F.floor(size / 2))) / F.lit(2.0)


def decimal_median(values: Column) -> Column:
    """Exact median of a sorted array of decimals: a column, since what computes it would be evaluated twice."""
    size = F.size(values)
    low, high = at(values, F.floor((size - 1) / 2)), at(values, F.floor(size / 2))
    return ((low + high) * F.lit(0.5).cast("decimal(2,1)")).cast("decimal(28,8)")


def deviations(values: Column, center: Column) -> Column:
    """Distances of the values from a center, sorted: their median is the MAD."""
    return F.sort_array(F.transform(values, lambda x: F.abs(x - center)))
