"""Which partitions a table has, what makes them stale, and what of others they need."""

from __future__ import annotations

import pytest

from cloud_analytics.engine.versions import dates, inputs, wanted
from cloud_analytics.tables import Column, Days, Earlier, History, Read, SameDate, Table, Whole

DAY = Column("day", "date", "the day")
THERE = {"2025-01-01": "a", "2025-01-03": "b", "2025-01-04": "c"}


def table(*reads: Read, partition: str | None = "day") -> Table:
    return Table("t", ("day",), (DAY,), reads=reads, partition=partition)


def changed(*reads: Read, there: dict[str, str], now: dict[str, str]) -> set[str]:
    before, after = (inputs(table(*reads), {"gold/x": x, "gold/w": {"": "1"}}, "rules") for x in (there, now))
    return {day for day in before.keys() | after.keys() if before.get(day) != after.get(day)}


def test_a_table_has_the_dates_of_what_it_reads_by_date() -> None:
    assert dates(table(SameDate("gold/x"), Whole("gold/w")), {"gold/x": THERE}) == sorted(THERE)
    days = dates(table(Days("gold/x", before=6)), {"gold/x": THERE})
    assert days == ["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04"]
    assert dates(table(Days("gold/x", before=6)), {"gold/x": {}}) == []
    apart = {"2000-01-01": "", "9999-12-30": "", "9999-12-31": ""}
    days = dates(table(Days("gold/x", before=1)), {"gold/x": apart})
    assert days == ["2000-01-01", "2000-01-02", "9999-12-30", "9999-12-31"]


@pytest.mark.parametrize(
    ("read", "stale"),
    [
        (SameDate("gold/x"), {"2025-01-03"}),
        (Days("gold/x", before=1), {"2025-01-03", "2025-01-04"}),
        (History("gold/x"), {"2025-01-03", "2025-01-04"}),
    ],
)
def test_a_date_that_changed_makes_those_stale_that_read_it(read: Read, stale: set[str]) -> None:
    assert changed(read, there=THERE, now={**THERE, "2025-01-03": "B"}) == stale


def test_what_lies_before_a_date_counts_and_the_date_itself_does_not() -> None:
    reads = (SameDate("gold/y"), Earlier("gold/x"))
    y = dict.fromkeys(THERE, "1")
    before, after = (
        inputs(table(*reads), {"gold/x": x, "gold/y": y}, "rules") for x in (THERE, {**THERE, "2025-01-03": "B"})
    )
    assert {day for day in before if before[day] != after[day]} == {"2025-01-04"}


def test_rules_and_whole_tables_make_all_stale_and_the_table_itself_none() -> None:
    declared = table(SameDate("gold/x"), Whole("gold/w"), Earlier("gold/t"))
    versions = {"gold/x": THERE, "gold/w": {"": "1"}, "gold/t": {"2025-01-01": "z"}}
    first = inputs(declared, versions, "rules")
    assert inputs(declared, {**versions, "gold/t": {}}, "rules") == first
    for other in (inputs(declared, versions, "others"), inputs(declared, {**versions, "gold/w": {"": "2"}}, "rules")):
        assert first.keys() == other.keys() == THERE.keys()
        assert not set(first.values()) & set(other.values())
    whole = table(Whole("gold/x"), partition=None)
    assert inputs(whole, {"gold/x": THERE}, "rules") != inputs(whole, {"gold/x": {**THERE, "2025-01-05": "d"}}, "rules")


def test_what_stale_dates_need_of_what_they_read() -> None:
    stale = ["2025-01-03", "2025-01-04"]
    assert wanted(SameDate("x"), stale, THERE) == stale
    assert wanted(Days("x", before=1), stale, {**THERE, "2025-01-02": ""}) == ["2025-01-02", *stale]
    assert wanted(History("x"), stale[:1], THERE) == ["2025-01-01", "2025-01-03"]
    assert wanted(Earlier("x"), stale, THERE) == ["2025-01-01"]
    assert wanted(Whole("x"), stale, THERE) == sorted(THERE)
