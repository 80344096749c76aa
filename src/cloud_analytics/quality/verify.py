"""Checks, before anything is read, that Spark can evaluate the rules and that the masters have Silver's columns."""

from __future__ import annotations

from cloud_analytics.config import EVENTS, MASTERS, Config
from cloud_analytics.errors import ConfigError
from cloud_analytics.lake.built import judged_by
from cloud_analytics.lake.lake import Lake, empty_frame
from cloud_analytics.quality import conditions, events, masters
from cloud_analytics.tables.zones import SILVER_MASTERS

_OURS = ("warnings", "ingest_ts", "source_file")  # columns of Silver that no header has
_verified: set[str] = set()  # fingerprints of configurations that this process has verified


def verify_rules(lake: Lake, config: Config) -> None:
    """Parse and analyse each condition; no job runs. ConfigError lists every problem with its file and key.

    Nothing is done for a configuration that has judged the lake before.
    """
    if config.fingerprint() in _verified | {judged_by(lake)}:
        return
    lacking = [
        f"sources.yaml: {source}.required: lacks {name}"
        for source in MASTERS
        for name in SILVER_MASTERS[source].schema.names
        if name not in (*config.sources[source].required, *_OURS)
    ]
    if lacking:
        raise ConfigError(lacking)
    schemas = {EVENTS: events.NORMALISED, **{source: masters.normalised_schema(source, config) for source in MASTERS}}
    problems: dict[str, str] = {}
    for source, schema in schemas.items():
        for key, problem in conditions.problems(empty_frame(lake.spark, schema), config, source).items():
            problems.setdefault(key, problem)  # a rule that all masters share is wrong once
    if problems:
        raise ConfigError([f"rules.yaml: {key}: {problem}" for key, problem in problems.items()])
    _verified.add(config.fingerprint())
