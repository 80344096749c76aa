"""conf/budgets.yaml: the budgets of organisations."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field, StringConstraints

from cloud_analytics.config.section import Exact, Section

Usd = Annotated[Exact, Field(gt=0)]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Budgets(Section):
    """USD per calendar month: by org_id, and by plan_tier for organisations without a budget of their own."""

    organisations: dict[Word, Usd] = {}
    plan_tiers: dict[Word, Usd] = {}

    def of(self, org_id: str, plan_tier: str | None) -> Decimal | None:
        """The budget of an organisation in USD per month; None where it has none."""
        return self.organisations.get(org_id, self.plan_tiers.get(plan_tier or ""))
