"""Why the figures can be trusted: data quality, late data, freshness."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from cloud_analytics.config import EVENTS
from cloud_analytics.insight import plots
from cloud_analytics.insight.report import profiles
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.numbers import Value, number, percent, plural, ratio
from cloud_analytics.insight.report.view import Cell, Section, Table, rows
from cloud_analytics.reading.audit import Audit


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
    tables = [_rules(law, rejects)] if records else []
    drawn = [plots.flow(facts.flow), *([plots.rejects(rejects)] if records else [])]
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


def timeliness(facts: Facts) -> Section:
    """How old the newest data are, how late events came, and what a plain watermark would have made of it."""
    title, fresh = "Freshness and late data", [_freshness(facts)]
    batches = facts.batches
    if batches.empty or facts.newest_event is None:
        return Section("timeliness", title, "No event has been ingested yet.", tables=fresh)
    age = (facts.made - facts.newest_event) / timedelta(days=1)
    lines, hours = int(batches["input_rows"].sum()), duration(facts.watermark)
    first, last = (facts.losses.iloc[at] for at in (0, -1))
    lead = (
        f"The newest event is {number(age, decimals=1)} days older than this report. Files need not come in order:"
        f" {percent(ratio(batches['late_rows'].sum(), lines))} of {plural(lines, 'event line')} came more than"
        f" {hours} late, and all were processed. A plain watermark of {hours} would have lost"
        f" {percent(ratio(first.lost, first.events))} of the events with {plural(first.files_per_batch, 'file')} a"
        f" micro-batch, and {percent(ratio(last.lost, last.events))} with {last.files_per_batch}."
    )
    drawn = [plots.watermark_losses(batches)] if len(batches) > 1 else []
    notes = [
        "Lateness counts from the newest event seen. The first micro-batch has nothing to be late against: the larger"
        " they are, the less a watermark loses, so results would depend on a setting for speed."
    ]
    return Section("timeliness", title, lead, drawn, fresh, notes)


def _freshness(facts: Facts) -> Table:
    ingested = datetime.fromisoformat(str(facts.batches["ingest_ts"].max())) if len(facts.batches) else None
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
    return Table("As of this report", ("what", "when (UTC)", "age (days)"), rows)


def _moment(facts: Facts, moment: datetime | None) -> tuple[str, Value]:
    if moment is None:
        return "never", number(None)
    return moment.strftime("%Y-%m-%d %H:%M"), number((facts.made - moment) / timedelta(days=1), decimals=1)


def duration(length: timedelta) -> str:
    """`2 hours`, in the largest unit without a rest."""
    for unit, seconds in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        amount, rest = divmod(int(length.total_seconds()), seconds)
        if amount and not rest:
            return plural(amount, unit)
    return plural(int(length.total_seconds()), "second")
