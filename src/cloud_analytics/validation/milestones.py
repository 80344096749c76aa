"""Check the milestones M1 to M4: all ingested, clean and joined, equal to the raw files, questions answered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb

from cloud_analytics.config import EVENTS, Config
from cloud_analytics.errors import CloudAnalyticsError, PipelineError
from cloud_analytics.insight.plain import plain
from cloud_analytics.lake.file_system import ReadableFiles
from cloud_analytics.lake.uris import local_folder
from cloud_analytics.landing.folder import look
from cloud_analytics.reading.audit import Audit
from cloud_analytics.reading.checks import Check, Verdict, verdict
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.reading.served import counted
from cloud_analytics.reading.tables import declared, tables
from cloud_analytics.serving.queries import NothingServed, ask
from cloud_analytics.serving.tables import tables as serving_tables
from cloud_analytics.tables.cql import ServingTable
from cloud_analytics.validation.independent import IndependentRoute, compare
from cloud_analytics.validation.rehearsal import open_files

if TYPE_CHECKING:
    from cassandra.cluster import Session

QUARANTINED_BELOW = 0.10
MATCHED_ABOVE = 0.80
QUESTIONS = ("daily-costs", "top-services", "tickets", "revenue", "genai")
_FROM_GOLD = "from Gold: nothing is served"
_FROM_TABLES = "from the serving tables, compared with Gold"

Rows = list[dict[str, Any]]
OpenSession: TypeAlias = "Callable[[], AbstractContextManager[Session]]"


def milestones(lake: LakeReader, landing: ReadableFiles, config: Config, audited: Audit) -> list[Check]:
    """Compute the checks M1 to M3. `answered` computes M4."""
    return [
        _ingested(lake, landing, config, audited),
        _clean_and_joined(lake, audited),
        _equal_to_raw(lake, landing, config, audited),
    ]


def _ingested(lake: LakeReader, landing: ReadableFiles, config: Config, audited: Audit) -> Check:
    found = look(landing, config.pipeline.landing.follow_links)
    there = len(found.events) + sum(map(len, found.masters.values()))
    waiting = sorted({info.name for files in open_files(lake, found).values() for info in (*files.new, *files.changed)})
    unreadable = audited.sources[EVENTS].quarantine.get("unreadable_file", 0)
    missing = [source for source, here in found.masters.items() if not here]
    checked = [table for table in tables() if table.startswith(("silver/", "gold/"))]
    wrong = [table for table in checked if not _holds_what_it_declares(lake, table)]
    parts = [
        f"{there - len(waiting):,} of {there:,} files in landing are ingested as they are",
        f"{unreadable:,} cannot be read to their end",
        f"{len(wrong):,} of {len(checked):,} tables of Silver and Gold differ from their declared schema",
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


def _holds_what_it_declares(lake: LakeReader, table: str) -> bool:
    """Whether the Parquet files hold exactly the declared columns and types. True for a table without files."""
    try:
        found = lake.stored(table)
    except duckdb.Error:  # files of one table have contradictory types
        return False
    return not found or found == declared(table)


def _clean_and_joined(lake: LakeReader, audited: Audit) -> Check:
    shares = {source: found.rejected / found.landing for source, found in audited.sources.items() if found.landing}
    row = lake.row(
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
        f"quarantined: {audited.together.rejected:,} records, the most of"
        f" {worst[0]} ({worst[1]:.2%}); events matched: {rates}; every line is accounted for:"
        f" {'yes' if audited.balanced else 'NO'}",
        {"quarantined_share": shares, "matched_share": matched, "balanced": audited.balanced},
        "figures miss what is quarantined (`audit` says what and why), and what did not match reads `unknown`",
    )


def _equal_to_raw(lake: LakeReader, landing: ReadableFiles, config: Config, audited: Audit) -> Check:
    statement = "KPIs equal the raw files, by an independent route (DuckDB over landing)"
    consequence = "a figure of Gold is not what the landing files say: `trace` follows one of them to its lines"

    def not_checked(reason: str) -> Check:
        return Check("M3", statement, Verdict.NOT_CHECKED, reason, {}, consequence)

    raw = local_folder(landing.root)
    if raw is None:
        return not_checked("landing must be a local folder for this route")
    if audited.archived:
        return not_checked(f"{audited.archived:,} event files have left landing: the raw files are no longer complete")
    try:
        found = compare(raw, lake, config)
    except duckdb.Error as error:
        return not_checked(f"DuckDB cannot read a file of landing: {str(error).splitlines()[0]}")
    told = [f"closed, so figures and restatements together: {month.words()}" for month in audited.closed]
    holds = found.equal and found.lines == audited.sources[EVENTS].landing
    return Check(
        "M3",
        statement,
        verdict(holds) if found.marts else Verdict.NOT_CHECKED,
        "; ".join([_routes_in_words(found), *told]),
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
            "not_compared": found.not_compared,
            "lines": found.lines,
            "set_aside": found.set_aside,
            "rejected_by_duckdb": found.rejected,
            "rejected_by_the_pipeline": found.rejected_by_pipeline,
            "closed_months": [month.as_json() for month in audited.closed],
        },
        consequence,
    )


def _routes_in_words(found: IndependentRoute) -> str:
    words = []
    for mart in found.marts:
        if "total_cost_usd" in mart.sums:
            gold, raw = mart.sums["total_cost_usd"]
            cost = f"cost {gold or 0:,.6f} USD of {mart.organisations:,} organisations"
            words.append(cost + (" on both routes" if gold == raw else f" in Gold, {raw or 0:,.6f} USD from landing"))
    words += [f"{mart.mart}: {mart.differing_rows:,} of {mart.gold_rows:,} rows differ" for mart in found.marts]
    same = "the same" if found.rejected == found.rejected_by_pipeline else "OTHER"
    reasons = (
        f"{same} counts of each reason" if found.same_order else "reasons not compared, the order of rules differs"
    )
    words.append(f"{sum(found.rejected.values()):,} events rejected, {reasons}")
    words += [f"not checked: {count:,} records that {rule} rejects" for rule, count in found.set_aside.items()]
    words += [f"not checked: {mart}, because of {rules}" for mart, rules in found.not_compared.items()]
    return "; ".join(words)


def answered(lake: LakeReader, open_session: OpenSession | None) -> Check:
    """Check M4: ask each question about the organisation with the most rows in Gold, and compare the answer with Gold.

    Without `open_session`, or if nothing was ever served, only Gold is queried. The check is false if the store cannot
    be reached, a table is missing, or rows differ from Gold. UsageError if the settings of the store are wrong.
    """
    by_question = {table.question: table for table in serving_tables().values()}
    gold = {question: _in_gold(lake, by_question[question]) for question in QUESTIONS}
    failures = {question: "no rows in Gold" for question, rows in gold.items() if not rows}
    source = _FROM_GOLD
    if open_session is not None:
        source, refused = _ask_all(open_session, {name: rows for name, rows in gold.items() if rows})
        failures |= refused
    by_reason: dict[str, list[str]] = {}
    for question, reason in failures.items():
        by_reason.setdefault(reason, []).append(question)
    shown = ", ".join(f"{question} {len(rows):,} rows" for question, rows in gold.items())
    failed = "; ".join(f"{', '.join(questions)} ({reason})" for reason, questions in by_reason.items())
    figures = {}
    for question, rows in gold.items():
        org = rows[0]["org_id"] if rows else None
        figures[question] = {"org_id": org, "rows_in_gold": len(rows), "failure": failures.get(question)}
    return Check(
        "M4",
        "The five questions answer",
        verdict(not failures),
        f"{source}; {shown}" + (f"; FAILED: {failed}" if failed else ""),
        {"asked": source, "questions": plain(figures)},
        "people get no answer, or one that is not Gold's: `cloud-analytics serve` fills what is missing or behind; a"
        " table that others wrote to has to be dropped before; what Gold lacks did not arrive",
    )


def _in_gold(lake: LakeReader, served: ServingTable) -> Rows:
    """The rows that the table should hold for the organisation with the most rows; of the newest date if by date."""
    mart = f"gold.{served.mart}"
    of_one = f"org_id = (SELECT org_id FROM {mart} GROUP BY org_id ORDER BY count(*) DESC, org_id LIMIT 1)"
    day = served.date_column.name if served.date_column else None
    newest = f" QUALIFY {day} = max({day}) OVER ()" if day else ""
    return lake.rows(f"SELECT {', '.join(served.columns)} FROM {mart} WHERE {of_one}{newest}")


def _ask_all(open_session: OpenSession, gold: dict[str, Rows]) -> tuple[str, dict[str, str]]:
    """Ask the serving tables. Returns what was asked, and question → reason for each question that failed."""
    with ExitStack() as opened:
        try:
            session = opened.enter_context(open_session())
        except NothingServed:
            return _FROM_GOLD, {}
        except PipelineError as error:
            return _FROM_TABLES, dict.fromkeys(gold, str(error))
        found = {question: _difference(session, question, rows) for question, rows in gold.items()}
    return _FROM_TABLES, {question: reason for question, reason in found.items() if reason}


def _difference(session: Session, question: str, gold: Rows) -> str:
    """The reason why the answer differs from Gold; empty if it does not differ."""
    try:
        served = counted(ask(session, question, gold[0]["org_id"]).rows)
    except CloudAnalyticsError as error:
        return str(error)
    expected = counted(gold)
    if served == expected:
        return ""
    return f"{(served - expected).total():,} rows only served, {(expected - served).total():,} only in Gold"
