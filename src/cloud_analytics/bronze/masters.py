"""CSV masters → bronze/<source>/ingest_date=, all columns as text (SPEC 3 and 4).

A master whose content changed is a new snapshot; the snapshot of a day replaces an earlier one of the same day.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import pandas as pd
from pyspark.sql.types import StructType

from cloud_analytics.config import MASTERS, Config, SourceContract
from cloud_analytics.errors import UsageError
from cloud_analytics.lake.files import ReadableFiles
from cloud_analytics.lake.lake import Lake, Transaction
from cloud_analytics.lake.schemas import columns
from cloud_analytics.landing.csv_files import extra_columns, master_files, parse

STATE = "_state/masters"
_META = ("raw", "raw_bytes", "fits_header", "record_number", "ingest_ts", "source_file", "batch_id")


@dataclass
class _Snapshot:
    """A master as it lies in landing now."""

    source: str
    files: list[list[Any]]
    content_hash: str
    frame: pd.DataFrame
    schema: StructType


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


def any_lie_in(files: ReadableFiles) -> bool:
    """Whether the landing folder holds a master at all."""
    return any(master_files(files, source) for source in MASTERS)


def ingest(lake: Lake, landing: str, config: Config) -> tuple[list[str], list[str]]:
    """Take in every master whose files changed, in one transaction; returns (new snapshots, missing masters).

    Raises UsageError, before anything is written, when a header lacks required columns or holds one twice; the line
    names all of them.
    """
    files = lake.reach(landing)
    state: dict[str, Any] = lake.state(STATE, {})
    listed = {source: master_files(files, source) for source in MASTERS}
    changed = {
        source: found
        for source, found in listed.items()
        if [[info.name, info.length, info.modified] for info in found] != state.get(source, {}).get("files")
    }
    missing = [source for source, found in listed.items() if not found]
    contents = files.contents(info for found in changed.values() for info in found)
    problems: list[str] = []
    now = datetime.now(timezone.utc)
    snapshots = []
    for source, found in changed.items():
        snapshot = _snapshot(
            source, [(info, contents[info.path]) for info in found], config.sources[source], now, problems
        )
        snapshots.append(snapshot)
    if problems:
        raise UsageError("; ".join(problems) + "; correct this in landing and run again")
    new = [item for item in snapshots if item.content_hash != state.get(item.source, {}).get("content")]
    if snapshots:
        with lake.transaction() as transaction:
            day = now.date().isoformat()
            with ThreadPoolExecutor(4) as pool:
                for future in [pool.submit(_write, lake, transaction, item, day) for item in new]:
                    future.result()
            updated = dict(state)
            for item in snapshots:
                kept = dict(state.get(item.source, {}))
                if item in new:
                    kept = {"ingest_date": day, "content": item.content_hash, "version": transaction.number}
                updated[item.source] = {**kept, "files": item.files}
            transaction.put(STATE, updated)
    return [item.source for item in new], missing


def _snapshot(
    source: str, found: list[tuple[Any, bytes]], contract: SourceContract, now: datetime, problems: list[str]
) -> _Snapshot:
    parsed = []
    digest = hashlib.sha256()
    for info, content in found:
        header, records, problem = parse(content, info.name, contract)
        digest.update(f"{info.name}\0{len(content)}\0".encode() + content)
        if problem:
            problems.append(problem)
        parsed.append((info.name, header, records))
    extra = extra_columns([header for _, header, _ in parsed], contract, [*_META, "ingest_date"])
    names = [*contract.required, *extra]
    stamp = pd.Timestamp(now).tz_convert("UTC").tz_localize(None)
    rows: list[list[Any]] = []
    for name, _, records in parsed:
        for record in records:
            values = [record.values.get(column) for column in names]
            rows.append(
                [
                    *values,
                    record.raw,
                    record.raw_bytes,
                    record.fits_header,
                    len(rows),
                    stamp,
                    name,
                    now.strftime("%Y%m%dT%H%M%S"),
                ]
            )
    frame = pd.DataFrame(rows, columns=[*contract.required, *extra.values(), *_META])
    listed = [[info.name, info.length, info.modified] for info, _ in found]
    return _Snapshot(source, listed, digest.hexdigest(), frame, schema(contract, list(extra.values())))


def _write(lake: Lake, transaction: Transaction, item: _Snapshot, day: str) -> None:
    frame = lake.spark.createDataFrame(item.frame, item.schema)
    folder = f"bronze/{item.source}/ingest_date={day}"
    transaction.replace(folder, frame.coalesce(1))
