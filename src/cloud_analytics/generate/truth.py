"""`_truth.json` says what was planted, and what the pipeline should make of it. The pipeline never reads this file."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cloud_analytics.config import EVENTS, MASTERS
from cloud_analytics.generate import catalog as c
from cloud_analytics.generate.settings import GeneratorSettings

TRUTH_FILE = "_truth.json"
SILVER = "silver"
IGNORED = "ignored"
"""The outcome of input that does not count as landing lines: blank lines, and files that the pipeline ignores."""


@dataclass
class Label:
    """One planted anomaly or pattern, and the events that show it."""

    kind: str
    org_id: str
    service: str
    resource_id: str | None  # None where all resources of the org and service take part
    dates: tuple[str, str]  # first and last, both included
    factor: float | None  # of the usage (for a drift: on its last day) or of the list price; None if neither changes
    metric: str | None = None  # of a price spike only
    event_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Leak:
    """A month whose invoice does not match the usage, and the result that the reconciliation should give for it."""

    kind: str
    org_id: str
    month: str  # `YYYY-MM`
    usage_usd: float
    status: str  # the column of billing_reconciliation
    currency_suspect: bool


class Truth:
    """Counts and labels, collected while the landing folder is written. Only labelled events take memory."""

    def __init__(self, settings: GeneratorSettings) -> None:
        self.settings = settings
        # Source → landing lines or records.
        self.landing: Counter[str] = Counter({source: 0 for source in (*MASTERS, EVENTS)})
        # Source → error_type → rows that should be quarantined.
        self.quarantine: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.planted: Counter[str] = Counter()  # kind of oddity in ordinary events and masters → how many
        self.labels: list[Label] = []
        self.leaks: list[Leak] = []
        self._dirt: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def row(self, source: str, outcome: str = SILVER, count: int = 1) -> None:
        """Count landing lines of a source by their outcome: SILVER or an error_type."""
        self.landing[source] += count
        if outcome != SILVER and count:
            self.quarantine[source][outcome] += count

    def dirt(self, source: str, kind: str, outcome: str, count: int = 1) -> None:
        """Count planted dirt by its kind and, unless it is IGNORED, as landing lines."""
        if outcome != IGNORED:
            self.row(source, outcome, count)
        self._dirt[f"{source}.{kind}"][outcome] += count

    @property
    def silver(self) -> dict[str, int]:
        """Source → rows that should reach Silver."""
        return {source: lines - self.quarantine[source].total() for source, lines in self.landing.items()}

    @property
    def anomalies(self) -> Counter[str]:
        """Kind → labelled anomalies, patterns left out."""
        return Counter(label.kind for label in self.labels if label.kind not in c.PATTERNS)

    def write(self, path: Path) -> None:
        """Write the settings, the expected figures of the audit, counts of what was planted, every label and leak."""
        silver = self.silver
        patterns = [label for label in self.labels if label.kind in c.PATTERNS]
        head = {
            "settings": self.settings.as_dict(),
            "expected": {
                source: {
                    "landing": lines,
                    "silver": silver[source],
                    "quarantine": dict(sorted(self.quarantine[source].items())),
                }
                for source, lines in self.landing.items()
            },
            "planted": dict(sorted((self.planted + Counter(label.kind for label in patterns)).items())),
            "dirt": {kind: {"outcomes": outcomes} for kind, outcomes in sorted(self._dirt.items())},
            "anomaly_counts": dict(sorted(self.anomalies.items())),
        }
        lists: dict[str, Sequence[Any]] = {
            "anomalies": [label for label in self.labels if label.kind not in c.PATTERNS],
            "patterns": patterns,
            "leaks": self.leaks,
        }
        with path.open("w", encoding="utf-8", newline="\n") as out:
            out.write(json.dumps(head, indent=1).removesuffix("\n}"))
            for name, entries in lists.items():
                lines = ",".join(f"\n  {json.dumps(asdict(entry))}" for entry in entries)
                out.write(f',\n "{name}": [{lines}\n ]')
            out.write("\n}\n")
