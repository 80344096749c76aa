"""What was planted, and what the pipeline should make of it: `_truth.json`, which the pipeline itself never reads."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from cloud_analytics.generate import catalog as c
from cloud_analytics.generate.anomalies import PATTERNS, Label
from cloud_analytics.generate.masters import Resource
from cloud_analytics.generate.settings import GeneratorSettings

TRUTH_FILE = "_truth.json"
SILVER = "silver"
IGNORED = "ignored"
"""Outcome of input that is no landing line at all: blank lines, files the pipeline passes over."""


class TruthBook:
    """Counts while the landing is written. Labelled event_ids go to temporary files: memory does not grow with them.

    Use it as a context manager; `write` makes the file.
    """

    def __init__(self, settings: GeneratorSettings) -> None:
        self.settings = settings
        self.landing: Counter[str] = Counter({source: 0 for source in (*c.MASTERS, c.EVENTS)})
        self.quarantine: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.planted: Counter[str] = Counter()
        self.anomalies: Counter[str] = Counter()
        self._dirt: dict[str, dict[str, object]] = {}
        self._labels: list[Label] = []
        self._spikes: IO[str] = TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - __exit__ closes it
        self._labelled: IO[str] = TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115

    def __enter__(self) -> TruthBook:
        """Return the book itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Drop the temporary files."""
        self._spikes.close()
        self._labelled.close()

    def ordinary(self, count: int, rejected: int) -> None:
        """`count` ordinary events were written, `rejected` of them with a negative cost."""
        self.landing[c.EVENTS] += count
        self._reject(c.EVENTS, "negative_cost", rejected)

    def plant(self, what: str, count: int = 1) -> None:
        """Count a peculiarity of ordinary events or masters."""
        self.planted[what] += count

    def row(self, source: str, outcome: str = SILVER, count: int = 1) -> None:
        """Count landing lines of a source; the outcome is SILVER or their error_type."""
        self.landing[source] += count
        if outcome != SILVER:
            self._reject(source, outcome, count)

    def dirt(self, source: str, kind: str, outcome: str, count: int = 1) -> None:
        """Count planted dirt: as landing lines (unless IGNORED), and by its kind."""
        if outcome != IGNORED:
            self.row(source, outcome, count)
        entry = self._dirt.setdefault(f"{source}.{kind}", {"outcomes": {}})
        outcomes = entry["outcomes"]
        assert isinstance(outcomes, dict)
        outcomes[outcome] = outcomes.get(outcome, 0) + count

    def label(self, labels: list[Label]) -> None:
        """Take over the labels of the anomaly plan."""
        self._labels = labels
        for label in labels:
            (self.planted if label.kind in PATTERNS else self.anomalies)[label.kind] += 1

    def labelled(self, label: int, event_id: str) -> None:
        """An event that shows the label with that index."""
        self._labelled.write(f"{label}\t{event_id}\n")

    def spike(self, event_id: str, resource: Resource, metric: str, day: str, factor: float) -> None:
        """An event with a price spike; factor = its unit price / the list price."""
        self.anomalies["price_spike"] += 1
        entry = _entry("price_spike", resource.org_id, resource.service, (day, day), factor, resource.resource_id)
        self._spikes.write(json.dumps(entry | {"metric": metric, "event_ids": [event_id]}) + "\n")

    def silver(self) -> dict[str, int]:
        """Rows that should reach Silver, by source."""
        return {source: lines - sum(self.quarantine[source].values()) for source, lines in self.landing.items()}

    def rejects(self) -> dict[str, dict[str, int]]:
        """Rows that should be quarantined, by source and error_type."""
        return {source: dict(sorted(self.quarantine[source].items())) for source in self.landing}

    def write(self, path: Path) -> None:
        """Write the truth: settings, expected audit figures, what was planted, and every labelled anomaly."""
        silver, rejects = self.silver(), self.rejects()
        head = {
            "settings": self.settings.as_dict(),
            "expected": {
                source: {"landing": lines, "silver": silver[source], "quarantine": rejects[source]}
                for source, lines in self.landing.items()
            },
            "planted": dict(sorted(self.planted.items())),
            "dirt": dict(sorted(self._dirt.items())),
            "anomaly_counts": dict(sorted(self.anomalies.items())),
        }
        with path.open("w", encoding="utf-8", newline="\n") as out:
            out.write(json.dumps(head, indent=1).removesuffix("\n}") + ',\n "anomalies": [')
            separator = "\n"
            self._spikes.seek(0)
            for line in self._spikes:
                out.write(f"{separator}  {line.rstrip()}")
                separator = ",\n"
            patterns = [label.kind in PATTERNS for label in self._labels]
            self._write_labels(out, separator, [index for index, is_pattern in enumerate(patterns) if not is_pattern])
            out.write('\n ],\n "patterns": [')
            self._write_labels(out, "\n", [index for index, is_pattern in enumerate(patterns) if is_pattern])
            out.write("\n ]\n}\n")

    def _write_labels(self, out: IO[str], separator: str, chosen: list[int]) -> None:
        for index in chosen:
            label = self._labels[index]
            dates = (label.dates[0].isoformat(), label.dates[1].isoformat())
            entry = _entry(label.kind, label.org_id, label.service, dates, label.factor, label.resource_id)
            out.write(f'{separator}  {json.dumps(entry)[:-1]}, "event_ids": [')
            self._write_event_ids(out, index)
            out.write("]}")
            separator = ",\n"

    def _write_event_ids(self, out: IO[str], label: int) -> None:
        wanted, separator = f"{label}\t", ""
        self._labelled.seek(0)
        for line in self._labelled:
            if line.startswith(wanted):
                out.write(f'{separator}"{line[len(wanted) : -1]}"')
                separator = ", "

    def _reject(self, source: str, error_type: str, count: int) -> None:
        if count:
            self.quarantine[source][error_type] += count


def _entry(
    kind: str, org_id: str, service: str, dates: tuple[str, str], factor: float | None, resource_id: str | None
) -> dict[str, object]:
    """One labelled anomaly, as the truth writes it."""
    return {
        "kind": kind,
        "org_id": org_id,
        "service": service,
        "resource_id": resource_id,
        "dates": list(dates),
        "factor": factor,
    }
