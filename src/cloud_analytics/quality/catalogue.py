"""Every rule with what it found on a lake: records in quarantine, and warnings in Silver."""

from __future__ import annotations

from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.config import EVENTS, MASTERS, Config
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.schemas import QUARANTINE, SILVER_EVENTS, SILVER_MASTERS
from cloud_analytics.quality import quarantine


def catalogue(lake: Lake, config: Config) -> list[dict[str, Any]]:
    """Rules by source, in the order of precedence, each with `records`: how many records of the lake break it.

    A record that breaks several counts with each of them. A rule that only warns is counted in Silver: what quarantine
    holds is not asked whether it would have been warned of. One Spark job.
    """
    found = _counts(lake)
    return [
        {
            "source": source,
            "id": rule.id,
            "severity": rule.severity,
            "column": rule.column if rule.severity == "nullify" else None,
            "when": rule.when,
            "check": rule.check,
            "message": rule.message,
            "records": found.get((source, rule.id), 0),
        }
        for source in (EVENTS, *MASTERS)
        for rule in config.rules_of(source)
    ]


def _counts(lake: Lake) -> dict[tuple[str, str], int]:
    counted = []
    for source in (EVENTS, *MASTERS):
        silver = lake.read(f"silver/{source}", SILVER_EVENTS if source == EVENTS else SILVER_MASTERS[source])
        rejects = lake.read(quarantine.table(source), QUARANTINE)
        for frame, verdicts in ((silver, "warnings"), (rejects, "errors")):
            # Counted before the union, as sets of verdicts: of those there are few.
            counted.append(
                frame.where(F.size(verdicts) > 0)
                .groupBy(F.lit(source).alias("source"), F.col(verdicts).alias("ids"))
                .count()
            )
    counts: dict[tuple[str, str], int] = {}
    for row in reduce(DataFrame.unionByName, counted).coalesce(1).collect():
        for name in row.ids:
            counts[row.source, name] = counts.get((row.source, name), 0) + row["count"]
    return counts
