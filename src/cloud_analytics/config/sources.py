"""conf/sources.yaml: what each CSV master must hold."""

from __future__ import annotations

from pydantic import Field, model_validator

from cloud_analytics.config.section import Section

MASTERS = (
    "customers_orgs",
    "users",
    "resources",
    "billing_monthly",
    "support_tickets",
    "nps_surveys",
    "marketing_touches",
)


class SourceContract(Section):
    """One CSV master: natural key, columns its header must hold, closed vocabularies."""

    key: list[str] = Field(min_length=1)
    required: list[str] = Field(min_length=1)
    vocabularies: dict[str, list[str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _columns_exist(self) -> SourceContract:
        lacking = [column for column in {*self.key, *self.vocabularies} if column not in self.required]
        if lacking:
            raise ValueError(f"not among `required`: {', '.join(sorted(lacking))}")
        return self
