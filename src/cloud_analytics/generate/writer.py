"""Writes a landing folder: masters, events, dirt and the truth, as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from cloud_analytics.config.sources import EVENTS_FOLDER, MASTERS
from cloud_analytics.generate.catalog import BILLING
from cloud_analytics.generate.dirt_events import EventDirt
from cloud_analytics.generate.events import BLOCK, EventStream
from cloud_analytics.generate.ids import topic_random
from cloud_analytics.generate.masters import Masters, matched_invoices, write_master
from cloud_analytics.generate.plan import Calendar, plan_anomalies
from cloud_analytics.generate.settings import GeneratorSettings
from cloud_analytics.generate.truth import TRUTH_FILE, Truth
from cloud_analytics.runtime.filelock import FileLock, is_locked
from cloud_analytics.trust import expect_trusted

_ASIDE, _LOCK = "_generating.", "lock"  # the pipeline ignores names with this prefix; `make run` looks for them


def generate(out: Path, settings: GeneratorSettings | None = None, *, overwrite: bool = False) -> Truth:
    """Write a landing folder and its `_truth.json`; the same settings give the same bytes.

    Raises FileExistsError if `out` holds landing files, unless `overwrite` is true: then they are replaced. All files
    appear at the end, so a stream may watch the folder meanwhile. A failure or a stop before the end changes nothing.
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
    planned = settings.anomalies
    effects = plan_anomalies(settings, masters.resources, calendar, rng, truth.labels) if planned else {}
    dirt = EventDirt(settings, masters.resources, truth)
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


@contextmanager
def filled(out: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a staging folder; at the end, its files are moved into `out`, the folder of events last and by one rename.

    Raises FileExistsError if `out` is a file, if another process is generating into it, or if it holds landing files
    and `overwrite` is false; UsageError if `out` is in the hands of another user. If `overwrite` is true, landing files
    are removed at the end, and other files stay. If the block fails, `out` is unchanged. The next process removes what
    a killed process has left.
    """
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file: name a folder to generate into")
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    for name in (EVENTS_FOLDER, *MASTERS):
        expect_trusted(out / name, "who could lead the files elsewhere: name a folder of your own to generate into")
    _expect_room(out, overwrite)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(prefix=_ASIDE, dir=out) as aside, FileLock(Path(aside, _LOCK)):
            landing = Path(aside, "landing")
            landing.mkdir()
            yield landing
            _remove(_landing_files(out))
            _move(landing, out)
    except BaseException:
        with suppress(OSError):  # a folder in which another process has put something stays
            for folder in made:
                folder.rmdir()
        raise


def _expect_room(out: Path, overwrite: bool) -> None:
    left = [path for path in out.glob(f"{_ASIDE}*") if not path.is_symlink() and path.stat().st_uid == os.getuid()]
    if any(is_locked(path / _LOCK) for path in left):
        raise FileExistsError(f"another `generate` is writing to {out}: wait until it ends, or name another folder")
    found = _landing_files(out)
    if found and not overwrite:
        half = " of a `generate` that was killed while it put them there: remove them, or" if left else ":"
        raise FileExistsError(f"{out} already holds landing files ({found[0].name}){half} name another folder")
    for path in left:
        shutil.rmtree(path, ignore_errors=True)


def _landing_files(out: Path) -> list[Path]:
    found = [path for name in MASTERS for path in (out / f"{name}.csv", *sorted((out / name).glob("*.csv")))]
    found += [out / TRUTH_FILE, *sorted((out / EVENTS_FOLDER).glob("*.json*"))]
    return [path for path in found if path.is_file()]


def _remove(files: list[Path]) -> None:
    for path in files:
        path.unlink()
        if path.parent.name in MASTERS and not any(path.parent.iterdir()):
            path.parent.rmdir()  # an empty folder of parts would count as an empty master


def _move(landing: Path, out: Path) -> None:
    """Move everything into `out`; if something cannot be moved, remove what was moved before it."""
    moves: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        if source.is_dir() and target.is_dir() and (target.is_symlink() or any(target.iterdir())):
            for part in sorted(source.iterdir()):
                move(part, target / part.name)
        else:
            moves.append((source, target))
            os.replace(source, target)  # also replaces an empty folder

    try:
        for source in sorted(landing.iterdir(), key=lambda path: path.name == EVENTS_FOLDER):
            move(source, out / source.name)
    except BaseException:
        for target in [target for source, target in moves if not source.exists()]:
            if target.is_dir():
                shutil.rmtree(target, ignore_errors=True)
            else:
                target.unlink(missing_ok=True)
        raise
