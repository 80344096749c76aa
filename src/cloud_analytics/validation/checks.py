"""What one check found, and the table of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Verdict(str, Enum):
    """`NOT_CHECKED`: what would show it is not there; it is neither a success nor a failure."""

    HOLDS = "holds"
    FALSE = "false"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True)
class Check:
    """An assumption or milestone: verdict, evidence in words and in figures, and what follows where it is false."""

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
