"""The demo's film and slides: `python -m demo` makes both, `python -m demo record|slides` one of them.

The film shows the commands of docs/demo.md, run for real on data that are generated in --work. The slides come from
docs/slides.md, with plots of the lake that the film left in --work. Needs the extra `demo`, and for the film a Chromium
that shows the report and the dashboard.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from cloud_analytics.errors import CloudAnalyticsError, UsageError

DOCS = Path(__file__).resolve().parents[1] / "docs"
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(help=__doc__)
@click.argument("part", type=click.Choice(["record", "slides", "all"]), default="all")
@click.option(
    "--work", type=_FOLDER, default="build/demo", show_default=True, help="For data and lake; `record` empties it."
)
@click.option("--out", type=_FOLDER, default=DOCS, help="For demo.mp4 and slides.html [default: docs].")
def main(part: str, work: Path, out: Path) -> None:
    """Make the parts that were asked for."""
    makers = {"record": (_record, out / "demo.mp4"), "slides": (_slides, out / "slides.html")}
    try:
        for make, target in makers.values() if part == "all" else [makers[part]]:
            length = make(work.absolute(), target)
            click.echo(f"{target}: {length}{target.stat().st_size / 1e6:.1f} MB")
    except ModuleNotFoundError as error:
        click.echo(f"error: {error.name} is missing: pip install -e '.[demo]'", err=True)
        sys.exit(UsageError.exit_code)
    except CloudAnalyticsError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def _record(work: Path, target: Path) -> str:
    """Film the script and return the length. Only a folder that a recording made, or an empty one, is emptied."""
    from cloud_analytics.serving.node import EmbeddedNode
    from demo.record import Recorder
    from demo.script import scenes

    if work.exists() and any(work.iterdir()) and not (work / "transcript.txt").exists():
        raise UsageError(f"--work {work} holds something that no recording made: give another folder")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    recorder = Recorder(work)
    try:
        recorder.record(scenes((DOCS / "demo.md").read_text(encoding="utf-8")))
    finally:
        (work / "transcript.txt").write_text("\n".join(recorder.said), encoding="utf-8")
        EmbeddedNode(work / "data" / "_cassandra").stop()
    recorder.film.save(target)
    return f"{recorder.film.seconds:.0f} s, "


def _slides(work: Path, target: Path) -> str:
    from demo import figures, slides

    text = (DOCS / "slides.md").read_text(encoding="utf-8")
    plots = figures.draw(work / "data" / "landing", work / "data")
    target.write_text(slides.build(text, DOCS, plots), encoding="utf-8")
    return ""


if __name__ == "__main__":
    main()
