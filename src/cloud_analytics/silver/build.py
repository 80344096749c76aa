"""The Silver step: which tables and dates are stale, and their replacement (what they hold is computed elsewhere)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from cloud_analytics.anomaly import events as scores
from cloud_analytics.bronze import ledger
from cloud_analytics.bronze import masters as bronze_masters
from cloud_analytics.config import EVENTS, MASTERS, Config
from cloud_analytics.lake.compare import RowChanges, row_changes
from cloud_analytics.lake.lake import Lake, Transaction
from cloud_analytics.lake.schemas import BRONZE_EVENTS, COST_BASELINES, SILVER_EVENTS, SILVER_MASTERS, conform
from cloud_analytics.quality import metrics, quarantine
from cloud_analytics.quality.events import BRONZE_ERRORS, judge
from cloud_analytics.silver import masters, usage_events

EVENTS_TABLE = f"silver/{EVENTS}"
BASELINES_TABLE = "silver/cost_baselines"
MASTERS_STATE = "_state/silver_masters"
EVENTS_STATE = "_state/silver_usage_events"
_PARTITIONS = ["date", "service"]
Changes = dict[str, RowChanges]  # table → what its replacement changed
_JOINED = ("customers_orgs", "resources", "users")
_BASELINE_COLUMNS = ["org_id", "service", "metric", "cost_usd", "value"]


def judged_by(lake: Lake) -> set[str]:
    """Fingerprints of the configurations that judged the masters of Silver as they are."""
    return {entry["inputs"][1] for entry in lake.state(MASTERS_STATE, {}).values()}


def build_masters(lake: Lake, config: Config, changes: Changes | None = None) -> list[str]:
    """Rebuild each master whose snapshot or rules changed; returns their names. `changes` collects what it changed."""
    snapshots: dict[str, Any] = lake.state(bronze_masters.STATE, {})
    built: dict[str, Any] = lake.state(MASTERS_STATE, {})
    rules = config.fingerprint()
    inputs = {name: [snapshots.get(name, {}).get("version", 0), rules] for name in MASTERS}
    stale = [name for name in MASTERS if built.get(name, {}).get("inputs") != inputs[name]]
    if not stale:
        return []
    with lake.transaction() as transaction:
        with ThreadPoolExecutor(4) as pool:
            pending = {name: pool.submit(_build_master, lake, transaction, config, name, changes) for name in stale}
            metrics.record(transaction, config, {name: future.result() for name, future in pending.items()})
        version = transaction.number
        transaction.put(
            MASTERS_STATE, {**built, **{name: {"inputs": inputs[name], "version": version} for name in stale}}
        )
    return stale


def _build_master(
    lake: Lake, transaction: Transaction, config: Config, source: str, changes: Changes | None
) -> dict[str, Any]:
    day = lake.state(bronze_masters.STATE, {}).get(source, {}).get("ingest_date")
    folder = f"bronze/{source}/ingest_date={day}"
    # One task: a master came through the driver's memory, and becomes one file.
    bronze = lake.read(folder, bronze_masters.schema(config.sources[source])).coalesce(1)
    judged = masters.judge(bronze, source, config)
    verdicts = Observation()
    passed = F.size("errors") == 0
    rows = conform(
        judged.observe(
            verdicts,
            F.count_if(passed).alias("silver"),
            F.count_if(~passed).alias("quarantine"),
            *metrics.tally("errors", metrics.rejecting(config, source)),
            *metrics.tally("warnings", metrics.warning(config, source), "size(errors) = 0"),
        ).where(passed),
        SILVER_MASTERS[source],
    )
    staged = transaction.replace(f"silver/{source}", rows)
    if changes is not None and staged is not None:
        before, now = (lake.read(table, SILVER_MASTERS[source]) for table in (f"silver/{source}", staged))
        changes[f"silver/{source}"] = row_changes(before, now, config.sources[source].key)
    counts = verdicts.get
    rejects = None
    if counts["quarantine"]:  # judged again, since most masters have none and holding them all costs a pass, too
        broken = judged.where(~passed).withColumn("date", F.to_date("ingest_ts"))
        rejects = quarantine.rejects(broken, source, config.fingerprint())
    transaction.replace(quarantine.table(source), rejects, quarantine.PARTITIONS)
    return metrics.verdicts(counts["silver"], counts["quarantine"], counts)


def build_events(lake: Lake, config: Config, whole_history: bool, changes: Changes | None = None) -> list[str]:
    """Rebuild the dates of usage_events whose Bronze, masters or rules changed; returns them.

    `whole_history` (the batch layer) rebuilds every date when anything changed at all, so that copies of an event are
    found across dates and scores see all events. Otherwise (the speed layer) only the touched dates are rebuilt, and
    scored with the baselines that are stored. `changes` collects which rows that changed, at the price of one more job.
    """
    bronze: dict[str, int] = lake.state(ledger.DATES, {})
    state: dict[str, Any] = lake.state(EVENTS_STATE, {"dates": {}, "whole": None})
    joined = [lake.state(MASTERS_STATE, {}).get(name, {}).get("version", 0) for name in _JOINED]
    rules = config.fingerprint()
    inputs = {date: [version, *joined, rules] for date, version in bronze.items()}
    built = {date: entry["inputs"] for date, entry in state["dates"].items()}
    everything = [sorted(inputs.items()), "whole"]
    stale = sorted(date for date in {*inputs, *built} if inputs.get(date) != built.get(date))
    if whole_history:
        if state["whole"] == _plain(everything) and "baselines" in state:
            return []
        stale = sorted({*inputs, *built})
    if not stale:
        return []
    whole = set(stale) == {*inputs, *built}
    read = [date for date in stale if date in bronze]
    with lake.transaction() as transaction:
        kept = {} if whole else {date: entry for date, entry in state["dates"].items() if date not in stale}
        written = {date: {"inputs": inputs[date], "version": transaction.number} for date in read}
        scored = _build_dates(lake, transaction, config, read, set(stale), sorted(kept), changes)
        transaction.put(
            EVENTS_STATE,
            {"dates": {**kept, **written}, "whole": _plain(everything) if whole else None, **scored},
        )
    return stale


def _plain(value: Any) -> Any:
    """As it reads after a round trip through JSON (tuples become lists)."""
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _build_dates(
    lake: Lake,
    transaction: Transaction,
    config: Config,
    dates: list[str],
    replaced: set[str],
    kept: list[str],
    changes: Changes | None,
) -> dict[str, Any]:
    """Build `dates` in place of the `replaced` ones; returns how many events Silver then has, and its baselines."""
    bronze = lake.read(ledger.TABLE, BRONZE_EVENTS, [f"date={date}" for date in dates])
    # Of a line that passes nobody needs the text, unless its event has copies: 300 bytes an event are not held.
    text_of_rejects = F.when(F.size("errors") > 0, F.col("raw"))
    judged = judge(bronze, config).withColumn("raw", text_of_rejects).persist(StorageLevel.MEMORY_AND_DISK)
    copies = None
    try:
        facts = usage_events.census(judged).first()
        assert facts is not None  # an aggregate without groups has one row
        if facts["copies"]:
            copies = judge(usage_events.lines_of_copies(judged, bronze), config).persist(StorageLevel.MEMORY_AND_DISK)
        survivors, rejects = usage_events.split_copies(judged, copies)
        events = facts["ids"] + _events_of(lake, kept, replaced)
        baselines, made = _baselines(lake, transaction, config, survivors, kept, events)
        enriched = usage_events.enrich(survivors, *[_master(lake, name) for name in _JOINED])
        scored = scores.score(enriched, baselines, config.anomalies.events)
        accepted, refused = Observation(), Observation()
        scored = scored.observe(
            accepted, *metrics.tally("warnings", metrics.warning(config, EVENTS)), *metrics.matches()
        )
        partitions = len(dates) * len(config.taxonomy.services)
        staged = transaction.replace(
            EVENTS_TABLE,
            lake.together(conform(scored, SILVER_EVENTS), _PARTITIONS, partitions),
            _PARTITIONS,
            lambda path: path.split("/")[0].removeprefix("date=") in replaced,
        )
        if changes is not None and staged is not None:
            before = _silver(lake, sorted(replaced))
            changes[EVENTS_TABLE] = row_changes(before, lake.read(staged, SILVER_EVENTS), ["event_id", "date"])
        broken = None
        if facts["copies"] or facts["rejected"]:
            rejects = rejects.observe(
                refused, F.count("*").alias("rows"), *metrics.tally("errors", metrics.rejecting(config, EVENTS))
            )
            broken = quarantine.rejects(rejects, EVENTS, config.fingerprint()).coalesce(1)

        def judged_here(path: str) -> bool:
            date, error_type = path.split("/")[:2]
            return (
                date.removeprefix("date=") in replaced and error_type.removeprefix("error_type=") not in BRONZE_ERRORS
            )

        transaction.replace(quarantine.table(EVENTS), broken, quarantine.PARTITIONS, judged_here)
        # Spark plans rows that turn out to be none away, and what observes them: then no observation ever comes.
        kept_counts = accepted.get if facts["ids"] else {}
        lost_counts = refused.get if broken is not None else {}
        verdicts = metrics.verdicts(facts["ids"], lost_counts.get("rows", 0), {**kept_counts, **lost_counts})
        joins = metrics.match_rates(kept_counts)
        metrics.record(transaction, config, {EVENTS: {"dates": dates, **verdicts, "joins": joins}})
        return {"events": events, "baselines": made}
    finally:
        judged.unpersist()
        if copies is not None:
            copies.unpersist()


def _events_of(lake: Lake, kept: list[str], replaced: set[str]) -> int:
    """How many events Silver holds on the dates that stay."""
    if not kept:
        return 0
    known = lake.state(EVENTS_STATE, {}).get("events")
    if known is None:  # a lake of before they were counted
        return _silver(lake, kept).count()
    return int(known) - _silver(lake, sorted(replaced)).count()


def _baselines(
    lake: Lake, transaction: Transaction, config: Config, survivors: DataFrame, kept: list[str], events: int
) -> tuple[DataFrame, dict[str, Any]]:
    """The baselines to score with, and what is to be known of them: the stored ones, made anew where they are too old.

    They are as soon as the lake holds twice the events that they were made of, so that they cost a constant share of
    all work; and where every date is built, the new ones cost no other reading.
    """
    stored = lake.state(EVENTS_STATE, {}).get("baselines")
    rules = config.fingerprint()
    if kept and stored is not None and stored["rules"] == rules and events < 2 * stored["events"]:
        return lake.read(BASELINES_TABLE, COST_BASELINES), stored
    history = survivors.select(_BASELINE_COLUMNS)
    if kept:
        history = history.unionByName(_silver(lake, kept).select(_BASELINE_COLUMNS))
    fresh = scores.baselines(history, config.anomalies.events)
    staged = transaction.replace(BASELINES_TABLE, fresh.repartition(1))
    assert staged is not None  # a frame was given
    return lake.read(staged, COST_BASELINES), {"rules": rules, "events": events}


def _silver(lake: Lake, dates: list[str]) -> DataFrame:
    return lake.read(EVENTS_TABLE, SILVER_EVENTS, [f"date={date}" for date in dates])


def _master(lake: Lake, name: str) -> DataFrame:
    return lake.read(f"silver/{name}", SILVER_MASTERS[name])
