"""The conservation law, source by source: landing lines = Silver rows + quarantined rows (contract 2 and 9).

For the months that finance has closed there is a second law: closed figures + restatements = what Silver holds (law 7).

The audit counts lines in the landing files, and rows in the Parquet files of Silver and quarantine. It takes no figure
from the pipeline. Two sources of lines can only be counted in Bronze: event files that were archived after their
ingest, and a master whose files left landing or cannot be ingested, so that its latest snapshot is still valid.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field

from cloud_analytics.bronze import ledger
from cloud_analytics.config import EVENTS, Config
from cloud_analytics.config.rules import BRONZE
from cloud_analytics.lake.file_system import FileInfo, ReadableFiles
from cloud_analytics.landing.csv_files import parse_master, read_masters
from cloud_analytics.landing.folder import UnreadableFile, has_text, lines, look
from cloud_analytics.reading.lake import LakeReader, each_source
from cloud_analytics.reading.periods import Month, closed_months
from cloud_analytics.reading.tables import SOURCES


@dataclass(frozen=True)
class SourceAudit:
    """The counts of one source: lines in landing, rows in Silver, rows in quarantine by error_type."""

    landing: int
    silver: int
    quarantine: dict[str, int]

    @property
    def rejected(self) -> int:
        """Rows in quarantine."""
        return sum(self.quarantine.values())

    @property
    def balanced(self) -> bool:
        """Whether every landing line is accounted for exactly once."""
        return self.landing == self.silver + self.rejected


@dataclass(frozen=True)
class Audit:
    """The audit of a lake against its landing folder.

    `archived`: the number of event files that left the landing folder after their ingest. `closed`: the closed months.
    `changed`: table → the files that somebody changed after the pipeline wrote them (`LakeReader.changed`).
    """

    sources: dict[str, SourceAudit]
    archived: int = 0
    closed: list[Month] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)

    @property
    def together(self) -> SourceAudit:
        """The counts of all sources together."""
        found = self.sources.values()
        rejected = sum((Counter(source.quarantine) for source in found), Counter())
        return SourceAudit(sum(source.landing for source in found), sum(source.silver for source in found), rejected)

    @property
    def balanced(self) -> bool:
        """Whether the conservation law holds for every source."""
        return all(source.balanced for source in self.sources.values())

    @property
    def holds(self) -> bool:
        """Whether all sources are balanced, closed months add up with their restatements, and nobody changed files."""
        return self.balanced and all(month.agrees for month in self.closed) and not self.changed

    def as_json(self) -> dict[str, object]:
        """The object that `audit --format json` prints; closed months and changed files appear only if any exist."""
        sources = {name: {**asdict(source), "balanced": source.balanced} for name, source in self.sources.items()}
        closed = [month.as_json() for month in self.closed]
        more = {"closed_months": closed, "changed_by_others": self.changed}
        return {"sources": sources, "balanced": self.balanced} | {key: found for key, found in more.items() if found}


def audit(lake: LakeReader, landing: ReadableFiles, config: Config) -> Audit:
    """Count the lines of every source in landing and its rows in Silver and quarantine."""
    found = look(landing, config.pipeline.landing.follow_links)
    files = sorted(found.events.values())
    archived = ledger.event_changes(lake, files).left
    landed = {EVENTS: _event_lines(lake, landing, files) + _archived_lines(lake, archived)}
    landed |= {source: _master_records(lake, landing, config, source, here) for source, here in found.masters.items()}
    query = "SELECT '{source}' AS source, NULL AS error_type, count(*) AS rows FROM silver.{source} UNION ALL"
    query += " SELECT '{source}', error_type, count(*) FROM quarantine.{source} GROUP BY error_type"
    silver, rejected = dict.fromkeys(SOURCES, 0), {source: dict[str, int]() for source in SOURCES}
    for row in lake.rows(f"{each_source(query, SOURCES)} ORDER BY error_type"):
        if row["error_type"] is None:
            silver[row["source"]] = row["rows"]
        else:
            rejected[row["source"]][row["error_type"]] = row["rows"]
    sources = {name: SourceAudit(landed[name], silver[name], rejected[name]) for name in SOURCES}
    return Audit(sources, len(archived), closed_months(lake, config), lake.changed())


def _event_lines(lake: LakeReader, landing: ReadableFiles, files: list[FileInfo]) -> int:
    """The number of non-blank lines. An unreadable file counts as one line, a file that no longer exists as none."""
    query = "SELECT source_file FROM quarantine.usage_events WHERE error_type = 'unreadable_file'"
    broken = {row["source_file"] for row in lake.rows(query)}
    counts: list[int] = []

    def count(info: FileInfo) -> None:
        try:
            counts.append(1 if info.name in broken else sum(map(has_text, lines(landing, info))))
        except UnreadableFile:
            counts.append(1)
        except FileNotFoundError:
            pass

    landing.each(count, files)
    return sum(counts)


def _archived_lines(lake: LakeReader, names: list[str]) -> int:
    """How many lines of these files Bronze ingested or rejected, so that the law can be checked from Bronze on."""
    if not names:
        return 0
    query = """
        SELECT count(*) AS rows FROM (
            SELECT source_file FROM bronze.usage_events
            UNION ALL SELECT source_file FROM quarantine.usage_events WHERE list_contains(?, error_type)
        ) WHERE list_contains(?, source_file)
    """
    return int(lake.row(query, [list(BRONZE), names])["rows"])


def _master_records(
    lake: LakeReader, landing: ReadableFiles, config: Config, source: str, found: dict[str, FileInfo]
) -> int:
    known, limits = ledger.master_files(lake, source), config.pipeline.landing
    contents = read_masters(landing, [found.values()], limits)
    master = parse_master(found, contents, config.sources[source], known, limits.max_record_bytes)
    if found and not master.unfinished:
        return master.records
    snapshot = lake.load(ledger.SNAPSHOTS).get(source)
    if snapshot is None:
        return 0
    query = f"SELECT count(*) AS rows FROM bronze.{source} WHERE ingest_date::VARCHAR = ?"
    return int(lake.row(query, [snapshot.ingest_date])["rows"])
