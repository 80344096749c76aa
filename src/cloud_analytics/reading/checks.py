"""The result of a check on a lake: the verdict and the evidence for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Verdict(str, Enum):
    """The result of a check; only `FALSE` is a failure.

    `NOT_CHECKED`: data that the check needs are missing. The last two are the verdicts on figures to distrust (F1-F4).
    """

    HOLDS = "holds"
    FALSE = "false"
    NOT_CHECKED = "not_checked"
    INFORMATIVE = "informative"
    NOT_INFORMATIVE = "not_informative"


@dataclass(frozen=True)
class Check:
    """An assumption, milestone or figure: its verdict, the evidence in words and figures, and what a failure means."""

    id: str
    statement: str
    verdict: Verdict
    evidence: str
    figures: dict[str, Any]
    consequence: str

    @property
    def warning(self) -> str | None:
        """The warning about figures that carry no information; None if they carry some, or if the data are too few."""
        if self.verdict is not Verdict.NOT_INFORMATIVE:
            return None
        return f"{self.id}, {self.statement}: not so in these data ({self.evidence}). So {self.consequence}."


def verdict(holds: bool) -> Verdict:
    """Return HOLDS for true and FALSE for false."""
    return Verdict.HOLDS if holds else Verdict.FALSE
