"""The order of the steps of each command: run, stream, reconcile, and each zone alone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from cloud_analytics.bronze import compact, ledger, rejects
from cloud_analytics.bronze import masters as bronze_masters
from cloud_analytics.bronze.compact import Compaction
from cloud_analytics.bronze.events import EventFeed
from cloud_analytics.bronze.ledger import MicroBatch
from cloud_analytics.config import Config
from cloud_analytics.config.sources import EVENTS_FOLDER
from cloud_analytics.days import check_month
from cloud_analytics.engine import marts, masters, periods
from cloud_analytics.engine.lost import expect_whole, expect_whole_bronze, forget_lost, forget_missing
from cloud_analytics.errors import UsageError
from cloud_analytics.lake import built
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.periods import Closing
from cloud_analytics.lake.rows import RowChanges
from cloud_analytics.lake.uris import local_folder
from cloud_analytics.landing.folder import look, tell_passed_over
from cloud_analytics.quality.verify import verify_rules
from cloud_analytics.serving import load
from cloud_analytics.serving.backoff import Deferred
from cloud_analytics.serving.target import Target
from cloud_analytics.silver.build_events import build_events
from cloud_analytics.silver.parts import join_parts
from cloud_analytics.untrusted import printable

logger = logging.getLogger(__name__)


@dataclass
class Outcome:
    """The result of a command. Empty lists mean that nothing was new."""

    snapshots: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    batches: list[MicroBatch] = field(default_factory=list)
    silver_masters: list[str] = field(default_factory=list)
    silver_dates: list[str] = field(default_factory=list)
    gold: dict[str, int] = field(default_factory=dict)
    compaction: Compaction | None = None
    served: dict[str, int] = field(default_factory=dict)
    row_changes: dict[str, RowChanges] = field(default_factory=dict)  # table of Silver → changes, set by `reconcile`

    @property
    def changed(self) -> bool:
        """Whether any zone or serving table changed."""
        zones = self.snapshots or self.batches or self.silver_masters or self.silver_dates or self.gold
        return bool(zones or self.compaction or self.served)

    def add_served(self, written: dict[str, int]) -> None:
        """Add the numbers of loaded rows (table → rows) to `served`."""
        self.served = {**self.served, **{table: self.served.get(table, 0) + rows for table, rows in written.items()}}

    def standing(self, behind_since: float | None) -> str:
        """The state of a stream in one line: ingested lines, late lines, and whether serving is up to date."""
        lines, late = sum(batch.input_rows for batch in self.batches), sum(batch.late_rows for batch in self.batches)
        share = f" ({late / lines:.0%} late)" if lines else ""
        last = f", the last took {self.batches[-1].duration_seconds:.1f} s" if self.batches else ""
        behind = ""
        if behind_since is not None:
            behind = f"; serving is behind since {datetime.fromtimestamp(behind_since, timezone.utc):%H:%M:%S UTC}"
        return f"following: {len(self.batches)} micro-batches, {lines:,} lines{share}{last}{behind}"


@dataclass
class Pipeline:
    """The steps over one lake and one landing folder. Each step may be repeated; it does nothing if nothing is new.

    Without a target nothing is served. The steps raise UsageError if another process writes to the lake.
    """

    lake: Lake
    landing: str
    config: Config
    target: Target | None = None
    _told: set[str] = field(default_factory=set, init=False)  # skipped names of landing that were logged

    def __post_init__(self) -> None:
        verify_rules(self.lake, self.config)

    def run(self) -> Outcome:
        """Ingest the landing folder, then bring the lake to the state that one clean run over the folder would give."""
        outcome = Outcome()
        with self.lake.feeder(), self.lake.writer():
            self._bronze(outcome)
            self._settle(outcome)
            self._serve(outcome)
        return outcome

    def bronze(self) -> Outcome:
        """Landing → Bronze: ingest new and changed files."""
        outcome = Outcome()
        with self.lake.feeder(), self.lake.writer():
            self._bronze(outcome)
        return outcome

    def silver(self) -> Outcome:
        """Bronze → Silver: rebuild the dates and masters that changed."""
        outcome = Outcome()
        with self.lake.writer():
            expect_whole(self.lake, lambda table: not table.startswith("gold/"))
            self._silver(outcome, whole_history=False)
        return outcome

    def gold(self) -> Outcome:
        """Silver → Gold: rebuild the partitions that depend on changed dates and masters."""
        outcome = Outcome()
        with self.lake.writer():
            expect_whole(self.lake)
            outcome.gold = marts.build(self.lake, self.config)
        return outcome

    def serve(self) -> Outcome:
        """Gold → the serving tables: load the partitions that changed since their last load."""
        outcome = Outcome()
        with self.lake.writer():
            self._serve(outcome)
        return outcome

    def stream(self) -> Outcome:
        """The speed layer: each micro-batch goes to Bronze, to its dates of Silver, to their Gold, and is served."""
        outcome = Outcome()

        def onward(batch: MicroBatch) -> None:
            self._note(outcome, batch)
            self._onward(outcome)
            self._serve(outcome)

        with self.lake.feeder(), self.lake.writer():
            self._begin(outcome)
            self._feed(onward).available()
            self._serve(outcome)  # also if no file was new
        return outcome

    def follow(self, interval: timedelta, stop: threading.Event) -> Outcome:
        """Like `stream`, then go on with new files every `interval` until `stop` is set.

        The stream goes on while the store is away, and loads later. Between the micro-batches other commands may write
        to the lake. Their changes in Gold are served, too.
        """
        outcome = Outcome()
        server = Deferred(lambda: self._load(timedelta(0)))

        def serve() -> None:
            if self.target is not None:
                outcome.add_served(server())
            logger.debug(outcome.standing(server.behind_since))

        def onward(batch: MicroBatch) -> None:
            self._note(outcome, batch)
            # Without this check a stream that began before a rule change would apply the old rules again to all rows.
            if self.lake.load(built.RULES).judged_by not in (None, self.config.fingerprint()):
                raise UsageError(
                    "another command has judged the lake by other rules since this stream began: start it again, and"
                    " it goes on with those of its configuration"
                )
            self._onward(outcome)
            serve()

        with self.lake.feeder():
            with self.lake.writer(by_turns=True):
                self._begin(outcome)
                serve()
            self._feed(onward).follow(interval, stop, serve)
        return outcome

    def reconcile(self, compaction: bool = False, replay: bool = False) -> Outcome:
        """The batch layer: ingest the masters from landing, then build Silver and Gold from the whole of Bronze.

        `compaction`: first merge Bronze's small files. `replay`: validate again, by the present time, the events whose
        dates were too far in the future when they were ingested. The outcome holds the row changes of Silver.
        """
        outcome = Outcome()
        with self.lake.writer():
            self._take_in_masters(outcome)
            if compaction:
                logger.debug("bronze: compaction")
                outcome.compaction = compact.compact(self.lake, self.config)
            if replay:
                rejects.take_in_again(self.lake, self.config)
            self._settle(outcome, compare=True)
        return outcome

    def close(self, month: str) -> Closing:
        """Rebuild what is stale, then close a month, whose figures in Gold never change afterwards.

        UsageError if the text is no month or the month cannot be closed.
        """
        check_month(month)
        with self.lake.writer():
            self._settle(Outcome())
            return periods.close(self.lake, self.config, month)

    def reopen(self, month: str) -> Outcome:
        """Reopen the last closed month and rebuild it: its figures then equal those of a clean run.

        UsageError for any other month.
        """
        check_month(month)
        outcome = Outcome()
        with self.lake.writer():
            reopened = periods.reopen(self.lake, self.config, month)
            self._settle(outcome)
            outcome.gold = {**outcome.gold, **reopened}
        return outcome

    def _begin(self, outcome: Outcome) -> None:
        """Ingest the masters and finish the work that an earlier stream left, before any micro-batch."""
        expect_whole(self.lake)
        self._masters(outcome)
        self._onward(outcome)

    def _bronze(self, outcome: Outcome) -> None:
        self._masters(outcome)
        logger.debug("bronze: usage events")
        self._feed(lambda batch: self._note(outcome, batch)).available()

    def _feed(self, after_batch: Callable[[MicroBatch], None]) -> EventFeed:
        return EventFeed(self.lake, self.landing, self.config, after_batch, self._told)

    def _masters(self, outcome: Outcome) -> None:
        files = self.lake.reach(self.landing)
        if not files.exists(""):
            raise UsageError(
                f"the landing folder {files.root} does not exist;"
                " give it with --landing, or make data with `cloud-analytics generate --out DIR`"
            )
        found = look(files, self.config.pipeline.landing.follow_links)
        tell_passed_over(found, self._told)
        known = ledger.files_if_all_left(self.lake, found)
        if known:
            raise UsageError(
                f"the landing folder {files.root} holds none of the {known:,} files that this lake took in: is it"
                " mounted, and the right one? The lake stays as it is; if all of them were archived, put one back"
            )
        if found.is_empty:
            raise UsageError(
                f"the landing folder {files.root} holds no data; put CSV masters and {EVENTS_FOLDER}/*.jsonl there"
                + (f", or run `cloud-analytics generate --out {files.root}`" if local_folder(files.root) else "")
            )
        self._take_in_masters(outcome)

    def _take_in_masters(self, outcome: Outcome) -> None:
        logger.debug("bronze: masters")
        expect_whole_bronze(self.lake)
        outcome.snapshots, outcome.missing = bronze_masters.ingest(self.lake, self.landing, self.config)

    def _note(self, outcome: Outcome, batch: MicroBatch) -> None:
        outcome.batches.append(batch)
        again = f" ({batch.files_again} of them again)" if batch.files_again else ""
        logger.info(f"micro-batch {batch.batch_id}: {batch.files} files{again}, {batch.input_rows:,} lines")
        for name, reason in batch.unreadable.items():
            logger.warning(f"{printable(name)} is an unreadable_file: {reason}")
        for name, lines in batch.lines_gone.items():
            logger.warning(f"{printable(name)} changed: {lines:,} of its earlier lines left it, and so leave the lake")
        if batch.late_alert:
            share = batch.watermark_would_drop / batch.input_rows
            logger.warning(
                f"a watermark would have dropped {share:.0%} of micro-batch {batch.batch_id}; all of it is processed"
            )

    def _silver(self, outcome: Outcome, whole_history: bool, compare: bool = False) -> None:
        changes = outcome.row_changes if compare else None
        outcome.silver_masters += masters.build(self.lake, self.config, changes)
        dates = build_events(self.lake, self.config, whole_history, changes)
        outcome.silver_dates = sorted({*outcome.silver_dates, *dates})

    def _onward(self, outcome: Outcome) -> None:
        self._silver(outcome, whole_history=False)
        for mart, partitions in marts.build(self.lake, self.config).items():
            outcome.gold[mart] = outcome.gold.get(mart, 0) + partitions
        join_parts(self.lake, self.config)

    def _serve(self, outcome: Outcome) -> None:
        if self.target is not None:
            outcome.add_served(self._load(self.config.pipeline.serving.patience))

    def _load(self, patience: timedelta) -> dict[str, int]:
        assert self.target is not None  # the callers have checked it
        logger.debug("serving")
        return load.serve(self.lake, self.target, patience)

    def _settle(self, outcome: Outcome, compare: bool = False) -> None:
        logger.debug("silver")
        forget_lost(self.lake)
        rejects.judge_again(self.lake, self.config)
        self._silver(outcome, whole_history=True, compare=compare)
        logger.debug("gold")
        outcome.gold = marts.build(self.lake, self.config, settling=True)
        forget_missing(self.lake)
