"""Whether the rules mean something to Spark and the masters have Silver's columns; asked before anything is read."""

from __future__ import annotations

from cloud_analytics.config import EVENTS, MASTERS, Config
from cloud_analytics.errors import ConfigError
from cloud_analytics.lake.built import judged_by
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.schemas import SILVER_MASTERS, nothing
from cloud_analytics.quality import conditions, events
from cloud_analytics.silver import masters

_OURS = ("warnings", "ingest_ts", "source_file")  # columns of Silver that no header brings
_verified: set[str] = set()  # fingerprints: a process that opens many pipelines looks once


def verify_rules(lake: Lake, config: Config) -> None:
    """Parse and analyse each condition; no job runs. ConfigError lists every problem with its file and key.

    A lake whose Silver was judged by the same rules has answered already.
    """
    if config.fingerprint() in _verified | {judged_by(lake)}:
        return
    lacking = [
        f"sources.yaml: {source}.required: lacks {name}"
        for source in MASTERS
        for name in SILVER_MASTERS[source].names
        if name not in (*config.sources[source].required, *_OURS)
    ]
    if lacking:
        raise ConfigError(lacking)
    schemas = {EVENTS: events.NORMALISED, **{source: masters.normalised(source, config) for source in MASTERS}}
    problems: dict[str, str] = {}
    for source, schema in schemas.items():
        for key, problem in conditions.problems(nothing(lake.spark, schema), config, source).items():
            problems.setdefault(key, problem)  # a rule that all masters share is wrong once
    if problems:
        raise ConfigError([f"rules.yaml: {key}: {problem}" for key, problem in problems.items()])
    _verified.add(config.fingerprint())
