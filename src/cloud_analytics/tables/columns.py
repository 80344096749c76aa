"""A column: its name, its type, what it means, and the unit of its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Unit(NamedTuple):
    """A unit, and the decimals of a table for people; JSON and CSV keep every digit."""

    name: str
    decimals: int


COUNT = Unit("count", 0)
RANK = Unit("rank", 0)
USD = Unit("USD", 2)
SHARE = Unit("share 0-1", 4)
PERCENT = Unit("%", 1)
HOURS = Unit("hours", 2)
GB_HOURS = Unit("GB h", 2)
CARBON_KG = Unit("kg CO2e", 3)
TOKENS = Unit("tokens", 0)
DAYS = Unit("days", 1)
CSAT = Unit("score 1-5", 2)
NPS = Unit("score -100-100", 1)
ROBUST_SCORE = Unit("robust z-score", 2)

MONEY = "decimal(28,6)"
"""Sums of money and quantities."""
RATIO = "decimal(38,10)"
"""Quotients of sums."""

LONGEST_KEY = 60_000
"""Bytes of a text in a key; Cassandra takes less than 64 KiB for all parts together."""

_CQL_TYPES = {"string": "text", "array<string>": "frozen<list<text>>"}  # the others have Spark's names


@dataclass(frozen=True)
class Column:
    """One column of a table. `type` is Spark's name of it; figures have a unit, all else has none."""

    name: str
    type: str
    meaning: str
    unit: Unit | None = None

    @property
    def cql_type(self) -> str:
        """Its type in Cassandra, which needs no precision."""
        return "decimal" if self.type.startswith("decimal") else _CQL_TYPES.get(self.type, self.type)

    @property
    def is_date(self) -> bool:
        """Whether it holds a calendar date."""
        return self.type == "date"

    @property
    def is_month(self) -> bool:
        """Whether it holds months `YYYY-MM`."""
        return self.type == "string" and (self.name == "month" or self.name.endswith("_month"))


ORG_ID = Column("org_id", "string", "the organisation")
USAGE_DATE = Column("usage_date", "date", "UTC date of the events")
SERVICE = Column("service", "string", "the cloud service")
SEVERITY = Column("severity", "string", "how severe it is")
