"""conf/anomalies.yaml: parameters of the detectors."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from cloud_analytics.config.section import LARGEST_INT, Exact, Section

_MOST_DAYS = 3_660  # ten years; for every day, Spark collects a window of up to this many days
Factor = Annotated[Exact, Field(lt=1_000)]


class EventAnomalySettings(Section):
    """Parameters of the event detectors (contract 7)."""

    min_events: int = Field(10, ge=2, le=LARGEST_INT)
    zscore_threshold: float = Field(3.0, gt=0)
    mad_threshold: float = Field(6.0, gt=0)
    percentile: Exact = Field(Decimal("0.95"), gt=0, lt=1)
    percentile_factor: Factor = Field(Decimal("2"), gt=0)
    unit_price_threshold: float = Field(4.0, gt=0)
    consensus: int = Field(2, ge=1, le=3)


class DailyAnomalySettings(Section):
    """Parameters of the daily detector (contract 7)."""

    history_days: int = Field(30, ge=1, le=_MOST_DAYS)
    min_days: int = Field(10, ge=1, le=_MOST_DAYS)
    score_threshold: float = Field(5.0, gt=0)
    min_impact_usd: Exact = Field(Decimal("10"), ge=0)

    @model_validator(mode="after")
    def _history_is_enough(self) -> DailyAnomalySettings:
        if self.min_days > self.history_days:
            raise ValueError(f"min_days: expected at most history_days, which is {self.history_days}")
        return self


class WeekdaySettings(Section):
    """When the usual cost of a weekday explains the cost of a day."""

    weeks: int = Field(8, ge=1, le=52)
    min_days: int = Field(3, ge=1, le=_MOST_DAYS)
    max_ratio: float = Field(2.0, gt=0)


class LevelShiftSettings(Section):
    """When the last days count as a higher cost level than the days before."""

    recent_days: int = Field(7, ge=2, le=_MOST_DAYS)
    history_days: int = Field(28, ge=2, le=_MOST_DAYS)
    min_days: int = Field(10, ge=2, le=_MOST_DAYS)
    score_threshold: float = Field(5.0, gt=0)
    min_ratio: Factor = Field(Decimal("1.5"), ge=1)
    min_impact_usd: Exact = Field(Decimal("10"), ge=0)


class TrendSettings(Section):
    """When costs count as rising day by day."""

    days: int = Field(30, ge=6, le=366)
    min_days: int = Field(20, ge=6, le=_MOST_DAYS)
    score_threshold: float = Field(2.5, gt=0)
    min_ratio: Factor = Field(Decimal("1.5"), ge=1)
    min_impact_usd: Exact = Field(Decimal("10"), ge=0)


class DailySignalSettings(Section):
    """Parameters of the signals that accompany the daily verdict (docs/anomalies.md)."""

    weekday: WeekdaySettings = WeekdaySettings()
    level_shift: LevelShiftSettings = LevelShiftSettings()
    trend: TrendSettings = TrendSettings()


class AnomalySettings(Section):
    """conf/anomalies.yaml."""

    events: EventAnomalySettings = EventAnomalySettings()
    daily: DailyAnomalySettings = DailyAnomalySettings()
    signals: DailySignalSettings = DailySignalSettings()
