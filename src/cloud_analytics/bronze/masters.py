"""Ingests CSV masters into bronze/<source>/ingest_date=, with all columns as text (contract 3 and 4).

If the content of a master changed, a new snapshot is written; it replaces an earlier snapshot of the same day. If the
files of a master left landing, its latest snapshot stays.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from cloud_analytics.bronze import ledger
from cloud_analytics.bronze.ledger import Snapshot
from cloud_analytics.config import MASTERS, Config, SourceContract
from cloud_analytics.errors import UsageError
from cloud_analytics.lake.file_system import FileInfo
from cloud_analytics.lake.lake import Lake
from cloud_analytics.landing.csv_files import Master, extra_columns, parse_master, read_masters
from cloud_analytics.landing.folder import KnownFile, as_now, as_read, changes, look
from cloud_analytics.tables import spark_types
from cloud_analytics.tables.zones import MASTER_METADATA

logger = logging.getLogger(__name__)

_METADATA = {column.name: column.type for column in MASTER_METADATA}


def schema(contract: SourceContract, extra: Sequence[str] = ()) -> StructType:
    """The Bronze schema of a master: contract columns and `extra` columns of a snapshot as text, then metadata."""
    return spark_types.schema(dict.fromkeys((*contract.required, *extra), "string") | _METADATA)


def ingest(lake: Lake, landing: str, config: Config) -> tuple[list[str], list[str]]:
    """Ingest every master whose files changed, in one transaction; return (new snapshots, masters that never arrived).

    A master that left landing or cannot be ingested yet keeps its latest snapshot, and a message says so. Raises
    UsageError before anything is written if a header lacks required columns or holds a column twice; the error lists
    all such problems.
    """
    files, settings = lake.reach(landing), config.pipeline.landing
    found = look(files, settings.follow_links).masters
    latest = lake.load(ledger.SNAPSHOTS)
    known = {source: ledger.master_files(lake, source) for source in MASTERS}
    _report_what_left(lake, files.root, found, known)
    stale = {source: here for source, here in found.items() if here and changes(known[source], here)}
    contents = read_masters(files, [here.values() for here in stale.values()], settings)
    parsed = {
        source: parse_master(here, contents, config.sources[source], known[source], settings.max_record_bytes)
        for source, here in stale.items()
    }
    after = {source: as_now(files, here) for source, here in stale.items()}
    problems = [problem for master in parsed.values() for problem in master.problems]
    if problems:
        raise UsageError("; ".join(problems) + "; correct this in landing and run again")
    for source, master in parsed.items():
        for reason in master.unfinished:
            rest = "its latest snapshot stays" if source in latest else "its table is empty"
            logger.warning("%s: %s: %s", source, reason, rest)
    now = datetime.now(timezone.utc)
    ready = [source for source, master in parsed.items() if not master.unfinished]
    new: list[str] = []
    if ready:
        updated = dict(latest)
        with lake.transaction() as transaction:
            for source in ready:
                listed = {name: as_read(info, info, after[source][name]) for name, info in stale[source].items()}
                digest = _digest(stale[source], contents)
                if source in latest and digest == latest[source].content:
                    updated[source] = replace(latest[source], files=listed)
                    continue
                new.append(source)
                day = now.date().isoformat()
                updated[source] = Snapshot(day, digest, transaction.number, listed)
                transaction.replace(
                    f"bronze/{source}/ingest_date={day}", _rows(parsed[source], config.sources[source], now)
                )
            transaction.store(ledger.SNAPSHOTS, updated)
    never = [source for source, here in found.items() if not here and source not in latest]
    for source in never:
        logger.warning("no %s.csv in %s: its table is empty", source, files.root)
    return new, never


def _report_what_left(
    lake: Lake, root: str, found: Mapping[str, Mapping[str, FileInfo]], known: Mapping[str, Mapping[str, KnownFile]]
) -> None:
    latest = lake.load(ledger.SNAPSHOTS)
    away: dict[str, list[str]] = {}
    for source, here in found.items():
        if not here and source in latest:
            away.setdefault(latest[source].ingest_date, []).append(source)
        elif left := sorted(known[source].keys() - here.keys()):
            logger.warning("%s left %s, and its records leave %s", ", ".join(left), root, source)
    for day, sources in sorted(away.items()):
        logger.info("not in %s any more: %s; the latest snapshot, of %s, stays", root, ", ".join(sources), day)


def _digest(found: Mapping[str, FileInfo], contents: Mapping[str, bytes | str]) -> str:
    """A hash of the names and the bytes of a master's files."""
    digest = hashlib.sha256()
    for info in sorted(found.values(), key=lambda info: (info.name, info.path)):
        content = contents[info.path]
        assert isinstance(content, bytes)  # who calls has looked
        digest.update(f"{info.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _rows(master: Master, contract: SourceContract, now: datetime) -> pa.Table:
    """The Bronze rows of a parsed master, one per record."""
    extra = extra_columns([names for _, names, _ in master.files], contract, [*_METADATA, "ingest_date"])
    texts = dict(zip(contract.required, contract.required)) | extra
    records = [(file, record) for file, _, records in master.files for record in records]
    values: dict[str, list[Any]] = {
        stored: [record.values.get(name) for _, record in records] for name, stored in texts.items()
    }
    values |= {
        "raw": [record.raw for _, record in records],
        "raw_bytes": [record.raw_bytes for _, record in records],
        "fits_header": [record.fits_header for _, record in records],
        "record_number": list(range(len(records))),
        "ingest_ts": [now] * len(records),
        "source_file": [file for file, _ in records],
        "batch_id": [now.strftime("%Y%m%dT%H%M%S")] * len(records),
    }
    return pa.table(values, schema=to_arrow_schema(schema(contract, list(extra.values()))))
