"""The configuration: YAML files in `conf/`, all validated before anything runs.

All problems are reported together, each with its file, its key and what is allowed. Secrets are not part of the
configuration: the code that needs a secret reads it from the environment.
"""

from __future__ import annotations

import hashlib
import json
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloud_analytics.config.anomalies import AnomalySettings
from cloud_analytics.config.budgets import Budgets
from cloud_analytics.config.focus import FocusSettings
from cloud_analytics.config.pipeline import PipelineSettings
from cloud_analytics.config.rules import EVENTS, Rule, RuleBook, inconsistencies
from cloud_analytics.config.section import Section, read_yaml, validated
from cloud_analytics.config.sources import MASTERS, SourceContract, Sources
from cloud_analytics.config.spark import SparkSettings
from cloud_analytics.config.taxonomy import Taxonomy
from cloud_analytics.errors import ConfigError
from cloud_analytics.trust import expect_trusted

if TYPE_CHECKING:
    from importlib.abc import Traversable  # importlib.resources.abc since Python 3.11; this module loses it in 3.14

__all__ = ["EVENTS", "MASTERS", "Config", "SourceContract", "SparkSettings", "default_conf_dir", "load"]


class Config(Section):
    """The whole configuration: each field comes from the YAML file of its name."""

    pipeline: PipelineSettings
    taxonomy: Taxonomy
    anomalies: AnomalySettings
    sources: Sources
    rules: RuleBook
    focus: FocusSettings
    budgets: Budgets = Budgets()

    def rules_of(self, source: str) -> list[Rule]:
        """Every rule of a source in the order of precedence."""
        contract = self.sources.get(source)
        return self.rules.of(source, list(contract.vocabularies) if contract else [])

    def with_files_per_trigger(self, files: int) -> Config:
        """A copy in which a micro-batch takes at most `files` files."""
        stream = self.pipeline.stream.model_copy(update={"max_files_per_trigger": files})
        return self.model_copy(update={"pipeline": self.pipeline.model_copy(update={"stream": stream})})

    def fingerprint(self) -> str:
        """Hash of the settings on which the rows of Silver and Gold depend.

        It leaves out conf/pipeline.yaml except `fx`, the messages of rules, and the sections `focus` and `budgets`.
        """
        decisive = self.model_dump(mode="json", exclude={"focus", "budgets"})
        decisive["pipeline"] = {"fx": decisive["pipeline"]["fx"]}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def default_conf_dir() -> Path | Traversable:
    """`CLOUD_ANALYTICS_CONF`, else `./conf`, else the configuration that ships with the package.

    Raises UsageError if `./conf`, or a link to it, belongs to another user: settings can name code that Spark runs.
    """
    if "CLOUD_ANALYTICS_CONF" in os.environ:
        return Path(os.environ["CLOUD_ANALYTICS_CONF"])
    here = Path("conf")
    if os.path.lexists(here):  # also if it is empty, or a link to nowhere: its mount may be away
        # Links and the current folder are checked too: their owners could replace the files after this check.
        for path in (Path(), here, *here.glob("*.yaml")):
            expect_trusted(path, f"and settings can make Spark run code: start elsewhere, or give --conf {here}")
        return here
    packaged = files("cloud_analytics") / "conf"  # this also works inside a wheel that is not unpacked
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3] / "conf"


def load(conf_dir: Path | None = None) -> Config:
    """Read and validate every file of `conf_dir`. Raises ConfigError, which lists all problems."""
    folder = conf_dir or default_conf_dir()
    if not folder.is_dir():
        raise ConfigError([f"the folder {folder} cannot be read: give the one that holds pipeline.yaml with --conf"])
    problems: list[str] = []
    parts: dict[str, Any] = {}
    for name, field in Config.model_fields.items():
        raw = read_yaml(folder / f"{name}.yaml", problems)
        if raw is not None:
            parts[name] = validated(field.rebuild_annotation(), raw, f"{name}.yaml", problems)
            if name == "rules":
                problems += [f"rules.yaml: {problem}" for problem in inconsistencies(raw, MASTERS)]
    focus, taxonomy, sources, budgets = (parts.get(name) for name in ("focus", "taxonomy", "sources", "budgets"))
    if focus and taxonomy:
        problems += [f"focus.yaml: {problem}" for problem in focus.unknown_words(taxonomy)]
    if budgets and sources:
        tiers = sources["customers_orgs"].vocabularies.get("plan_tier", [])
        problems += [
            f"budgets.yaml: plan_tiers.{tier}: expected one of {', '.join(tiers)}"
            for tier in budgets.plan_tiers
            if tier not in tiers
        ]
    if problems:
        raise ConfigError(problems)
    return Config(**parts)
