"""conf/taxonomy.yaml: the services, regions and metrics that events may name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from cloud_analytics.config.section import Section


def _spellings(words: Sequence[str], aliases: Mapping[str, str]) -> list[tuple[str, str]]:
    """(spelling, its meaning) for each accepted spelling, lower-cased and without surrounding blanks."""
    return [(text.strip().lower(), word) for text, word in [*zip(words, words), *aliases.items()]]


class Metric(Section):
    """The unit of a metric (null: `count`), and the largest value that one event may have."""

    unit: str | None = None
    max: Decimal | None = Field(None, gt=0, lt=10**12)


def _as_metric(given: object) -> object:
    """Accept a unit alone as a metric without a limit."""
    return {"unit": given} if given is None or isinstance(given, str) else given


class Taxonomy(Section):
    """conf/taxonomy.yaml: services, regions and metrics, with aliases for services and regions."""

    services: list[str] = Field(min_length=1)
    service_aliases: dict[str, str] = Field(default_factory=dict)
    regions: list[str] = Field(min_length=1)
    region_aliases: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, Annotated[Metric, BeforeValidator(_as_metric)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_meaning_each(self) -> Taxonomy:
        problems = []
        for name, words, aliases in (
            ("service", self.services, self.service_aliases),
            ("region", self.regions, self.region_aliases),
            ("metric", list(self.metrics), {}),
        ):
            problems += [
                f"{name}_aliases.{alias}: '{target}' is not one of {', '.join(words)}"
                for alias, target in aliases.items()
                if target not in words
            ]
            meanings: dict[str, str] = {}
            for spelt, meant in _spellings(words, aliases):
                if not spelt:
                    problems.append(f"{name}s: a word is blank")
                elif meanings.setdefault(spelt, meant) != meant:
                    problems.append(f"{name} {spelt}: it means '{meanings[spelt]}' already")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def service_words(self) -> dict[str, str]:
        """Accepted spelling, lower-cased → service."""
        return dict(_spellings(self.services, self.service_aliases))

    def region_words(self) -> dict[str, str]:
        """Accepted spelling, lower-cased → region_code."""
        return dict(_spellings(self.regions, self.region_aliases))

    def metric_units(self) -> dict[str, str]:
        """Metric → unit, both lower-cased; `count` for a metric without a unit."""
        return {name.strip().lower(): (metric.unit or "count").strip().lower() for name, metric in self.metrics.items()}

    def metric_limits(self) -> dict[str, Decimal]:
        """Metric with a limit, lower-cased → the largest value of one event, in the metric's unit."""
        return {name.strip().lower(): metric.max for name, metric in self.metrics.items() if metric.max is not None}
