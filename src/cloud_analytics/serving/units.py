"""The unit of each figure that is served, and how many decimals of it people care to see."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple


class Unit(NamedTuple):
    """A unit, and the decimals of a table for people; JSON and CSV keep every digit."""

    name: str
    decimals: int


# The first pattern that fits a column's name decides, so that exceptions stand before the rules.
_UNITS: tuple[tuple[str, Unit], ...] = (
    ("avg_cost_per_request", Unit("USD per request", 6)),
    ("cost_per_million_tokens", Unit("USD per million tokens", 4)),
    ("avg_tokens_per_request", Unit("tokens per request", 1)),
    ("carbon_kg_per_usd", Unit("kg CO2e per USD", 4)),
    ("fx_rate", Unit("USD per unit of currency_original", 6)),
    ("avg_csat", Unit("score 1-5", 2)),
    ("anomaly_score", Unit("robust z-score", 2)),
    ("rank_*", Unit("rank", 0)),
    ("coverage", Unit("share 0-1", 4)),
    ("*_rate", Unit("share 0-1", 4)),
    ("*_pct", Unit("%", 1)),
    ("*_carbon_kg", Unit("kg CO2e", 3)),
    ("*_cpu_hours", Unit("hours", 2)),
    ("*_gb_hours", Unit("GB h", 2)),
    ("*_tokens", Unit("tokens", 0)),
    ("*_usd", Unit("USD", 2)),
    ("*_usd_capped", Unit("USD", 2)),
    ("cost_*d", Unit("USD", 2)),
    ("*events", Unit("count", 0)),
    ("*_requests", Unit("count", 0)),
    ("*_tickets", Unit("count", 0)),
    ("*_count", Unit("count", 0)),
    ("events_with_*", Unit("count", 0)),
)


def unit(column: str) -> Unit | None:
    """The unit of a serving column; None for names, dates and flags."""
    return next((unit for pattern, unit in _UNITS if fnmatchcase(column, pattern)), None)
