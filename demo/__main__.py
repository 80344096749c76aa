"""The demo's recording and slides: `python -m demo` makes both, `python -m demo record|slides` one of them.

The recording runs the commands of docs/demo.md on freshly generated data in --work and films them. The slides come
from docs/slides.md, with plots of the lake that the recording left in --work. Both go into docs/. Needs the extra
`demo`, and for the recording a Chromium that shows the report and a notebook.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from cloud_analytics.errors import CloudAnalyticsError, UsageError

DOCS = Path(__file__).resolve().parents[1] / "docs"
PARTS = ("record", "slides")


def main() -> int:
    """Makes the parts that were asked for; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=[*PARTS, "all"], default="all", help="What to make [default: all].")
    parser.add_argument(
        "--work", type=Path, default=Path("build/demo"), metavar="DIR", help="For data and lake; `record` empties it."
    )
    parser.add_argument("--out", type=Path, default=DOCS, metavar="DIR", help="For demo.mp4 and slides.html.")
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    try:
        if arguments.part != "slides":
            print(_record(work, arguments.out / "demo.mp4"))
        if arguments.part != "record":
            print(_slides(work, arguments.out / "slides.html"))
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is missing: pip install -e '.[demo]'", file=sys.stderr)
        return UsageError.exit_code
    except CloudAnalyticsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _record(work: Path, target: Path) -> str:
    from cloud_analytics.serving.node import EmbeddedNode
    from demo.record import Recorder
    from demo.script import scenes

    _empty(work)
    recorder = Recorder(work)
    try:
        recorder.record(scenes((DOCS / "demo.md").read_text(encoding="utf-8")))
    finally:
        (work / "transcript.txt").write_text("\n".join(recorder.said), encoding="utf-8")
        EmbeddedNode(work / "data" / "_cassandra").stop()
    recorder.film.save(target)
    return f"{target}: {recorder.film.seconds:.0f} s, {target.stat().st_size / 1e6:.1f} MB"


def _empty(work: Path) -> None:
    """Only a folder of ours is emptied: one that holds a transcript, or nothing."""
    if work.exists() and any(work.iterdir()) and not (work / "transcript.txt").exists():
        raise UsageError(f"--work {work} holds something that no recording made: give another folder")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)


def _slides(work: Path, target: Path) -> str:
    from demo import figures, slides

    text = (DOCS / "slides.md").read_text(encoding="utf-8")
    plots = figures.draw(work / "data" / "landing", work / "data")
    target.write_text(slides.build(text, DOCS, plots), encoding="utf-8")
    return f"{target}: {target.stat().st_size / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
