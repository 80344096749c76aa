"""The milestones M1 to M3: ingested, clean and joined, and equal to the raw files."""

from __future__ import annotations

import duckdb
from pyspark.sql.types import StructType

from cloud_analytics.bronze import ledger
from cloud_analytics.bronze import masters as bronze_masters
from cloud_analytics.bronze.events import landing_files
from cloud_analytics.config import EVENTS, MASTERS, Config
from cloud_analytics.gold.build import SCHEMAS, table
from cloud_analytics.lake.files import file_system
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.schemas import SILVER_EVENTS, SILVER_MASTERS
from cloud_analytics.lake.uris import escape_glob, local_folder
from cloud_analytics.landing.csv_files import master_files
from cloud_analytics.reading.audit import Audit
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.validation.checks import Check, Verdict, verdict
from cloud_analytics.validation.independent import IndependentRoute, compare

QUARANTINED_BELOW = 0.10
MATCHED_ABOVE = 0.80


def milestones(lake: Lake, landing: str, config: Config, audited: Audit) -> list[Check]:
    """M1 to M3."""
    return [
        _ingested(lake, landing, audited),
        _clean_and_joined(lake, audited),
        _equal_to_raw(lake, landing, config, audited),
    ]


def _ingested(lake: Lake, landing: str, audited: Audit) -> Check:
    files = file_system(lake.spark, landing)
    events = landing_files(lake.spark, landing)
    open_events = {info.name for info in (*ledger.new(lake, events), *ledger.changed(lake, events))}
    known = lake.state(bronze_masters.STATE, {})
    masters = {source: master_files(files, source) for source in MASTERS}
    open_masters = {
        info.name
        for source, infos in masters.items()
        for info in infos
        if [info.name, info.length, info.modified] not in known.get(source, {}).get("files", [])
    }
    there = len(events) + sum(map(len, masters.values()))
    waiting = sorted(open_events | open_masters)
    unreadable = audited.sources[EVENTS].quarantine.get("unreadable_file", 0)
    missing = [source for source, infos in masters.items() if not infos]
    wrong = _wrong_schemas(lake)
    parts = [
        f"{there - len(waiting):,} of {there:,} files in landing are ingested as they are",
        f"{unreadable:,} cannot be read to their end",
        f"{len(wrong):,} of {len(_schemas()):,} tables of Silver and Gold differ from their declared schema",
    ]
    parts += [f"no file of {', '.join(missing)}"] if missing else []
    return Check(
        "M1",
        "100 % of the files are ingested, schemas are valid",
        verdict(not waiting and not unreadable and not wrong and there > 0),
        "; ".join(parts),
        {
            "files": there,
            "not_ingested": waiting[:20],
            "not_ingested_count": len(waiting),
            "unreadable": unreadable,
            "missing_masters": missing,
            "wrong_schemas": wrong,
        },
        "figures are short of what these files hold: `cloud-analytics run` ingests what is new; an unreadable file has"
        " to be sent again",
    )


def _schemas() -> dict[str, StructType]:
    silver = {f"silver/{EVENTS}": SILVER_EVENTS, **{f"silver/{name}": SILVER_MASTERS[name] for name in MASTERS}}
    return {**silver, **{table(mart): schema for mart, schema in SCHEMAS.items()}}


def _wrong_schemas(lake: Lake) -> list[str]:
    """Tables whose Parquet files hold other columns or types than declared; empty tables have no files to ask."""
    wrong = []
    for name, declared in _schemas().items():
        if lake.files.files(name):
            try:
                found = lake.spark.read.option("mergeSchema", "true").parquet(escape_glob(lake.path(name))).schema
            except Exception:  # files of one table that contradict each other
                wrong.append(name)
                continue
            if {(f.name, f.dataType) for f in found} != {(f.name, f.dataType) for f in declared}:
                wrong.append(name)
    return wrong


def _clean_and_joined(lake: Lake, audited: Audit) -> Check:
    shares = {
        source: sum(found.quarantine.values()) / found.landing
        for source, found in audited.sources.items()
        if found.landing
    }
    row = LakeReader(lake.files).row(
        "SELECT avg(org_matched::INT) AS customers_orgs, avg(resource_matched::INT) AS resources,"
        " avg((user_id IN (SELECT user_id FROM silver.users))::INT) FILTER (user_id IS NOT NULL) AS users"
        " FROM silver.usage_events"
    )
    matched = {name: rate for name, rate in row.items() if rate is not None}
    dirty = [name for name, share in shares.items() if share >= QUARANTINED_BELOW]
    unmatched = [name for name, rate in matched.items() if rate <= MATCHED_ABOVE]
    worst = max(shares.items(), key=lambda item: item[1], default=("no source", 0.0))
    rates = ", ".join(f"{name} {rate:.1%}" for name, rate in matched.items()) or "no events"
    return Check(
        "M2",
        "Under 10 % of each source is quarantined, joins match above 80 %",
        verdict(not dirty and not unmatched and audited.balanced and bool(shares)),
        f"quarantined: {sum(sum(s.quarantine.values()) for s in audited.sources.values()):,} records, the most of"
        f" {worst[0]} ({worst[1]:.2%}); events matched: {rates}; every line is accounted for:"
        f" {'yes' if audited.balanced else 'NO'}",
        {"quarantined_share": shares, "matched_share": matched, "balanced": audited.balanced},
        "figures miss what is quarantined (`audit` says what and why), and what did not match reads `unknown`",
    )


def _equal_to_raw(lake: Lake, landing: str, config: Config, audited: Audit) -> Check:
    statement = "KPIs equal the raw files, by an independent route (DuckDB over landing)"
    consequence = "a figure of Gold is not what the landing files say: `trace` follows one of them to its lines"

    def not_checked(reason: str) -> Check:
        return Check("M3", statement, Verdict.NOT_CHECKED, reason, {}, consequence)

    raw, built = local_folder(landing), local_folder(lake.root)
    if raw is None or built is None:
        return not_checked("landing and lake must be local folders for this route")
    if audited.archived:
        return not_checked(f"{audited.archived:,} event files have left landing: the raw files are no longer complete")
    try:
        found = compare(raw, built, config)
    except duckdb.Error as error:
        return not_checked(f"DuckDB cannot read a file of landing: {str(error).splitlines()[0]}")
    rejects = audited.sources[EVENTS].quarantine
    return Check(
        "M3",
        statement,
        verdict(found.equal and found.rejected == rejects and found.lines == audited.sources[EVENTS].landing),
        _routes_in_words(found, rejects),
        {
            "marts": {
                mart.mart: {
                    "rows": mart.gold_rows,
                    "rows_from_landing": mart.landing_rows,
                    "differing_rows": mart.differing_rows,
                    "sums": {name: {"gold": g, "landing": raw} for name, (g, raw) in mart.sums.items()},
                }
                for mart in found.marts
            },
            "lines": found.lines,
            "rejected_by_duckdb": found.rejected,
            "rejected_by_the_pipeline": rejects,
        },
        consequence,
    )


def _routes_in_words(found: IndependentRoute, rejects: dict[str, int]) -> str:
    daily = found.marts[0]
    words = [f"{mart.mart}: {mart.differing_rows:,} of {mart.gold_rows:,} rows differ" for mart in found.marts]
    gold, raw = daily.sums["total_cost_usd"]
    cost = f"cost {gold or 0:,.6f} USD of {daily.organisations:,} organisations"
    cost += " on both routes" if gold == raw else f" in Gold, {raw or 0:,.6f} USD from landing"
    same = "the same" if found.rejected == rejects else "OTHER"
    return f"{cost}; {'; '.join(words)}; {sum(found.rejected.values()):,} events rejected, {same} counts of each reason"
