"""Which step follows which: run, stream, reconcile, and the zones one by one. Nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cloud_analytics.bronze import compact
from cloud_analytics.bronze import masters as bronze_masters
from cloud_analytics.bronze.compact import Compaction
from cloud_analytics.bronze.events import EventFeed
from cloud_analytics.bronze.ingest import MicroBatch
from cloud_analytics.config import Config
from cloud_analytics.errors import UsageError
from cloud_analytics.gold import build as gold_build
from cloud_analytics.landing.events import FOLDER
from cloud_analytics.serving import load
from cloud_analytics.serving.target import Target
from cloud_analytics.silver import build as silver_build
from cloud_analytics.storage.files import FileSystem
from cloud_analytics.storage.lake import Lake

Progress = Callable[[str], None]


def _silent(_line: str) -> None:
    return None


@dataclass
class Outcome:
    """What a command did. Empty lists mean that nothing was new."""

    snapshots: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    batches: list[MicroBatch] = field(default_factory=list)
    silver_masters: list[str] = field(default_factory=list)
    silver_dates: list[str] = field(default_factory=list)
    gold: dict[str, int] = field(default_factory=dict)
    compaction: Compaction | None = None
    served: dict[str, int] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether any zone or serving table changed."""
        zones = self.snapshots or self.batches or self.silver_masters or self.silver_dates or self.gold
        return bool(zones or self.compaction or self.served)


@dataclass
class Pipeline:
    """The steps over one lake and one landing folder. Each may be repeated: where nothing is new it does nothing.

    Without a target nothing is served.
    """

    lake: Lake
    landing: str
    config: Config
    say: Progress = _silent
    target: Target | None = None

    def run(self) -> Outcome:
        """Take in what is there, then settle it: the state that one clean run over this landing folder gives."""
        outcome = Outcome()
        with self.lake.writer():
            self._bronze(outcome)
            self._settle(outcome)
            self._serve(outcome)
        return outcome

    def bronze(self) -> Outcome:
        """Landing → Bronze."""
        outcome = Outcome()
        with self.lake.writer():
            self._bronze(outcome)
        return outcome

    def silver(self) -> Outcome:
        """Bronze → Silver, the dates and masters that changed."""
        outcome = Outcome()
        with self.lake.writer():
            self._silver(outcome, whole_history=False)
        return outcome

    def gold(self) -> Outcome:
        """Silver → Gold, what depends on the dates and masters that changed."""
        outcome = Outcome()
        with self.lake.writer():
            outcome.gold = gold_build.build(self.lake, self.config)
        return outcome

    def serve(self) -> Outcome:
        """Gold → the serving tables, what changed since they were loaded."""
        outcome = Outcome()
        with self.lake.writer():
            self._serve(outcome)
        return outcome

    def stream(self, trigger: dict[str, Any]) -> Outcome:
        """The speed layer: each micro-batch goes through Bronze, its dates of Silver, their Gold, and is served."""
        outcome = Outcome()
        with self.lake.writer():
            self._masters(outcome)
            self._onward(outcome)

            def onward(batch: MicroBatch) -> None:
                self._note(outcome, batch)
                self._onward(outcome)

            feed = EventFeed(self.lake, self.landing, self.config, onward)
            if "availableNow" in trigger:
                feed.available()
            else:
                feed.follow(trigger["processingTime"])
        return outcome

    def reconcile(self, compaction: bool = False) -> Outcome:
        """The batch layer: Silver and Gold from the whole of Bronze, whose small files are merged before if asked."""
        outcome = Outcome()
        with self.lake.writer():
            if compaction:
                self.say("bronze: compaction")
                outcome.compaction = compact.compact(self.lake, self.config)
            self._settle(outcome)
        return outcome

    def _bronze(self, outcome: Outcome) -> None:
        self._masters(outcome)
        self.say("bronze: usage events")
        EventFeed(self.lake, self.landing, self.config, lambda batch: self._note(outcome, batch)).available()

    def _masters(self, outcome: Outcome) -> None:
        files = FileSystem(self.lake.spark, self.landing)
        if not files.exists(""):
            raise UsageError(
                f"the landing folder {files.root} does not exist;"
                " give it with --landing, or make data with `cloud-analytics generate --out DIR`"
            )
        if not files.files("") and not self.lake.files.exists("bronze"):
            raise UsageError(
                f"the landing folder {files.root} holds no data;"
                f" put CSV masters and {FOLDER}/*.jsonl there, or run `cloud-analytics generate --out {files.root}`"
            )
        self.say("bronze: masters")
        outcome.snapshots, outcome.missing = bronze_masters.ingest(self.lake, self.landing, self.config)
        for name in outcome.missing:
            self.say(f"warning: no {name}.csv in {files.root}: its table is empty")

    def _note(self, outcome: Outcome, batch: MicroBatch) -> None:
        outcome.batches.append(batch)
        again = f" ({batch.files_again} of them again)" if batch.files_again else ""
        self.say(f"bronze: micro-batch {batch.batch_id}: {batch.files} files{again}, {batch.input_rows:,} lines")
        if batch.late_alert:
            self.say(f"warning: {batch.late_share:.0%} of micro-batch {batch.batch_id} is late; all of it is processed")

    def _silver(self, outcome: Outcome, whole_history: bool) -> None:
        outcome.silver_masters += silver_build.build_masters(self.lake, self.config)
        outcome.silver_dates = sorted(
            {*outcome.silver_dates, *silver_build.build_events(self.lake, self.config, whole_history)}
        )

    def _onward(self, outcome: Outcome) -> None:
        self._silver(outcome, whole_history=False)
        outcome.gold.update(gold_build.build(self.lake, self.config))
        self._serve(outcome)

    def _serve(self, outcome: Outcome) -> None:
        if self.target is not None:
            self.say("serving")
            written = load.serve(self.lake, self.target, self.config.pipeline.serving.patience, self.say)
            outcome.served = {**outcome.served, **{t: outcome.served.get(t, 0) + rows for t, rows in written.items()}}

    def _settle(self, outcome: Outcome) -> None:
        self.say("silver")
        self._silver(outcome, whole_history=True)
        self.say("gold")
        outcome.gold = gold_build.build(self.lake, self.config)
