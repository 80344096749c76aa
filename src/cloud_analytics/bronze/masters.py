"""CSV masters → bronze/<source>/ingest_date=, all columns as text (contract 3 and 4).

A master whose content changed is a new snapshot; the snapshot of a day replaces an earlier one of the same day. Where
its files left landing, the latest one stays.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from cloud_analytics.bronze import ledger
from cloud_analytics.config import MASTERS, Config, SourceContract
from cloud_analytics.errors import UsageError
from cloud_analytics.lake.files import FileInfo
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.schemas import columns
from cloud_analytics.landing.csv_files import Master, extra_columns, parse_master
from cloud_analytics.landing.folder import changes, look

logger = logging.getLogger(__name__)

STATE = ledger.SNAPSHOTS
_META = ("raw", "raw_bytes", "fits_header", "record_number", "ingest_ts", "source_file", "batch_id")


@dataclass
class _Snapshot:
    """A master as it lies in landing now."""

    source: str
    files: dict[str, list[Any]]
    content_hash: str
    rows: pa.Table


def schema(contract: SourceContract, extra: list[str] | None = None) -> StructType:
    """Bronze columns of a master: its own as text, further ones of this snapshot, then metadata and `ingest_date`."""
    fields = StructType()
    for name in [*contract.required, *(extra or [])]:
        fields.add(name, "string")
    for field in columns(
        "raw string, raw_bytes binary, fits_header boolean, record_number bigint, ingest_ts timestamp,"
        " source_file string, batch_id string"
    ):
        fields.add(field)
    return fields


def ingest(lake: Lake, landing: str, config: Config) -> tuple[list[str], list[str]]:
    """Take in every master whose files changed, in one transaction; returns (new snapshots, those that never arrived).

    A master that left landing, and one that cannot be taken in yet, keep their latest snapshot; messages say so. Raises
    UsageError, before anything is written, when a header lacks required columns or holds one twice; the line names all
    of them.
    """
    files, settings = lake.reach(landing), config.pipeline.landing
    found = look(files, settings.follow_links).masters
    known = {source: ledger.master_files(lake, source) for source in MASTERS}
    _tell_what_left(lake, files.root, found, known)
    stale = {source: here for source, here in found.items() if here and changes(known[source], here)}
    contents = files.contents(info for here in stale.values() for info in here.values())
    parsed = {
        source: parse_master(here, contents, config.sources[source], known[source], settings.max_line_bytes)
        for source, here in stale.items()
    }
    problems = [problem for master in parsed.values() for problem in master.problems]
    if problems:
        raise UsageError("; ".join(problems) + "; correct this in landing and run again")
    latest = ledger.snapshots(lake)
    for source, master in parsed.items():
        for reason in master.unfinished:
            rest = "its latest snapshot stays" if source in latest else "its table is empty"
            logger.warning("%s: %s: %s", source, reason, rest)
    now = datetime.now(timezone.utc)
    ready = [
        _snapshot(source, master, stale[source], contents, config.sources[source], now)
        for source, master in parsed.items()
        if not master.unfinished
    ]
    new = [item for item in ready if item.content_hash != latest.get(item.source, {}).get("content")]
    if ready:
        with lake.transaction() as transaction:
            day = now.date().isoformat()
            for item in new:
                transaction.replace(f"bronze/{item.source}/ingest_date={day}", item.rows)
            updated = dict(latest)
            for item in ready:
                kept = dict(latest.get(item.source, {}))
                if item in new:
                    kept = {"ingest_date": day, "content": item.content_hash, "version": transaction.number}
                updated[item.source] = {**kept, "files": item.files}
            transaction.put(STATE, updated)
    never = [source for source, here in found.items() if not here and source not in latest]
    for source in never:
        logger.warning("no %s.csv in %s: its table is empty", source, files.root)
    return [item.source for item in new], never


def _tell_what_left(
    lake: Lake, root: str, found: Mapping[str, Mapping[str, FileInfo]], known: Mapping[str, Mapping[str, Any]]
) -> None:
    latest = ledger.snapshots(lake)
    away: dict[str, list[str]] = {}
    for source, here in found.items():
        if not here and source in latest:
            away.setdefault(latest[source].get("ingest_date", "no day"), []).append(source)
        elif left := sorted(known[source].keys() - here.keys()):
            logger.warning("%s left %s, and its records leave %s", ", ".join(left), root, source)
    for day, sources in sorted(away.items()):
        logger.info("not in %s any more: %s; the latest snapshot, of %s, stays", root, ", ".join(sources), day)


def _snapshot(
    source: str,
    master: Master,
    found: Mapping[str, FileInfo],
    contents: Mapping[str, bytes],
    contract: SourceContract,
    now: datetime,
) -> _Snapshot:
    digest = hashlib.sha256()
    for info in sorted(found.values(), key=lambda info: (info.name, info.path)):
        content = contents[info.path]
        digest.update(f"{info.name}\0{len(content)}\0".encode() + content)
    extra = extra_columns([names for _, names, _ in master.files], contract, [*_META, "ingest_date"])
    names = [*contract.required, *extra]
    rows: list[list[Any]] = []
    for file, _, records in master.files:
        for record in records:
            values = [record.values.get(column) for column in names]
            rows.append(
                [
                    *values,
                    record.raw,
                    record.raw_bytes,
                    record.fits_header,
                    len(rows),
                    now,
                    file,
                    now.strftime("%Y%m%dT%H%M%S"),
                ]
            )
    columns = to_arrow_schema(schema(contract, list(extra.values())))
    listed = {name: [info.length, info.modified] for name, info in found.items()}
    table = pa.table(
        [pa.array([row[n] for row in rows], field.type) for n, field in enumerate(columns)], schema=columns
    )
    return _Snapshot(source, listed, digest.hexdigest(), table)
