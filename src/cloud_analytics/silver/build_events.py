"""Builds silver/usage_events: rebuilds some dates, and only adds the rows of new micro-batches to other dates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame, Observation, Row
from pyspark.sql import functions as F

from cloud_analytics.anomaly import events as scores
from cloud_analytics.bronze import ledger
from cloud_analytics.config import EVENTS, Config
from cloud_analytics.lake import periods
from cloud_analytics.lake.built import NEVER_BUILT, TABLES
from cloud_analytics.lake.lake import LONG_LINES, Lake, Transaction, lies_below, partition_folder, partition_values
from cloud_analytics.lake.rows import Changes, collected, computed_once, is_little, row_changes
from cloud_analytics.landing.text import trimmed
from cloud_analytics.quality import metrics, quarantine
from cloud_analytics.quality.events import BRONZE_ERRORS, judged
from cloud_analytics.silver import state as silver_state
from cloud_analytics.silver import usage_events
from cloud_analytics.silver.state import Baselines, Inputs, SilverDate, SilverEvents
from cloud_analytics.tables.zones import (
    BRONZE_EVENTS,
    COST_BASELINES,
    QUARANTINED_EVENTS,
    SILVER_EVENTS,
    SILVER_MASTERS,
)

_JOINED = ("customers_orgs", "resources", "users")
_BASELINE_COLUMNS = ["org_id", "service", "metric", "cost_usd", "value"]
_BROADCAST_IDS = 500_000  # more than a micro-batch brings; a join with more ids is a shuffle, not a broadcast


@dataclass(frozen=True)
class _Work:
    """What a build does to which dates.

    `anew`: dates that are rebuilt from all their rows in Bronze; a date may have no rows any more. `added`: date → the
    micro-batches whose rows are added to it. `staying`: the other dates of Silver, which do not change.
    """

    anew: tuple[str, ...]
    added: dict[str, tuple[str, ...]]
    staying: tuple[str, ...]

    @property
    def dates(self) -> list[str]:
        """The dates that change."""
        return sorted({*self.anew, *self.added})

    @property
    def before(self) -> list[str]:
        """The dates whose present rows in Silver stay."""
        return sorted({*self.staying, *self.added})

    @property
    def folders(self) -> list[str]:
        """The partitions of Bronze that hold the rows to build or to add."""
        batches = [f"date={date}/batch_id={batch}" for date, found in self.added.items() for batch in found]
        return [*_folders(self.anew), *batches]

    def with_anew(self, dates: Collection[str]) -> _Work:
        """A copy that rebuilds these dates instead of adding rows to them."""
        added = {date: batches for date, batches in self.added.items() if date not in dates}
        return replace(self, anew=tuple(sorted({*self.anew, *dates})), added=added)


def build_events(lake: Lake, config: Config, whole_history: bool, changes: Changes | None = None) -> list[str]:
    """Update the dates of usage_events whose Bronze rows, masters or rules changed; return the updated dates.

    `whole_history` (the batch layer): a settling, as the first build always is. If anything changed, every date is
    rebuilt, so that copies of an event are found across dates and scores see all events. Only dates of closed months
    that have not changed since the last settling stay, with their scores (`_resting`). Otherwise (the speed layer),
    only changed dates are touched and scored with the stored baselines. The rows of new micro-batches are added; a date
    is rebuilt only if adding rows is not enough. `changes` collects the changed rows, which takes one more job.
    """
    state = lake.load(silver_state.DOCUMENT)
    bronze = lake.load(ledger.DATES)
    inputs = _inputs(lake, config, bronze)
    known = {date: entry.inputs for date, entry in state.dates.items()}
    settling = whole_history or state.baselines is None
    if settling:
        if state.settled == inputs and state.baselines is not None:
            return []
        stale = {*inputs, *known} - _resting(lake, inputs, state.settled)
    else:
        stale = {date for date in {*inputs, *known} if inputs.get(date) != known.get(date)}
    if not stale:
        if settling and state.settled != inputs:  # the only unsettled dates no longer exist
            with lake.transaction() as transaction:
                transaction.store(silver_state.DOCUMENT, replace(state, settled=inputs))
        return []
    added = {
        date: entry.added
        for date, entry in bronze.items()
        if date in stale and not settling and entry.since is not None
        if known.get(date) == replace(inputs[date], bronze=entry.since)
    }
    work = _Work(tuple(sorted(stale - added.keys())), added, tuple(sorted(known.keys() - stale)))
    with lake.transaction() as transaction:
        work, events, baselines = _Build(lake, transaction, config, state, changes, settling).build(work)
        number = transaction.number
        dates = {date: state.dates[date] for date in work.staying}
        for date in stale & inputs.keys():
            dates[date] = SilverDate(inputs[date], number, base=number)
            if date in work.added:
                before = state.dates[date]
                dates[date] = SilverDate(inputs[date], number, before.base, (*before.parts, number))
        settled: Mapping[str, Inputs] = inputs
        if work.before and not settling:  # if every date was rebuilt, nothing is left to settle
            settled = {date: found for date, found in state.settled.items() if date not in stale}
            # A date that no longer exists is unsettled, too: other dates may hold copies of its events.
            settled |= {date: known[date] for date in stale - inputs.keys()}
        transaction.store(silver_state.DOCUMENT, SilverEvents(dates, settled, events, baselines))
        transaction.store(ledger.DATES, ledger.without_added(bronze, stale))
    return sorted(stale)


def _inputs(lake: Lake, config: Config, bronze: Mapping[str, ledger.BronzeDate]) -> dict[str, Inputs]:
    """Date of Bronze → the inputs that a build would use now."""
    states = lake.load(TABLES)
    orgs, resources, users = (
        states.get(SILVER_MASTERS[name].path, {}).get("", NEVER_BUILT).content for name in _JOINED
    )
    rules = config.fingerprint()
    return {date: Inputs(entry.version, orgs, resources, users, rules) for date, entry in bronze.items()}


def _resting(lake: Lake, inputs: Mapping[str, Inputs], settled: Mapping[str, Inputs]) -> set[str]:
    """The dates of closed months that a settling does not rebuild.

    Their inputs have not changed since the last settling. None of their events has a copy on a date that is rebuilt.
    For each of their rejected copies, the surviving event is still on one of these dates.
    """
    closed = lake.load(periods.DOCUMENT).months
    resting = {date for date, found in inputs.items() if date[:7] in closed and settled.get(date) == found}

    def ids(dates: Iterable[str]) -> DataFrame:
        return lake.rows(BRONZE_EVENTS, _folders(dates)).select("date", trimmed(F.col("event_id")).alias("event_id"))

    def copies(dates: Iterable[str]) -> DataFrame:
        rejects = lake.rows(QUARANTINED_EVENTS, _folders(dates)).where(F.col("error_type").isin(*usage_events.COPIES))
        return rejects.select("date", trimmed(F.get_json_object("raw", "$.event_id")).alias("event_id"))

    while resting:
        shared = ids(resting).join(ids(inputs.keys() - resting), "event_id", "left_semi")
        orphaned = copies(resting).join(lake.rows(SILVER_EVENTS, _folders(resting)), "event_id", "left_anti")
        found = {str(row.date) for row in shared.unionByName(orphaned).select("date").distinct().collect()}
        if not found:
            break
        resting -= found  # the events of the removed dates may have copies on further dates
    return resting


@dataclass(frozen=True)
class _Standing:
    """The events in Silver, on the dates to which rows are added, whose ids also occur in the new rows.

    `ids`: number of their ids. `displaced`: dates on which a new copy replaces such an event, or may replace it.
    `files`: date and source file of the lines of these events.
    """

    events: DataFrame
    ids: int
    displaced: list[str]
    files: list[tuple[str, str]]


@dataclass(frozen=True)
class _Build:
    """One build of usage_events, as a part of a transaction."""

    lake: Lake
    transaction: Transaction
    config: Config
    state: SilverEvents
    changes: Changes | None
    settling: bool

    def build(self, work: _Work) -> tuple[_Work, int, Baselines]:
        """Do the work; return the work that was done in the end, the number of events, and the state of the baselines.

        If a new copy may replace an event in Silver, its date is rebuilt instead, and the build starts again.
        """
        with ExitStack() as held:
            bronze = self.lake.rows(BRONZE_EVENTS, work.folders)
            # The text of an accepted line is needed only if its event has copies, so it is not cached.
            text_of_rejects = F.when(F.size("errors") > 0, F.col("raw"))
            little = is_little([bronze]) and not self.lake.load(LONG_LINES)  # files of such lines may be small: packed
            records = computed_once(held, judged(bronze, self.config).withColumn("raw", text_of_rejects), little)
            counts = usage_events.record_counts(records).first()
            assert counts is not None  # an aggregate without groups has one row
            standing = self._standing(held, work, records, counts["ids"], little)
            if standing is None or not standing.displaced:
                return work, *self._write(held, work, bronze, records, counts, standing, little)
        return self.build(work.with_anew(standing.displaced))

    def _standing(self, held: ExitStack, work: _Work, records: DataFrame, ids: int, little: bool) -> _Standing | None:
        """The events in Silver, on the dates to which rows are added, that the new rows repeat; None without any."""
        if not work.added or not ids:
            return None
        came = usage_events.smallest_files(records)
        if ids <= _BROADCAST_IDS:
            came = F.broadcast(came)
        events = computed_once(held, usage_events.standing_copies(came, self._silver(work.added)), little)
        row = events.agg(
            F.count_distinct("event_id").alias("ids"),
            F.collect_set(F.struct(F.col("date").cast("string").alias("date"), "source_file")).alias("files"),
            F.collect_set(F.when(F.col("displaced"), F.col("date").cast("string"))).alias("displaced"),
        ).first()
        assert row is not None  # an aggregate without groups has one row
        return _Standing(events, row["ids"], row["displaced"], row["files"]) if row["ids"] else None

    def _write(
        self,
        held: ExitStack,
        work: _Work,
        bronze: DataFrame,
        records: DataFrame,
        counts: Row,
        standing: _Standing | None,
        little: bool,
    ) -> tuple[int, Baselines]:
        """Write events, rejects, baselines and metrics; return the number of events and the state of the baselines."""
        copies = None
        if standing is not None:
            lines = bronze.unionByName(self._lines_of(standing))
            copies = usage_events.lines_of_copies(records, lines, standing.events)
        elif counts["copies"]:
            copies = usage_events.lines_of_copies(records, bronze)
        if copies is not None:
            copies = computed_once(held, judged(copies, self.config), little)
        survivors, rejects = usage_events.split_copies(records, copies)
        if standing is not None:  # the standing events were compared with the new copies, but are already in the lake
            came = F.col("batch_id").isin([batch for batches in work.added.values() for batch in batches])
            came |= F.col("date").cast("string").isin(list(work.anew))
            survivors, rejects = survivors.where(came), rejects.where(came)
        ids = events = counts["ids"] - (standing.ids if standing is not None else 0)
        if work.before:  # Silver also holds the events of the dates that are not rebuilt
            events += self.state.events - (self._silver(work.anew).count() if work.anew else 0)
        baselines, made = self._baselines(work, survivors, events)
        accepted = self._write_events(work, survivors, baselines, ids, little) if ids or work.anew else {}
        lost = self._write_rejects(work, rejects if copies is not None or counts["rejected"] else None, little)
        verdicts = metrics.verdicts(ids, lost.get("rows", 0), {**accepted, **lost})
        counted = {"dates": work.dates, **verdicts, "joins": metrics.match_rates(accepted)}
        metrics.record(self.transaction, self.config, {EVENTS: counted})
        return events, made

    def _write_events(
        self, work: _Work, survivors: DataFrame, baselines: DataFrame, ids: int, little: bool
    ) -> dict[str, Any]:
        """Join, score and write the surviving events; return the counts of their warnings and matched joins."""
        masters = [self.lake.rows(SILVER_MASTERS[name]) for name in _JOINED]
        scored = scores.score(usage_events.with_masters(survivors, *masters), baselines, self.config.anomalies.events)
        accepted = Observation()
        counts = metrics.rule_counts(self.config, EVENTS, "warnings")
        observed = SILVER_EVENTS.select(scored.observe(accepted, *counts, *metrics.join_counts()))
        partitions = len(work.dates) * len(self.config.taxonomy.services)
        rows = self.lake.gathered(observed, SILVER_EVENTS.folders, partitions, little)
        going = lies_below(_folders(work.anew)) if work.anew else None
        staged = self.transaction.replace(SILVER_EVENTS.path, rows, SILVER_EVENTS.folders, going)
        if self.changes is not None and staged is not None:
            now = self.lake.read(staged, SILVER_EVENTS.schema)
            self.changes[SILVER_EVENTS.path] = row_changes(self._silver(work.anew), now, ["event_id", "date"])
        # If Spark knows that there are no rows, it drops the observation from its plan, and `get` would never return.
        return accepted.get if ids else {}

    def _write_rejects(self, work: _Work, rejects: DataFrame | None, little: bool) -> dict[str, Any]:
        """Write the rejects, if any; return the counts of their rows and errors. The rejects of Bronze stay."""

        def going(path: str) -> bool:
            values = partition_values(partition_folder(path))
            return values["date"] in work.anew and values["error_type"] not in BRONZE_ERRORS

        refused = Observation()
        rows = None
        if rejects is not None:
            counts = metrics.rule_counts(self.config, EVENTS, "errors")
            observed = rejects.observe(refused, F.count("*").alias("rows"), *counts)
            found = quarantine.rejects(observed, EVENTS, self.config.fingerprint())
            rows = self.lake.gathered(found, [], 1, little)
        table = QUARANTINED_EVENTS
        self.transaction.replace(table.path, rows, table.folders, going if work.anew else None)
        return refused.get if rejects is not None else {}

    def _lines_of(self, standing: _Standing) -> DataFrame:
        """Bronze rows that include the lines of the standing events, and no line of the new micro-batches."""
        batches = {(date, self.lake.load(ledger.FILES)[file].batch_id) for date, file in standing.files}
        folders = {f"date={date}/batch_id={batch}" for date, batch in batches}
        for date in {date for date, _ in batches}:
            listed = self.lake.files.folders(f"{BRONZE_EVENTS.path}/date={date}")
            folders |= {f"date={date}/{name}" for name in listed if name.startswith(f"batch_id={ledger.COMPACTED}")}
        return self.lake.rows(BRONZE_EVENTS, sorted(folders))

    def _baselines(self, work: _Work, survivors: DataFrame, events: int) -> tuple[DataFrame, Baselines]:
        """The baselines for scoring, and their state: the stored baselines, or new ones if these are out of date.

        They are out of date if the rules changed, or if the lake holds twice as many events as when they were made: so
        they cost a constant share of all work. A settling always makes new baselines, since it reads the whole history.
        """
        stored, rules = self.state.baselines, self.config.fingerprint()
        if work.before and not self.settling and stored and stored.rules == rules and events < 2 * stored.events:
            return self.lake.rows(COST_BASELINES), stored
        history = survivors.select(_BASELINE_COLUMNS)
        if work.before:
            history = history.unionByName(self._silver(work.before).select(_BASELINE_COLUMNS))
        fresh = scores.baselines(history, self.config.anomalies.events)
        rows = collected(fresh) if is_little([history]) else fresh.repartition(1)
        staged = self.transaction.replace(COST_BASELINES.path, rows)
        assert staged is not None  # a frame was given
        return self.lake.read(staged, COST_BASELINES.schema), Baselines(rules, events)

    def _silver(self, dates: Iterable[str]) -> DataFrame:
        return self.lake.rows(SILVER_EVENTS, _folders(dates))


def _folders(dates: Iterable[str]) -> list[str]:
    return [f"date={date}" for date in sorted(dates)]
