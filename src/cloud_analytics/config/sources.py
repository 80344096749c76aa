"""conf/sources.yaml: the contract of each CSV master."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

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
EVENTS_FOLDER = "usage_events_stream"  # the folder with the files of usage events in a landing folder

# Events are joined with these masters by these keys; a key that several rows share would multiply events.
_JOINED_BY = {"customers_orgs": "org_id", "resources": "resource_id", "users": "user_id"}


class SourceContract(Section):
    """One CSV master: its natural key, the columns that its header must have, and its closed vocabularies."""

    key: list[str] = Field(min_length=1)
    required: list[str] = Field(min_length=1)
    vocabularies: dict[str, list[str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _columns_exist(self) -> SourceContract:
        lacking = [column for column in {*self.key, *self.vocabularies} if column not in self.required]
        if lacking:
            raise ValueError(f"not among `required`: {', '.join(sorted(lacking))}")
        return self


def _all_masters(sources: dict[str, SourceContract]) -> dict[str, SourceContract]:
    problems = [
        f"{name}: " + ("is missing" if name in MASTERS else f"allowed are {', '.join(MASTERS)}")
        for name in sorted(set(MASTERS) ^ set(sources))
    ]
    problems += [
        f"{name}.key: expected {key} alone, by which events are joined"
        for name, key in _JOINED_BY.items()
        if name in sources and sources[name].key != [key]
    ]
    if problems:
        raise ValueError("; ".join(problems))
    return sources


Sources = Annotated[dict[str, SourceContract], AfterValidator(_all_masters)]
"""conf/sources.yaml: the contract of every master, by its name."""
