"""What was planted, and what the pipeline should make of it: `_truth.json`, which the pipeline itself never reads."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cloud_analytics.generate import catalog as c
from cloud_analytics.generate.settings import GeneratorSettings

TRUTH_FILE = "_truth.json"
SILVER = "silver"
IGNORED = "ignored"
"""Outcome of input that is no landing line at all: blank lines, files the pipeline passes over."""


@dataclass
class Label:
    """One planted anomaly or pattern, and the events that show it."""

    kind: str
    org_id: str
    service: str
    resource_id: str | None
    """Null where all resources of the org's service take part."""
    dates: tuple[str, str]
    """First and last, both included."""
    factor: float | None
    """Multiplier of the usage (of the last day for a drift) or of the list price; null where neither changes."""
    metric: str | None = None
    """Only of a price spike."""
    event_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Leak:
    """One invoice that does not follow the usage, and what a reconciliation should say of its month."""

    kind: str
    org_id: str
    month: str
    """`YYYY-MM`."""
    usage_usd: float
    status: str
    """Of billing_reconciliation."""
    currency_suspect: bool


class Truth:
    """Counts and labels, entered while the landing is written. Memory grows with what is labelled, not with events."""

    def __init__(self, settings: GeneratorSettings) -> None:
        self.settings = settings
        self.landing: Counter[str] = Counter({source: 0 for source in (*c.MASTERS, c.EVENTS)})
        """Landing lines (records) by source."""
        self.quarantine: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """Rows that should be quarantined, by source and error_type."""
        self.planted: Counter[str] = Counter()
        """Peculiarities of ordinary events and masters."""
        self.labels: list[Label] = []
        self.leaks: list[Leak] = []
        self._dirt: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def row(self, source: str, outcome: str = SILVER, count: int = 1) -> None:
        """Count landing lines of a source; the outcome is SILVER or their error_type."""
        self.landing[source] += count
        if outcome != SILVER and count:
            self.quarantine[source][outcome] += count

    def dirt(self, source: str, kind: str, outcome: str, count: int = 1) -> None:
        """Count planted dirt: as landing lines (unless IGNORED), and by its kind."""
        if outcome != IGNORED:
            self.row(source, outcome, count)
        self._dirt[f"{source}.{kind}"][outcome] += count

    @property
    def silver(self) -> dict[str, int]:
        """Rows that should reach Silver, by source."""
        return {source: lines - self.quarantine[source].total() for source, lines in self.landing.items()}

    @property
    def anomalies(self) -> Counter[str]:
        """Labelled anomalies by kind."""
        return Counter(label.kind for label in self.labels if label.kind not in c.PATTERNS)

    def write(self, path: Path) -> None:
        """Write the truth: settings, expected audit figures, what was planted, and every label."""
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
