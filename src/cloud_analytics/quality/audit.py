"""The conservation law, source by source: landing lines = Silver rows + quarantined rows (SPEC 2 and 9).

Landing is counted from its own files, Silver and quarantine from their Parquet; no figure is taken from the pipeline.
Event files that were archived after they were ingested can only be counted as Bronze holds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cloud_analytics.bronze import ledger
from cloud_analytics.bronze.events import landing_files
from cloud_analytics.config import EVENTS, MASTERS, Config
from cloud_analytics.lake.files import FileInfo, file_system
from cloud_analytics.lake.lake import Lake
from cloud_analytics.lake.schemas import BRONZE_EVENTS, QUARANTINE, SILVER_EVENTS, SILVER_MASTERS
from cloud_analytics.landing.csv_files import master_files, parse
from cloud_analytics.landing.events import read_lines
from cloud_analytics.quality import quarantine
from cloud_analytics.quality.events import BRONZE_ERRORS


@dataclass(frozen=True)
class SourceAudit:
    """One source: lines in landing, rows in Silver, rows in quarantine by error_type."""

    landing: int
    silver: int
    quarantine: dict[str, int]

    @property
    def balanced(self) -> bool:
        """Whether every landing line is accounted for exactly once."""
        return self.landing == self.silver + sum(self.quarantine.values())


@dataclass(frozen=True)
class Audit:
    """The audit of a lake against its landing folder; `archived` event files have left it since they were ingested."""

    sources: dict[str, SourceAudit]
    archived: int = 0

    @property
    def balanced(self) -> bool:
        """Whether the law holds for every source."""
        return all(source.balanced for source in self.sources.values())

    def as_json(self) -> dict[str, object]:
        """The shape that `audit --format json` prints."""
        sources = {
            name: {
                "landing": source.landing,
                "silver": source.silver,
                "quarantine": source.quarantine,
                "balanced": source.balanced,
            }
            for name, source in self.sources.items()
        }
        return {"sources": sources, "balanced": self.balanced}


def audit(lake: Lake, landing: str, config: Config) -> Audit:
    """Count every source; one Spark query for the lines in landing, and one for the zones."""
    files = landing_files(lake.spark, landing)
    archived = ledger.archived(lake, files)
    lines = _event_lines(lake, files) + _archived_lines(lake, archived)
    landed = {EVENTS: lines, **_master_records(lake, landing, config)}
    counts: dict[tuple[str, str, str], int] = {}
    zones = []
    for source in (EVENTS, *MASTERS):
        schema = SILVER_EVENTS if source == EVENTS else SILVER_MASTERS[source]
        silver = lake.read(f"silver/{source}", schema).select(
            F.lit(source).alias("source"), F.lit("silver").alias("zone"), F.lit("").alias("error_type")
        )
        rejects = lake.read(quarantine.table(source), QUARANTINE).select(
            F.lit(source).alias("source"), F.lit("quarantine").alias("zone"), "error_type"
        )
        zones += [silver, rejects]
    # Of Parquet it reads the footers and the error types: the other columns are constants.
    for row in reduce(DataFrame.unionByName, zones).groupBy("source", "zone", "error_type").count().collect():
        counts[row.source, row.zone, row.error_type] = row["count"]
    sources = {}
    for source in (EVENTS, *MASTERS):
        rejected = {key[2]: n for key, n in sorted(counts.items()) if key[:2] == (source, "quarantine")}
        sources[source] = SourceAudit(landed[source], counts.get((source, "silver", ""), 0), rejected)
    return Audit(sources, len(archived))


def _event_lines(lake: Lake, files: list[FileInfo]) -> int:
    unreadable = lake.read(quarantine.table(EVENTS), QUARANTINE).where("error_type = 'unreadable_file'")
    broken: set[str] = set()
    if lake.files.exists(quarantine.table(EVENTS)) and any(info.name.endswith(".gz") for info in files):
        broken = {row.source_file for row in unreadable.select("source_file").collect()}
    readable = [info.path for info in files if info.name not in broken]
    lines = read_lines(lake.spark, readable).count() if readable else 0
    return lines + sum(info.name in broken for info in files)


def _archived_lines(lake: Lake, names: list[str]) -> int:
    """Lines of these files as Bronze holds or rejected them, so that the law still binds what follows Bronze."""
    if not names:
        return 0
    accepted = lake.read(ledger.TABLE, BRONZE_EVENTS).select("source_file")
    rejects = lake.read(quarantine.table(EVENTS), QUARANTINE).where(F.col("error_type").isin(*BRONZE_ERRORS))
    lines = accepted.unionByName(rejects.select("source_file"))
    return lines.where(F.col("source_file").isin(names)).count()


def _master_records(lake: Lake, landing: str, config: Config) -> dict[str, int]:
    files = file_system(lake.spark, landing)
    found = {source: master_files(files, source) for source in MASTERS}
    contents = files.contents(info for infos in found.values() for info in infos)
    return {
        source: sum(len(parse(contents[info.path], info.name, config.sources[source])[1]) for info in infos)
        for source, infos in found.items()
    }
