"""Small landing folders for whole pipelines, and what a lake holds as multisets of rows, to compare two of them."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from cloud_analytics.config import Config
from cloud_analytics.lake.file_system import ReadableFiles
from cloud_analytics.lake.files import open_files
from cloud_analytics.lake.inventory import changed_by_others
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.reading.audit import Audit, audit
from cloud_analytics.reading.lake import LakeReader
from tests.integration import hostile
from tests.integration.agreement import GOLD_KEYS, SILVER_KEYS, comparable, rows_of

ZONES = ("bronze", "silver", "gold", "quarantine", "_state", "_metrics")
# What a pipeline records about the ingest itself, and so may differ.
METADATA = {"ingest_ts", "source_file", "is_late"}
# What only `reconcile` settles: event scores over the whole history, and what Gold makes of them.
SCORES = {
    "cost_usd_capped", "cost_zscore", "cost_mad_score", "unit_price_ratio", "flag_zscore", "flag_mad",
    "flag_percentile", "flag_unit_price", "is_anomaly", "anomaly_score", "anomaly_reason",
}  # fmt: skip

Tables = dict[str, Counter[tuple[tuple[str, Any], ...]]]


def day_lines() -> list[str]:
    """Regular events, rejects of several kinds, and copies whose outcome does not hang on a file's name."""
    lines = hostile.regular(12)
    return [
        *lines,
        *lines[:5],
        hostile.event("pair", value=5),
        hostile.event("pair", value=5).replace(": ", ":"),  # differs as text, not as data
        hostile.event("negative", cost_usd_increment=-4),
        hostile.event("soon", timestamp="soon"),
        hostile.event("moon", service="moon"),
        "not json",
        "{}{}",
    ]


def write_landing(landing: Path, files: Mapping[str, Sequence[str]]) -> Path:
    """The hostile masters, and these files of events (compressed where the name says so)."""
    for name, text in hostile.MASTERS.items():
        path = landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    stream = landing / "usage_events_stream"
    stream.mkdir()
    for name, lines in files.items():
        content = "".join(line + "\n" for line in lines).encode()
        (stream / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return landing


def split(lines: Sequence[str], parts: int, seed: int) -> dict[str, Sequence[str]]:
    """The lines in another order over some files, one of them compressed."""
    shuffled = list(lines)
    random.Random(seed).shuffle(shuffled)
    files: dict[str, Sequence[str]] = {f"part_{n}.jsonl": shuffled[n::parts] for n in range(1, parts)}
    return {**files, "part_0.jsonl.gz": shuffled[0::parts]}


def read_only(pipeline: Pipeline) -> tuple[LakeReader, ReadableFiles, Config]:
    """A pipeline's lake and landing folder for what only reads them, and its configuration."""
    return LakeReader(pipeline.lake.files), open_files(pipeline.landing), pipeline.config


def audit_of(pipeline: Pipeline) -> Audit:
    """The audit of a pipeline's lake against its landing folder."""
    return audit(*read_only(pipeline))


def bag(rows: list[dict[str, Any]], without: set[str]) -> Counter[tuple[tuple[str, Any], ...]]:
    """Rows as a multiset, metadata left out."""
    return Counter(
        tuple((name, repr(comparable(value))) for name, value in sorted(row.items()) if name not in without)
        for row in rows
    )


def silver_and_gold(lake: Path, without: set[str] = METADATA) -> Tables:
    silver = [*SILVER_KEYS, "cost_baselines"]
    tables = {f"silver/{name}": bag(rows_of(lake, f"silver/{name}"), without) for name in silver}
    return tables | {f"gold/{mart}": bag(rows_of(lake, f"gold/{mart}"), without) for mart in GOLD_KEYS}


def reject_counts(lake: Path) -> Counter[tuple[str, str]]:
    return Counter(
        (source, row["error_type"]) for source in SILVER_KEYS for row in rows_of(lake, f"quarantine/{source}")
    )


def differing(one: Tables, other: Tables) -> list[str]:
    assert one.keys() == other.keys()
    return [f"{name}: {list((one[name] - other[name]) + (other[name] - one[name]))[:2]}" for name in one
            if one[name] != other[name]]  # fmt: skip


def unknown_files(lake: Path) -> list[str]:
    """Where the lake's files are not those that its state knows."""

    def no_session() -> SparkSession:
        raise AssertionError("files are listed without Spark")

    found = changed_by_others(Lake(no_session, str(lake)))
    return [f"{table}/{folder}" for table, folders in found.items() for folder in folders]


def files_of(lake: Path) -> dict[str, tuple[int, int]]:
    """Every file of the zones with its modification time and size."""
    return {
        str(path.relative_to(lake)): (path.stat().st_mtime_ns, path.stat().st_size)
        for zone in ZONES
        for path in (lake / zone).rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }
