"""What the contract calls configuration, with its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

LONGEST_KEY = 60_000  # bytes of UTF-8: no store takes a longer one as a key

REGION_ALIASES = {
    "us-east": "us-east-1",
    "us-west": "us-west-2",
    "eu-west": "eu-west-1",
    "eu-central": "eu-central-1",
    "ap-south": "ap-south-1",
    "ap-northeast": "ap-northeast-1",
    "sa-east": "sa-east-1",
}

SERVICES = ("compute", "storage", "database", "networking", "analytics", "genai")

VOCABULARIES: dict[str, frozenset[str]] = {
    "plan_tier": frozenset({"free", "standard", "pro", "enterprise"}),
    "lifecycle_stage": frozenset({"active", "at_risk", "churned", "prospect", "lead"}),
    "marketing_source": frozenset({"event", "organic", "partner", "ads", "referral"}),
    "role": frozenset({"data_engineer", "devops", "developer", "analyst", "ml_engineer", "admin"}),
    "state": frozenset({"running", "stopped", "terminated"}),
    "category": frozenset({"integration", "billing", "availability", "usability", "performance", "security"}),
    "severity": frozenset({"low", "medium", "high", "critical"}),
    "channel": frozenset({"event", "email", "ads", "in_app"}),
    "currency": frozenset({"USD", "EUR", "ARS"}),
}


@dataclass(frozen=True)
class Params:
    """Thresholds, aliases and vocabularies; numbers are Decimal so that comparisons with them are exact."""

    # taxonomy
    services: tuple[str, ...] = SERVICES
    service_aliases: Mapping[str, str] = field(default_factory=dict)
    region_aliases: Mapping[str, str] = field(default_factory=lambda: dict(REGION_ALIASES))
    metrics: Mapping[str, str | None] = field(
        default_factory=lambda: {"requests": "count", "cpu_hours": "hours", "storage_gb_hours": "gb_hours"}
    )
    largest_values: Mapping[str, Decimal] = field(  # of one event, by metric
        default_factory=lambda: {
            "requests": Decimal(10**9), "cpu_hours": Decimal(10**5), "storage_gb_hours": Decimal(10**8)
        }
    )  # fmt: skip
    vocabularies: Mapping[str, frozenset[str]] = field(default_factory=lambda: dict(VOCABULARIES))

    # rules
    lowest_cost: Decimal = Decimal("-0.01")
    future_tolerance: timedelta = timedelta(hours=24)
    watermark: timedelta = timedelta(hours=2)
    usd_rate: str = "identity"  # or "as_billed"

    # event-level anomalies
    min_events: int = 10
    zscore_threshold: Decimal = Decimal(3)
    mad_threshold: Decimal = Decimal(6)
    mad_constant: Decimal = Decimal("0.6745")
    percentile: Decimal = Decimal("0.95")
    percentile_factor: Decimal = Decimal(2)
    unit_price_min_events: int = 10
    unit_price_threshold: Decimal = Decimal(4)
    flags_needed: int = 2

    # daily anomalies
    baseline_min_days: int = 10
    baseline_max_days: int = 30
    daily_threshold: Decimal = Decimal(5)
    daily_min_impact_usd: Decimal = Decimal(10)
    no_verdict: bool | None = False  # is_anomaly of a day that has no score

    # budgets, USD a month
    budgets: Mapping[str, Decimal] = field(default_factory=dict)  # by organisation
    plan_tier_budgets: Mapping[str, Decimal] = field(default_factory=dict)  # of those without one of their own

    def region_code(self, region: str | None) -> str | None:
        """The canonical region of a lower-cased name; canonical names stand for themselves."""
        if region is None:
            return None
        if region in self.region_aliases:
            return self.region_aliases[region]
        return region if region in self.region_aliases.values() else None

    def canonical_service(self, service: str | None) -> str | None:
        """The service that a lower-cased name means, or None."""
        if service is None:
            return None
        service = self.service_aliases.get(service, service)
        return service if service in self.services else None

    def words(self, column: str) -> frozenset[str]:
        """The closed vocabulary of a master column."""
        if column in ("region", "hq_region"):
            return frozenset(self.region_aliases) | frozenset(self.region_aliases.values())
        if column == "service":
            return frozenset(self.services) | frozenset(self.service_aliases)
        return self.vocabularies[column]
