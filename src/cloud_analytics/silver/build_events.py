"""The Silver step of the events: which dates are built anew, which get the rows of micro-batches added, and how."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame, Observation, Row
from pyspark.sql import functions as F

from cloud_analytics.anomaly import events as scores
from cloud_analytics.bronze import ledger
from cloud_analytics.config import EVENTS, Config
from cloud_analytics.lake import built as tables
from cloud_analytics.lake import periods
from cloud_analytics.lake.compare import Changes, row_changes
from cloud_analytics.lake.few_rows import is_little
from cloud_analytics.lake.lake import Lake, Transaction, partition_folder, partition_values
from cloud_analytics.lake.schemas import (
    BRONZE_EVENTS,
    COST_BASELINES,
    QUARANTINE,
    SILVER_EVENTS,
    SILVER_MASTERS,
    conform,
)
from cloud_analytics.landing.text import trimmed
from cloud_analytics.quality import metrics, quarantine
from cloud_analytics.quality.events import BRONZE_ERRORS, judge
from cloud_analytics.silver import usage_events

EVENTS_TABLE = f"silver/{EVENTS}"
BASELINES_TABLE = "silver/cost_baselines"
# `dates`: of each date its `inputs` (versions of what it was built from), the number of the transaction that built it
# anew or joined its files (`base`), those that added rows since (`parts`), and the last that changed rows (`version`).
# `settled`: the inputs of the dates that are as the last settling left them. `events`: how many there are.
# `baselines`: their rules, and of how many events they were made.
EVENTS_STATE = "_state/silver_usage_events"
_JOINED = ("customers_orgs", "resources", "users")
_PARTITIONS = ("date", "service")
_BASELINE_COLUMNS = ["org_id", "service", "metric", "cost_usd", "value"]
_BROADCAST_IDS = 500_000  # more ids than a micro-batch brings are joined by a shuffle


@dataclass(frozen=True)
class _Work:
    """What is to be done to which dates.

    `anew`: built from all that Bronze has of them, which may be nothing any more. `added`: the rows of these
    micro-batches (batch_ids) are added. `staying`: nothing.
    """

    anew: tuple[str, ...]
    added: dict[str, list[str]]
    staying: tuple[str, ...]

    @property
    def dates(self) -> list[str]:
        """The dates that change."""
        return sorted({*self.anew, *self.added})

    @property
    def before(self) -> list[str]:
        """The dates whose rows of Silver stay."""
        return sorted({*self.staying, *self.added})

    @property
    def folders(self) -> list[str]:
        """Where their rows lie in Bronze."""
        batches = [f"date={date}/batch_id={batch}" for date, found in self.added.items() for batch in found]
        return [*(f"date={date}" for date in self.anew), *batches]

    def settling(self, dates: Collection[str]) -> _Work:
        """The same with further dates built anew."""
        added = {date: batches for date, batches in self.added.items() if date not in dates}
        return replace(self, anew=tuple(sorted({*self.anew, *dates})), added=added)


def build_events(lake: Lake, config: Config, whole_history: bool, changes: Changes | None = None) -> list[str]:
    """Bring the dates of usage_events up to date whose Bronze, masters or rules changed; returns them.

    `whole_history` (the batch layer) builds every date anew when anything changed at all, so that copies of an event
    are found across dates and scores see all events; but for dates of closed months that it left as they are now: they
    keep their scores. Otherwise (the speed layer) only the dates that changed are
    touched, and scored with the stored baselines: the rows of new micro-batches are added, and a date is built anew
    only where that cannot settle it. `changes` collects which rows that changed, at the price of one more job.
    """
    bronze: dict[str, int] = lake.state(ledger.DATES, {})
    pending: dict[str, Any] = lake.state(ledger.PENDING, {})
    state: dict[str, Any] = lake.state(EVENTS_STATE, {"dates": {}})
    masters = tables.load(lake)
    judged_with = [*(tables.content(masters, f"silver/{name}") for name in _JOINED), config.fingerprint()]
    inputs = {date: [version, *judged_with] for date, version in bronze.items()}
    built = {date: entry["inputs"] for date, entry in state["dates"].items()}
    settled: dict[str, Any] = state.get("settled", {})
    if whole_history:
        if settled == inputs and "baselines" in state:
            return []
        stale = {*inputs, *built} - _resting(lake, inputs, settled)
    else:
        stale = {date for date in {*inputs, *built} if inputs.get(date) != built.get(date)}
    if not stale:
        return []
    added = {
        date: batches
        for date, (since, batches) in pending.items()
        if date in stale and not whole_history and built.get(date) == [since, *judged_with]
        if "parts" in state["dates"][date]  # none in a lake of before there were any
    }
    work = _Work(tuple(sorted(stale - added.keys())), added, tuple(sorted(built.keys() - stale)))
    with lake.transaction() as transaction:
        work, scored = _Build(lake, transaction, config, changes, whole_history).build(work)
        number = transaction.number
        dates = {date: state["dates"][date] for date in work.staying}
        for date in stale & inputs.keys():
            entry = {"inputs": inputs[date], "version": number, "base": number, "parts": []}
            if date in work.added:
                known = state["dates"][date]
                entry |= {"base": known["base"], "parts": [*known["parts"], number]}
            dates[date] = entry
        # Where every date was built anew, nothing is left to settle.
        kept = {date: found for date, found in settled.items() if date not in stale}
        settled = kept if work.before and not whole_history else inputs
        transaction.put(EVENTS_STATE, {"dates": dates, "settled": settled, **scored})
        transaction.put(ledger.PENDING, {date: entry for date, entry in pending.items() if date not in stale})
    return sorted(stale)


def _resting(lake: Lake, inputs: Mapping[str, Any], settled: Mapping[str, Any]) -> set[str]:
    """The dates of closed months that a settling has to leave as they are.

    Nothing of them has changed since the last one, and no event of theirs may have a copy on a date that is built anew.
    """
    closed = periods.load(lake).months
    resting = {date for date, found in inputs.items() if date[:7] in closed and settled.get(date) == found}

    def ids(dates: Iterable[str]) -> DataFrame:
        bronze = lake.read(ledger.TABLE, BRONZE_EVENTS, [f"date={date}" for date in sorted(dates)])
        return bronze.select("date", trimmed(F.col("event_id")).alias("event_id"))

    while resting and resting != inputs.keys():
        shared = ids(resting).join(ids(inputs.keys() - resting), "event_id", "left_semi")
        found = {str(row.date) for row in shared.select("date").distinct().collect()}
        if not found:
            break
        resting -= found  # and with them what has copies there
    return resting


def join_parts(lake: Lake, config: Config) -> list[str]:
    """Join the small files of the dates to which many micro-batches have added theirs; the rows stay as they are.

    Returns the dates. A file is joined with the smaller ones when these together are half as large: so their sizes
    grow like powers, there are few of them however long the day, and each row is written again a few times only.
    """
    state: dict[str, Any] = lake.state(EVENTS_STATE, {"dates": {}})
    most = config.pipeline.stream.max_parts
    many = sorted(date for date, entry in state["dates"].items() if len(entry.get("parts", ())) >= most)
    if not many:
        return []
    with lake.transaction() as transaction:
        for table, schema, partitions in (
            (EVENTS_TABLE, SILVER_EVENTS, _PARTITIONS),
            (quarantine.table(EVENTS), QUARANTINE, quarantine.PARTITIONS),
        ):
            lengths = {date: lake.lengths(f"{table}/date={date}") for date in many}
            small = {f"date={date}/{path}" for date in many for path in small_files(lengths[date])}
            if small:
                rows = lake.read(table, schema, sorted(small))
                rows = lake.together(rows, partitions, len({partition_folder(path) for path in small}))
                transaction.replace(table, rows, partitions, small.__contains__)
        joined_dates = {
            date: {**state["dates"][date], "base": state["dates"][date]["version"], "parts": []} for date in many
        }
        transaction.put(EVENTS_STATE, {**state, "dates": {**state["dates"], **joined_dates}})
    return many


def small_files(lengths: dict[str, int]) -> list[str]:
    """Of the files of some partitions those to be joined with others of their partition."""
    partitions: dict[str, list[str]] = defaultdict(list)
    for path in sorted(lengths, key=lambda path: lengths[path]):
        partitions[partition_folder(path)].append(path)
    found = []
    for paths in partitions.values():
        joined, together = 1, lengths[paths[0]]
        while joined < len(paths) and lengths[paths[joined]] <= 2 * together:
            together += lengths[paths[joined]]
            joined += 1
        found += paths[:joined] if joined > 1 else []
    return found


@dataclass(frozen=True)
class _Standing:
    """Events of Silver whose ids came again, how many ids these are, and (date, file) of their lines.

    `displaced`: dates on which such an event gives way to a copy that came.
    """

    events: DataFrame
    ids: int
    displaced: list[str]
    files: list[tuple[str, str]]


@dataclass(frozen=True)
class _Build:
    """One build of events, as a part of a transaction."""

    lake: Lake
    transaction: Transaction
    config: Config
    changes: Changes | None
    settling: bool

    def build(self, work: _Work) -> tuple[_Work, dict[str, Any]]:
        """Do it; returns what was done after all, and what EVENTS_STATE is to say of `events` and `baselines`."""
        with ExitStack() as held:
            bronze = self.lake.read(ledger.TABLE, BRONZE_EVENTS, work.folders)
            # Of a line that passes nobody needs the text, unless its event has copies: 300 bytes an event are not held.
            text_of_rejects = F.when(F.size("errors") > 0, F.col("raw"))
            judged = _held(held, judge(bronze, self.config).withColumn("raw", text_of_rejects))
            facts = usage_events.census(judged).first()
            assert facts is not None  # an aggregate without groups has one row
            standing = self._standing(held, work, judged, facts["ids"])
            if standing is None or not standing.displaced:
                return work, self._write(held, work, bronze, judged, facts, standing)
        return self.build(work.settling(standing.displaced))

    def _standing(self, held: ExitStack, work: _Work, judged: DataFrame, ids: int) -> _Standing | None:
        """Copies that stand in Silver already, on the dates to which rows are added; None where there are none."""
        if not work.added or not ids:
            return None
        came = usage_events.smallest_files(judged)
        if ids <= _BROADCAST_IDS:
            came = F.broadcast(came)
        events = _held(held, usage_events.standing_copies(came, self._silver(work.added)))
        row = events.agg(
            F.count_distinct("event_id").alias("ids"),
            F.collect_set(F.struct(F.col("date").cast("string").alias("date"), "source_file")).alias("files"),
            F.collect_set(F.when(F.col("displaced"), F.col("date").cast("string"))).alias("displaced"),
        ).first()
        assert row is not None  # an aggregate without groups has one row
        return _Standing(events, row["ids"], row["displaced"], row["files"]) if row["ids"] else None

    def _write(
        self, held: ExitStack, work: _Work, bronze: DataFrame, judged: DataFrame, facts: Row, standing: _Standing | None
    ) -> dict[str, Any]:
        copies = None
        if standing is not None:
            lines = bronze.unionByName(self._lines_of(standing))
            copies = usage_events.lines_of_copies(judged, lines, standing.events)
        elif facts["copies"]:
            copies = usage_events.lines_of_copies(judged, bronze)
        if copies is not None:
            copies = _held(held, judge(copies, self.config))
        survivors, rejects = usage_events.split_copies(judged, copies)
        if standing is not None:  # their copies and they were judged together; they are in the lake already
            came = F.col("batch_id").isin([batch for batches in work.added.values() for batch in batches])
            came |= F.col("date").cast("string").isin(list(work.anew))
            survivors, rejects = survivors.where(came), rejects.where(came)
        ids = facts["ids"] - (standing.ids if standing is not None else 0)
        events = ids + self._events_before(work)
        baselines, made = self._baselines(work, survivors, events)
        enriched = usage_events.enrich(survivors, *[self._master(name) for name in _JOINED])
        scored = scores.score(enriched, baselines, self.config.anomalies.events)
        accepted, refused = Observation(), Observation()
        kept_counts, lost_counts = {}, {}
        little = is_little([bronze])
        if ids or work.anew:
            warnings = metrics.tally("warnings", metrics.warning(self.config, EVENTS))
            scored = conform(scored.observe(accepted, *warnings, *metrics.matches()), SILVER_EVENTS)
            partitions = len(work.dates) * len(self.config.taxonomy.services)
            rows = self.lake.together(scored, _PARTITIONS, partitions, little)
            staged = self.transaction.replace(EVENTS_TABLE, rows, _PARTITIONS, _on(work.anew))
            if self.changes is not None and staged is not None:
                now = self.lake.read(staged, SILVER_EVENTS)
                self.changes[EVENTS_TABLE] = row_changes(self._silver(work.anew), now, ["event_id", "date"])
            # Spark plans rows that turn out to be none away, and what observes them: then no observation ever comes.
            kept_counts = accepted.get if ids else {}
        broken = None
        if copies is not None or facts["rejected"]:
            errors = metrics.tally("errors", metrics.rejecting(self.config, EVENTS))
            observed = rejects.observe(refused, F.count("*").alias("rows"), *errors)
            found = quarantine.rejects(observed, EVENTS, self.config.fingerprint())
            broken = self.lake.together(found, [], 1, little)
        self.transaction.replace(quarantine.table(EVENTS), broken, quarantine.PARTITIONS, _on(work.anew, BRONZE_ERRORS))
        if broken is not None:
            lost_counts = refused.get
        verdicts = metrics.verdicts(ids, lost_counts.get("rows", 0), {**kept_counts, **lost_counts})
        counted = {"dates": work.dates, **verdicts, "joins": metrics.match_rates(kept_counts)}
        metrics.record(self.transaction, self.config, {EVENTS: counted})
        return {"events": events, "baselines": made}

    def _lines_of(self, standing: _Standing) -> DataFrame:
        """The lines of Bronze among which those of the standing events are, and no line that came."""
        batches = {(date, ledger.entries(self.lake)[file][2]) for date, file in standing.files}
        folders = {f"date={date}/batch_id={batch}" for date, batch in batches}
        for date in {date for date, _ in batches}:
            listed = self.lake.files.folders(f"{ledger.TABLE}/date={date}")
            folders |= {f"date={date}/{name}" for name in listed if name.startswith(f"batch_id={ledger.COMPACTED}")}
        return self.lake.read(ledger.TABLE, BRONZE_EVENTS, sorted(folders))

    def _events_before(self, work: _Work) -> int:
        """How many events Silver holds on the dates that are not built anew."""
        if not work.before:
            return 0
        known = self.lake.state(EVENTS_STATE, {}).get("events")
        if known is None:  # a lake of before they were counted
            return self._silver(work.before).count()
        return int(known) - (self._silver(work.anew).count() if work.anew else 0)

    def _baselines(self, work: _Work, survivors: DataFrame, events: int) -> tuple[DataFrame, dict[str, Any]]:
        """The baselines to score with, and what is to be known of them: the stored ones, made anew where they are old.

        They are old when the lake holds twice the events that they were made of: so they cost a constant share of all
        work. A settling makes them anew of the whole history; where every date is built, that costs no further reading.
        """
        stored = self.lake.state(EVENTS_STATE, {}).get("baselines")
        rules = self.config.fingerprint()
        keeps = work.before and not self.settling
        if keeps and stored is not None and stored["rules"] == rules and events < 2 * stored["events"]:
            return self.lake.read(BASELINES_TABLE, COST_BASELINES), stored
        history = survivors.select(_BASELINE_COLUMNS)
        if work.before:
            history = history.unionByName(self._silver(work.before).select(_BASELINE_COLUMNS))
        fresh = scores.baselines(history, self.config.anomalies.events)
        staged = self.transaction.replace(BASELINES_TABLE, fresh.repartition(1))
        assert staged is not None  # a frame was given
        return self.lake.read(staged, COST_BASELINES), {"rules": rules, "events": events}

    def _silver(self, dates: Iterable[str]) -> DataFrame:
        return self.lake.read(EVENTS_TABLE, SILVER_EVENTS, [f"date={date}" for date in sorted(dates)])

    def _master(self, name: str) -> DataFrame:
        return self.lake.read(f"silver/{name}", SILVER_MASTERS[name])


def _held(held: ExitStack, frame: DataFrame) -> DataFrame:
    """The frame kept in memory, until the stack ends."""
    kept = frame.persist(StorageLevel.MEMORY_AND_DISK)
    held.callback(kept.unpersist)
    return kept


def _on(dates: Collection[str], but: Collection[str] = ()) -> Callable[[str], bool] | None:
    """Whether a file of a table lies in a partition of these dates, and not in one of an error type left out."""

    def going(path: str) -> bool:
        values = partition_values(partition_folder(path))
        return values["date"] in dates and values.get("error_type") not in but

    return going if dates else None
