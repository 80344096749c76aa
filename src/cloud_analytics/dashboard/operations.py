"""The page on operations: freshness of the lake, late and rejected records, the last micro-batches. Reads the lake."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pandas as pd
import streamlit as st

from cloud_analytics.dashboard import charts
from cloud_analytics.dashboard.show import figures, legible, say, table
from cloud_analytics.dashboard.source import Source
from cloud_analytics.insight.numbers import number
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.reading.lateness import Freshness, freshness, micro_batches
from cloud_analytics.reading.quarantine import Selection, overview
from cloud_analytics.tables import Column, Unit
from cloud_analytics.tables.columns import COUNT, SHARE

_SECONDS = Unit("seconds", 1)
_NEVER = ("never", "nothing yet")
_BATCHES = 50  # only the newest, because a lake that a stream follows has thousands
_BATCH = (
    Column("began", "string", "when it began (UTC)"),
    Column("files", "bigint", "landing files that it took in", COUNT),
    Column("input_rows", "bigint", "lines in them", COUNT),
    Column("rejected_rows", "bigint", "of them, those that Bronze could not read", COUNT),
    Column("late_rows", "bigint", "events later than the watermark; all were processed", COUNT),
    Column("p95_lateness", "double", "95 of 100 events were late by at most this", Unit("hours", 1)),
    Column("watermark_would_drop", "bigint", "events that a plain watermark would have lost", COUNT),
    Column("late_share", "double", "their share", SHARE),
    Column("late_alert", "boolean", "the share is above the configured one"),
    Column("duration", "double", "how long it took", _SECONDS),
)
_REJECTED = (
    Column("source", "string", "where the records came from"),
    Column("error_type", "string", "the rule that rejected them"),
    Column("records", "bigint", "quarantined records", COUNT),
    Column("message", "string", "what the rule tells"),
    Column("first_date", "string", "of the events, else of their ingest"),
    Column("last_date", "string", "of the events, else of their ingest"),
)


def page(source: Source) -> None:
    """Show the freshness, the last micro-batches and the quarantine of the lake."""
    st.title("Is everything in, and on time?", anchor=False)
    lake = source.lake()
    batches = micro_batches(lake, newest=_BATCHES)
    _freshness(freshness(lake), batches)
    _batches(batches)
    _quarantine(source, lake)


def _freshness(found: Freshness, batches: pd.DataFrame) -> None:
    figures(
        *[
            (f"{name.capitalize()} (UTC)", *((f"{moment:%Y-%m-%d %H:%M}", _ago(moment)) if moment else _NEVER))
            for name, moment in found.moments(batches).items()
        ]
    )
    snapshots = [f"{name} {day}" for name, day in sorted(found.snapshots.items())]
    say(f"Latest snapshots of masters: {', '.join(snapshots) or 'none'}.")


def _ago(moment: datetime) -> str:
    minutes = (datetime.now(timezone.utc) - moment.astimezone(timezone.utc)) / timedelta(minutes=1)
    units = (("days", 1440), ("hours", 60), ("minutes", 1))
    name, length = next((unit for unit in units if minutes >= 2 * unit[1]), units[-1])
    return f"{number(minutes / length)} {name} ago"


def _batches(batches: pd.DataFrame) -> None:
    st.subheader("What did the last runs take in, and what of it came late?", anchor=False)
    if batches.empty:
        say("No micro-batch of events has been ingested: `cloud-analytics run` or `stream` takes them in.")
        return
    rows = batches.assign(p95_lateness=batches["p95_lateness_seconds"] / 3600, duration=batches["duration_seconds"])
    rows["began"] = rows["ingest_ts"].str[:19].str.replace("T", " ")
    table(rows.iloc[::-1], _BATCH)


def _quarantine(source: Source, lake: LakeReader) -> None:
    st.subheader("What was rejected, and why?", anchor=False)
    rows = pd.DataFrame(legible(overview(lake, Selection(), source.config)))
    if rows.empty:
        say("Nothing is in quarantine.")
        return
    rules = rows.groupby("error_type", as_index=False)[["records"]].sum().sort_values("records", ascending=False)
    charts.ranking(rules, _REJECTED[1], _REJECTED[2])
    table(rows, _REJECTED)
