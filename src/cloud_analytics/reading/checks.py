"""What is checked of a lake: the verdict, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Verdict(str, Enum):
    """The result of a check; only `FALSE` is a failure.

    `NOT_CHECKED`: what the check needs is not there. The last two are those of figures to distrust (F1 to F4).
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
        """The warning beside figures that say nothing; None where they say something, or the data are too few."""
        if self.verdict is not Verdict.NOT_INFORMATIVE:
            return None
        return f"{self.id}, {self.statement}: not so in these data ({self.evidence}). So {self.consequence}."


def verdict(holds: bool) -> Verdict:
    """HOLDS or FALSE."""
    return Verdict.HOLDS if holds else Verdict.FALSE
