"""Validates quarantined records again, because a rule or an alias changed, or an event's future date is now past.

`reconcile` does the work. It validates events that were rejected as `future_timestamp` by the time of the replay. This
module compares the quarantine before and after: each record is now in Silver, or is still rejected.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cloud_analytics.pipeline import Outcome, Pipeline
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.reading.quarantine import Selection, in_reach_of_rules, records

# (source, file, hash of the text) → (number of rejected records, error_type; copies of a text may have different ones)
_Rejected = dict[tuple[str, str, str], tuple[int, str]]


@dataclass(frozen=True)
class Verdict:
    """The records of one source and error_type.

    `quarantined`: how many were in quarantine. `passed`: how many of these are in Silver now. `rejected_now`: how many
    have this error_type now, but were in Silver before or are new.
    """

    source: str
    error_type: str
    quarantined: int
    passed: int
    rejected_now: int

    @property
    def replayable(self) -> bool:
        """Whether a change of a rule or an alias can let such records pass."""
        return in_reach_of_rules(self.source, self.error_type)


@dataclass(frozen=True)
class Replay:
    """The result of a replay, with a verdict for each (source, error_type) that is or was in quarantine."""

    outcome: Outcome
    verdicts: list[Verdict]

    @property
    def passed(self) -> int:
        """The number of records that were in quarantine and are in Silver now."""
        return sum(verdict.passed for verdict in self.verdicts)

    def as_json(self) -> dict[str, object]:
        """The JSON value that `quarantine replay --format json` prints before the audit."""
        return {
            "changed": self.outcome.changed,
            "passed": self.passed,
            "verdicts": [{**vars(verdict), "replayable": verdict.replayable} for verdict in self.verdicts],
            "silver_dates": self.outcome.silver_dates,
            "gold": self.outcome.gold,
        }


def replay(pipeline: Pipeline) -> Replay:
    """Reconcile, and compare the quarantine before and after. Changes nothing if no verdict can differ."""
    with pipeline.lake.writer():
        pass  # finishes the commit of a killed command before anything is counted
    lake = LakeReader(pipeline.lake.files)
    before = _rejected(lake)
    outcome = pipeline.reconcile(replay=True)
    return Replay(outcome, _compared(before, _rejected(lake)))


def _rejected(lake: LakeReader) -> _Rejected:
    chosen, parameters = records(Selection())
    found = lake.rows(
        "SELECT source, source_file, sha256(coalesce(raw_bytes, encode(raw))) AS text, count(*) AS records,"
        f" min(error_type) AS error_type FROM ({chosen}) GROUP BY source, source_file, text",
        parameters,
    )
    return {(row["source"], row["source_file"], row["text"]): (row["records"], row["error_type"]) for row in found}


def _compared(before: _Rejected, now: _Rejected) -> list[Verdict]:
    quarantined, passed, rejected_now = (Counter[tuple[str, str]]() for _ in range(3))
    for text in before.keys() | now.keys():
        (was, was_type), (still, type_now) = before.get(text, (0, "")), now.get(text, (0, ""))
        if was:
            quarantined[text[0], was_type] += was
            passed[text[0], was_type] += max(was - still, 0)
        if still > was:
            rejected_now[text[0], type_now] += still - was
    return [
        Verdict(*group, quarantined[group], passed[group], rejected_now[group])
        for group in sorted(quarantined.keys() | rejected_now.keys())
    ]
