"""A column: its name, its type, what it means, and the unit of its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Unit(NamedTuple):
    """A unit, and the number of decimals in tables for people; JSON and CSV keep every digit."""

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
"""Largest size of a text in a key, in bytes; Cassandra allows less than 64 KiB for all columns of a key together."""

# Other types have the same name as in Spark.
_CQL_TYPES = {"string": "text", "array<string>": "frozen<list<text>>"}
_DUCKDB_TYPES = {
    "string": "VARCHAR", "int": "INTEGER", "timestamp": "TIMESTAMP WITH TIME ZONE", "binary": "BLOB",
    "array<string>": "VARCHAR[]",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of a table. `type` is Spark's name of the type; only figures have a unit."""

    name: str
    type: str
    meaning: str
    unit: Unit | None = None

    @property
    def cql_type(self) -> str:
        """Its type in Cassandra, where decimals have no precision."""
        return "decimal" if self.type.startswith("decimal") else _CQL_TYPES.get(self.type, self.type)

    @property
    def duckdb_type(self) -> str:
        """Its type in DuckDB."""
        return _DUCKDB_TYPES.get(self.type, self.type.upper())

    @property
    def is_date(self) -> bool:
        """Whether it holds a calendar date."""
        return self.type == "date"

    @property
    def is_month(self) -> bool:
        """Whether it holds months `YYYY-MM`."""
        return self.type == "string" and (self.name == "month" or self.name.endswith("_month"))


# Columns that several tables have.
ORG_ID = Column("org_id", "string", "the organisation")
USAGE_DATE = Column("usage_date", "date", "UTC date of the events")
MONTH = Column("month", "string", "the month")
SERVICE = Column("service", "string", "the cloud service")
SEVERITY = Column("severity", "string", "how severe it is")
EVENTS = Column("events", "bigint", "events", COUNT)
TOTAL_COST = Column("total_cost_usd", MONEY, "cost", USD)
TOTAL_REQUESTS = Column("total_requests", "bigint", "requests", COUNT)
TOTAL_CPU_HOURS = Column("total_cpu_hours", MONEY, "CPU time", HOURS)
TOTAL_STORAGE = Column("total_storage_gb_hours", MONEY, "storage over time", GB_HOURS)
TOTAL_CARBON = Column("total_carbon_kg", MONEY, "carbon; null where no event tells it", CARBON_KG)
TOTAL_TOKENS = Column("total_genai_tokens", MONEY, "GenAI tokens; null where no event tells them", TOKENS)
USAGE_TOTALS = (TOTAL_COST, TOTAL_REQUESTS, TOTAL_CPU_HOURS, TOTAL_STORAGE, TOTAL_CARBON, TOTAL_TOKENS)
FLAGGED_EVENTS = (
    Column("zscore_events", "bigint", "events with flag_zscore", COUNT),
    Column("mad_events", "bigint", "events with flag_mad", COUNT),
    Column("percentile_events", "bigint", "events with flag_percentile", COUNT),
    Column("unit_price_events", "bigint", "events with flag_unit_price", COUNT),
    Column("anomalous_events", "bigint", "events with is_anomaly", COUNT),
)
ANOMALOUS_COST = Column("anomalous_cost_usd", MONEY, "their cost", USD)
EXPECTED_COST = Column(
    "expected_cost_usd", "decimal(28,8)", "what the day would usually cost (median of the days before)", USD
)
DAY_SCORE = Column("anomaly_score", "double", "how far the day stands out, by median absolute deviations", ROBUST_SCORE)
