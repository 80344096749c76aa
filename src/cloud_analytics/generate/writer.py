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
from cloud_analytics.generate.master_files import arriving, write_master
from cloud_analytics.generate.masters import Masters
from cloud_analytics.generate.settings import GeneratorSettings
from cloud_analytics.generate.truth import TRUTH_FILE, Truth


def generate(out: Path, settings: GeneratorSettings | None = None, *, overwrite: bool = False) -> Truth:
    """Write a landing folder and its `_truth.json`; the same settings give the same bytes.

    Landing files in `out` are a FileExistsError, or are removed first where `overwrite` is true. Files get their names
    only when they are complete, so a stream may watch the folder meanwhile.
    """
    settings = settings or GeneratorSettings()
    _make_room(out, overwrite)
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
    _write_events(out / EVENTS_FOLDER, settings, stream, dirt)
    invoices = matched_invoices(settings, stream.usage(), truth.leaks) if settings.matched else masters.rows(BILLING)
    write_master(out, BILLING, invoices, settings, truth)
    with arriving(out / TRUTH_FILE) as path:
        truth.write(path)
    return truth


def _write_events(folder: Path, settings: GeneratorSettings, stream: EventStream, dirt: EventDirt) -> None:
    rng = topic_random(settings.seed, "dirt-places")
    each, more = divmod(settings.events, settings.file_count)
    for index in range(settings.file_count):
        left = each + (index < more)
        strange = dirt.lines.get(index, [])
        with arriving(folder / settings.event_file(index)) as upload, upload.open("wb") as file:
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
        with arriving(folder / name) as upload:
            upload.write_bytes(content)


def _make_room(out: Path, overwrite: bool) -> None:
    """Raise FileExistsError where there are landing files, or remove them; other files in the folder stay."""
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file: name a folder to generate into")
    found = [path for name in MASTERS for path in (out / f"{name}.csv", *sorted((out / name).glob("*.csv")))]
    found += [out / TRUTH_FILE, *sorted((out / EVENTS_FOLDER).glob("*.json*"))]
    found = [path for path in found if path.is_file()]
    if found and not overwrite:
        raise FileExistsError(f"{out} already holds landing files ({found[0].name}): name another folder")
    for path in found:
        path.unlink()
        if path.parent.name in MASTERS and not any(path.parent.iterdir()):
            path.parent.rmdir()  # an empty folder of parts would count as an empty master
