"""Why the figures can be trusted: data quality, late data, freshness."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from cloud_analytics.config import EVENTS
from cloud_analytics.insight import plots
from cloud_analytics.insight.report import profiles
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.measures import late_share
from cloud_analytics.insight.report.view import Cell, Section, Table, Value, number, percent, plural, ratio, rows
from cloud_analytics.reading.audit import Audit

_BATCHES_SHOWN = 10


def quality(facts: Facts) -> Section:
    """The conservation law, what was rejected by which rule, and what the data are that stayed."""
    title = "Data quality"
    notes = [f"Missing: {', '.join(facts.missing)}. What depends on them is empty."] if facts.missing else []
    matches = facts.profile[EVENTS].matches
    if matches["customers_orgs"].of:
        orgs, resources = (percent(matches[master].rate) for master in ("customers_orgs", "resources"))
        notes.append(
            f"{orgs} of the events match an organisation and {resources} a resource; the others read `unknown`."
        )
    profile, columns = profiles.overview(facts.profile), profiles.folds(facts.profile)
    if facts.audit is None:
        lead = "The landing folder is not here, so its lines could not be counted: run the report where it can be read."
        return Section("quality", title, lead, tables=[profile], notes=notes, folds=columns)
    law = facts.audit
    landed = sum(source.landing for source in law.sources.values())
    rejected = sum(sum(source.quarantine.values()) for source in law.sources.values())
    verdict = "Every landing line is accounted for" if law.balanced else "LANDING LINES ARE UNACCOUNTED FOR"
    lead = (
        f"{verdict}: of {plural(landed, 'line')}, {rejected:,} ({percent(ratio(rejected, landed))}) were quarantined."
    )
    if law.archived:
        files = plural(law.archived, "event file")
        notes.append(f"{files} left the landing folder: their lines are counted as Bronze holds them.")
    records = [
        {"source": name, "error_type": kind, "records": count}
        for name, source in law.sources.items()
        for kind, count in source.quarantine.items()
    ]
    rejects = pd.DataFrame(records, columns=["source", "error_type", "records"])
    drawn, tables = ([plots.rejects(rejects)], [_rules(law, rejects)]) if records else ([], [])
    return Section("quality", title, lead, drawn, [_audit(law), *tables, profile], notes, columns)


def _audit(law: Audit) -> Table:
    return Table(
        "Audit: landing = Silver + quarantine",
        ("source", "landing lines", "Silver rows", "quarantined", "balanced"),
        [
            [
                name,
                number(source.landing),
                number(source.silver),
                number(sum(source.quarantine.values())),
                "yes" if source.balanced else Value("NO", alert=True),
            ]
            for name, source in law.sources.items()
        ],
    )


def _rules(law: Audit, rejects: pd.DataFrame) -> Table:
    return Table(
        "Rejected, by rule",
        ("rule", "source", "records", "share of the source"),
        [
            [
                row.error_type,
                row.source,
                number(row.records),
                percent(ratio(row.records, law.sources[row.source].landing)),
            ]
            for row in rows(rejects.sort_values("records", ascending=False, kind="stable"))
        ],
    )


def late_data(facts: Facts) -> Section:
    """How late the events came, and what a plain watermark would have made of it."""
    title = "Late data"
    batches = facts.batches
    if batches.empty:
        return Section("late", title, "No micro-batch of events has been ingested.")
    hours = duration(facts.watermark)
    lines = plural(int(batches["input_rows"].sum()), "event line")
    lead = f"{percent(late_share(facts))} of {lines} came more than {hours} late; all were processed."
    first, last = (facts.losses.iloc[at] for at in (0, -1))
    lead += (
        f" A plain watermark of {hours} would have lost {percent(ratio(first.lost, first.events))} of the events with"
        f" {plural(first.files_per_batch, 'file')} a micro-batch, and {percent(ratio(last.lost, last.events))} with"
        f" {last.files_per_batch}."
    )
    sizes = Table(
        f"What a plain watermark of {hours} would lose",
        ("files in a micro-batch", "events lost", "share"),
        [
            [
                number(row.files_per_batch),
                number(row.lost, alert=row.lost > 0),
                percent(ratio(row.lost, row.events)),
            ]
            for row in rows(facts.losses)
        ],
    )
    drawn = [plots.watermark_losses(batches)] if len(batches) > 1 else []
    shown = batches.tail(_BATCHES_SHOWN)
    metrics = Table(
        f"The newest {len(shown)} of {plural(len(batches), 'micro-batch')}, and what a watermark would lose",
        ("ingested (UTC)", "files", "lines", "late", "p95 late (days)", "most late (days)", "would lose"),
        [
            [
                str(row.ingest_ts)[:16].replace("T", " "),
                number(row.files),
                number(row.input_rows),
                percent(row.late_share),
                _days(row.p95_lateness_seconds),
                _days(row.max_lateness_seconds),
                number(row.watermark_would_drop, alert=row.watermark_would_drop > 0),
            ]
            for row in rows(shown)
        ],
    )
    notes = [
        "Lateness counts from the newest event seen. The first micro-batch has nothing to be late against: the larger"
        " they are, the less a watermark loses, so results would depend on a setting for speed."
    ]
    return Section("late", title, lead, drawn, [sizes, metrics], notes)


def freshness(facts: Facts) -> Section:
    """How old the newest data are."""
    title = "Freshness"
    ingested = None
    if len(facts.batches):
        ingested = datetime.fromisoformat(str(facts.batches["ingest_ts"].max()))
    moments = [
        ("newest event", facts.newest_event),
        ("events last ingested", ingested),
        ("lake last changed", facts.changed),
    ]
    rows: list[list[Cell]] = [[name, *_moment(facts, moment)] for name, moment in moments]
    rows += [
        [f"{name} (snapshot)", day, number((facts.made.date() - datetime.fromisoformat(day).date()).days, decimals=1)]
        for name, day in sorted(facts.snapshots.items())
    ]
    if facts.newest_event is None:
        lead = "No event has been ingested yet."
    else:
        age = (facts.made - facts.newest_event) / timedelta(days=1)
        lead = f"The newest event is {number(age, decimals=1)} days older than this report."
    return Section(
        "freshness", title, lead, tables=[Table("As of this report", ("what", "when (UTC)", "age (days)"), rows)]
    )


def _moment(facts: Facts, moment: datetime | None) -> tuple[str, Value]:
    if moment is None:
        return "never", number(None)
    return moment.strftime("%Y-%m-%d %H:%M"), number((facts.made - moment) / timedelta(days=1), decimals=1)


def _days(seconds: float | None) -> Value:
    return number(None if seconds is None else seconds / 86_400, decimals=1)


def duration(length: timedelta) -> str:
    """`2 hours`, in the largest unit without a rest."""
    for unit, seconds in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        amount, rest = divmod(int(length.total_seconds()), seconds)
        if amount and not rest:
            return plural(amount, unit)
    return plural(int(length.total_seconds()), "second")
