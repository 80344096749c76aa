"""Writes a landing folder file by file: masters, events, dirt and the truth."""

from __future__ import annotations

from pathlib import Path

from cloud_analytics.generate.anomalies import plan_anomalies
from cloud_analytics.generate.billing import matched_invoices
from cloud_analytics.generate.calendar import Calendar
from cloud_analytics.generate.catalog import BILLING, EVENTS_FOLDER, MASTERS
from cloud_analytics.generate.dirt_events import DirtMaker, EventDirt
from cloud_analytics.generate.events import BLOCK, EventStream
from cloud_analytics.generate.ids import topic_random
from cloud_analytics.generate.master_files import write_master
from cloud_analytics.generate.masters import Masters
from cloud_analytics.generate.settings import GeneratorSettings
from cloud_analytics.generate.truth import TRUTH_FILE, Truth
from cloud_analytics.generate.whole import filled


def generate(out: Path, settings: GeneratorSettings | None = None, *, overwrite: bool = False) -> Truth:
    """Write a landing folder and its `_truth.json`; the same settings give the same bytes.

    Landing files in `out` are a FileExistsError, or are replaced where `overwrite` is true. All files appear at
    the end: a stream may watch the folder meanwhile, and where this fails or is stopped the folder is as it was.
    """
    settings = settings or GeneratorSettings()
    with filled(out, overwrite) as landing:
        return _write(landing, settings)


def _write(out: Path, settings: GeneratorSettings) -> Truth:
    rng = topic_random(settings.seed, "calendar")
    truth = Truth(settings)
    masters = Masters(settings, truth.planted)
    for source in MASTERS:
        if source != BILLING:
            write_master(out, source, masters.rows(source), settings, truth)
    calendar = Calendar(settings, rng)
    effects = None
    if settings.anomalies:
        effects = plan_anomalies(settings, masters.resources, calendar, rng, truth.labels)
    dirt = DirtMaker(settings, masters.resources, truth).make() if settings.dirty else EventDirt()
    stream = EventStream(settings, masters.resources, calendar, effects, truth)
    (out / EVENTS_FOLDER).mkdir()
    _write_events(out / EVENTS_FOLDER, settings, stream, dirt)
    invoices = matched_invoices(settings, stream.usage(), truth.leaks) if settings.matched else masters.rows(BILLING)
    write_master(out, BILLING, invoices, settings, truth)
    truth.write(out / TRUTH_FILE)
    return truth


def _write_events(folder: Path, settings: GeneratorSettings, stream: EventStream, dirt: EventDirt) -> None:
    rng = topic_random(settings.seed, "dirt-places")
    each, more = divmod(settings.events, settings.file_count)
    for index in range(settings.file_count):
        left = each + (index < more)
        strange = dirt.lines.get(index, [])
        with (folder / settings.event_file(index)).open("wb") as file:
            while left:
                lines = stream.block(min(left, BLOCK))
                left -= len(lines)
                if strange:
                    mixed = [line.encode() for line in lines]
                    for line in strange:
                        mixed.insert(rng.randint(0, len(mixed)), line)
                    strange = []
                    file.write(b"\n".join(mixed) + b"\n")
                else:
                    file.write(("\n".join(lines) + "\n").encode())
    for name, content in dirt.files.items():
        (folder / name).write_bytes(content)
