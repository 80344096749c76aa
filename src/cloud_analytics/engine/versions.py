"""Computes one digest of all inputs of a partition. If the digest changes, the partition is stale."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from hashlib import sha256

from cloud_analytics.tables import Days, Earlier, History, Read, SameDate, Table, Whole

Versions = Mapping[str, Mapping[str, str]]
"""Table → partition (a date; "" for a table without partitions) → version of its content."""


def inputs(table: Table, versions: Versions, rules: str, closed: Collection[str] = ()) -> dict[str, str]:
    """Each partition that the table may have → a digest of all its inputs, including the rules.

    Partitions of `closed` months are left out because they are not built again.
    """
    others = [read for read in table.reads if read.table != table.path]
    closing = [sorted(closed)] if table.closes and closed else []
    whole = digest(
        [rules, *closing, *(sorted(versions[read.table].items()) for read in others if isinstance(read, Whole))]
    )
    if table.partition is None:
        return {"": whole}
    days = [day for day in dates(table, versions) if table.may_have(day, closed)]
    if table.write_once:
        return dict.fromkeys(days[-1:], "")  # its inputs are never compared again
    by_read = [_by_date(read, versions[read.table], days) for read in others if not isinstance(read, Whole)]
    return {day: digest([whole, *(found[day] for found in by_read)]) for day in days}


def dates(table: Table, versions: Versions) -> list[str]:
    """The dates that the table may have: the dates of the tables that it reads by date.

    A read of `Days` also adds each date whose window holds one of these dates, up to the last one. A write-once table
    gets the newest date of all tables that it reads.
    """
    found: set[str] = set()
    for read in table.reads:
        if read.table == table.path or (isinstance(read, Whole | Earlier) and not table.write_once):
            continue
        days = versions[read.table].keys() - {""}
        if isinstance(read, Days):
            days = {later for day in days for later in _until(day, max(days), read.before)}
        found |= days
    return sorted(found)


def wanted(read: Read, stale: Iterable[str], there: Iterable[str]) -> list[str]:
    """The partitions of a table that the stale dates read. `there`: all partitions of the table."""
    days = sorted(stale)
    if isinstance(read, SameDate):
        return sorted(set(days) & set(there))
    if isinstance(read, Days):
        needed = {day for last in days for day in _window(last, read.before)}
        return sorted(needed & set(there))
    if isinstance(read, History):
        return sorted(day for day in there if day <= days[-1])
    if isinstance(read, Earlier):
        return sorted(day for day in there if day < days[0])
    return sorted(there)


def digest(value: object) -> str:
    """A short hash of a value's `repr`."""
    return sha256(repr(value).encode()).hexdigest()[:16]


def _by_date(read: Read, versions: Mapping[str, str], days: list[str]) -> dict[str, str]:
    if isinstance(read, SameDate):
        return {day: versions.get(day, "") for day in days}
    if isinstance(read, Days):
        return {day: digest([versions.get(earlier, "") for earlier in _window(day, read.before)]) for day in days}
    found, running, left = {}, "", sorted(versions.items(), reverse=True)
    for day in days:  # hashes all earlier dates, with History also the date itself
        while left and (left[-1][0] < day or (left[-1][0] == day and isinstance(read, History))):
            running = digest([running, left.pop()])
        found[day] = running
    return found


def _window(last: str, before: int) -> list[str]:
    end = date.fromisoformat(last)
    return [(end - timedelta(n)).isoformat() for n in range(before + 1)]


def _until(first: str, last: str, after: int) -> list[str]:
    """A date and the `after` days that follow it, but no date later than `last`."""
    start = date.fromisoformat(first)
    days = min(after, (date.fromisoformat(last) - start).days)
    return [(start + timedelta(n)).isoformat() for n in range(days + 1)]
