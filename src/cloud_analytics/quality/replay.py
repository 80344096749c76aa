"""Quarantine judged again, after a rule or an alias changed: no way of its own, `reconcile` does it.

What is added is the comparison: every record that was in quarantine before is either in Silver now, or still rejected.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.pipeline import Outcome, Pipeline
from cloud_analytics.quality import quarantine
from cloud_analytics.quality.quarantine import in_reach_of_rules
from cloud_analytics.quality.selection import Selection

_RECORD = ("source", "source_file", "text")


@dataclass(frozen=True)
class Verdict:
    """Records of one source and error_type: how many were in quarantine, how many of them are in Silver now.

    `rejected_now` are records that Silver held before (or that are new), and that this error_type keeps out now.
    """

    source: str
    error_type: str
    quarantined: int
    passed: int
    rejected_now: int

    @property
    def replayable(self) -> bool:
        """Whether a rule or an alias could let such records pass at all."""
        return in_reach_of_rules(self.source, self.error_type)


@dataclass(frozen=True)
class Replay:
    """What judging again changed; the verdicts name each (source, error_type) that was or is in quarantine."""

    outcome: Outcome
    verdicts: list[Verdict]

    @property
    def passed(self) -> int:
        """Records that were in quarantine, and are in Silver now."""
        return sum(verdict.passed for verdict in self.verdicts)

    def as_json(self) -> dict[str, object]:
        """The shape that `quarantine replay --format json` prints, before the audit."""
        return {
            "changed": self.outcome.changed,
            "passed": self.passed,
            "verdicts": [{**vars(verdict), "replayable": verdict.replayable} for verdict in self.verdicts],
            "silver_dates": self.outcome.silver_dates,
            "gold": self.outcome.gold,
        }


def replay(pipeline: Pipeline) -> Replay:
    """Reconcile, and say what became of the quarantined records; where no rule changed, nothing is done."""
    lake = pipeline.lake
    # Kept aside: reconcile replaces the files that this is read from. (A cached frame would answer for what is read
    # from the same folder later, too.)
    before = _rejected(quarantine.records(lake, Selection()), "was").localCheckpoint()
    outcome = pipeline.reconcile()
    now = _rejected(quarantine.records(lake, Selection()), "is")
    return Replay(outcome, _compared(before, now))


def _rejected(records: DataFrame, when: str) -> DataFrame:
    """One row a text of a file: how many records of it are rejected, and as what (copies of one text may differ)."""
    text = F.sha2(F.coalesce("raw_bytes", F.col("raw").cast("binary")), 256).alias("text")
    return (
        records.select("source", "source_file", text, "error_type")
        .groupBy(*_RECORD)
        .agg(F.count("*").alias(f"{when}_rows"), F.min("error_type").alias(f"{when}_type"))
    )


def _compared(before: DataFrame, now: DataFrame) -> list[Verdict]:
    rows = before.join(now, list(_RECORD), "full")
    was, still = F.coalesce("was_rows", F.lit(0)), F.coalesce("is_rows", F.lit(0))
    left = rows.where("was_rows is not null").groupBy("source", F.col("was_type").alias("error_type"))
    came = rows.where(still > was).groupBy("source", F.col("is_type").alias("error_type"))
    counts = left.agg(F.sum(was).alias("quarantined"), F.sum(F.greatest(was - still, F.lit(0))).alias("passed")).join(
        came.agg(F.sum(still - was).alias("rejected_now")), ["source", "error_type"], "full"
    )
    return [
        Verdict(row.source, row.error_type, row.quarantined or 0, row.passed or 0, row.rejected_now or 0)
        for row in counts.orderBy("source", "error_type").collect()
    ]
