"""What one check found, and the table of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Verdict(str, Enum):
    """`NOT_CHECKED`: what would show it is not there; it is neither a success nor a failure.

    The last two are those of figures to distrust (F1 to F4), which are no failure either.
    """

    HOLDS = "holds"
    FALSE = "false"
    NOT_CHECKED = "not_checked"
    INFORMATIVE = "informative"
    NOT_INFORMATIVE = "not_informative"


@dataclass(frozen=True)
class Check:
    """An assumption, milestone or figure: verdict, evidence in words and figures, what follows where it fails."""

    id: str
    statement: str
    verdict: Verdict
    evidence: str
    figures: dict[str, Any]
    consequence: str


@dataclass(frozen=True)
class Validation:
    """The traceability table."""

    checks: list[Check]

    @property
    def false(self) -> list[str]:
        """The ids of the checks that are false."""
        return [check.id for check in self.checks if check.verdict is Verdict.FALSE]


def verdict(holds: bool) -> Verdict:
    """HOLDS or FALSE."""
    return Verdict.HOLDS if holds else Verdict.FALSE
