"""The sections on trust in the figures: data quality, late data, freshness."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from cloud_analytics.config import EVENTS
from cloud_analytics.insight import plots, profile_words
from cloud_analytics.insight.numbers import Value, number, percent, plural, ratio
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.view import Cell, Fold, Section, Table, rows
from cloud_analytics.reading.profile import SourceProfile


def quality(facts: Facts) -> Section:
    """The conservation law, the rejected records by rule, and a profile of the accepted data."""
    title = "Data quality"
    notes = [f"Missing: {', '.join(facts.missing)}. What depends on them is empty."] if facts.missing else []
    matches = facts.profile[EVENTS].matches
    if matches["customers_orgs"].of:
        orgs, resources = (percent(matches[master].rate) for master in ("customers_orgs", "resources"))
        notes.append(
            f"{orgs} of the events match an organisation and {resources} a resource; the others read `unknown`."
        )
    profile = Table(
        "Profile of each source",
        ("source", "Silver rows", "warnings", "dates and their gaps", "rows that find their master"),
        [_profile(name, found) for name, found in facts.profile.items()],
    )
    folds = [_columns(name, found) for name, found in facts.profile.items() if found.rows or found.as_written]
    law = facts.audit
    if law is None:
        lead = "The landing folder is not here, so its lines could not be counted: run the report where it can be read."
        return Section("quality", title, lead, tables=[profile], notes=notes, folds=folds)
    landed, rejected = law.together.landing, law.together.rejected
    verdict = "Every landing line is accounted for" if law.balanced else "LANDING LINES ARE UNACCOUNTED FOR"
    lead = (
        f"{verdict}: of {plural(landed, 'line')}, {rejected:,} ({percent(ratio(rejected, landed))}) were quarantined."
    )
    if law.archived:
        files = plural(law.archived, "event file")
        notes.append(f"{files} left the landing folder: their lines are counted as Bronze holds them.")
    balance = Table(
        "Audit: landing = Silver + quarantine",
        ("source", "landing lines", "Silver rows", "quarantined", "balanced"),
        [
            [
                name,
                number(source.landing),
                number(source.silver),
                number(source.rejected),
                "yes" if source.balanced else Value("NO", alert=True),
            ]
            for name, source in law.sources.items()
        ],
    )
    records = [(name, kind, count) for name, source in law.sources.items() for kind, count in source.quarantine.items()]
    rejects = pd.DataFrame(records, columns=["source", "error_type", "records"])
    rules = Table.of(
        "Rejected, by rule",
        rows(rejects.sort_values("records", ascending=False, kind="stable")),
        {
            "rule": lambda row: row.error_type,
            "source": lambda row: row.source,
            "records": lambda row: number(row.records),
            "share of the source": lambda row: percent(ratio(row.records, law.sources[row.source].landing)),
        },
    )
    drawn = [plots.flow(facts.flow), *([plots.rejects(rejects)] if records else [])]
    return Section("quality", title, lead, drawn, [balance, rules, profile], notes, folds)


def _profile(source: str, found: SourceProfile) -> list[Cell]:
    """One table row per source: rows, warnings, dates and their gaps, and the share of rows that find each master."""
    dates = found.dates
    missing = plural(sum(gap.length for gap in dates.gaps), dates.step)
    return [
        source,
        number(found.rows),
        number(sum(found.warnings.values())),
        "" if dates.first is None else f"{dates.first} to {dates.last}, {missing} without a row",
        ", ".join(f"{master} {percent(match.rate)}" for master, match in found.matches.items()),
    ]


def _columns(source: str, found: SourceProfile) -> Fold:
    """The columns of a source as a table, below the lines on its warnings, gaps and matches."""
    columns: list[list[Cell]] = [
        [name, column.type, number(column.nulls), number(column.distinct), profile_words.content(column)]
        for name, column in profile_words.columns(found).items()
    ]
    table = Table(f"{source}, column by column", profile_words.COLUMNS, columns)
    return Fold(f"{source}: {plural(len(columns), 'column')}", profile_words.summary(found), table)


def timeliness(facts: Facts) -> Section:
    """How old the newest data are, how late events arrived, and how many a plain watermark would have lost."""
    title, fresh = "Freshness and late data", [_freshness(facts)]
    batches = facts.batches
    if batches.empty or facts.fresh.newest_event is None:
        return Section("timeliness", title, "No event has been ingested yet.", tables=fresh)
    age = (facts.made - facts.fresh.newest_event) / timedelta(days=1)
    lines, hours = int(batches["input_rows"].sum()), _duration(facts.watermark)
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
    shown: list[list[Cell]] = [
        [name, "never", number(None)]
        if moment is None
        else [name, f"{moment:%Y-%m-%d %H:%M}", number((facts.made - moment) / timedelta(days=1), decimals=1)]
        for name, moment in facts.fresh.moments(facts.batches).items()
    ]
    shown += [
        [f"{name} (snapshot)", day, number((facts.made.date() - datetime.fromisoformat(day).date()).days, decimals=1)]
        for name, day in sorted(facts.fresh.snapshots.items())
    ]
    return Table("As of this report", ("what", "when (UTC)", "age (days)"), shown)


def _duration(length: timedelta) -> str:
    """A length of time in the largest unit that divides it: `2 hours`."""
    for unit, seconds in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        amount, rest = divmod(int(length.total_seconds()), seconds)
        if amount and not rest:
            return plural(amount, unit)
    return plural(int(length.total_seconds()), "second")
