"""The demo's documents name only what exists; the slides are built from text; a command is run and filmed for real."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

import pytest
from PIL import Image

from cloud_analytics.errors import PipelineError, UsageError
from demo import figures, pictures
from demo.film import Film
from demo.record import Recorder
from demo.script import Scene, scenes
from demo.slides import PLOT, build, images, links
from demo.terminal import Screen, run
from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
DOCUMENTS = [DOCS / "demo.md", DOCS / "slides.md"]
SVG = '<svg viewBox="0 0 1 1"></svg>'


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_only_what_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = images(text)
    assert {name.removeprefix(PLOT) for name in named if name.startswith(PLOT)} <= figures.NAMES
    files = [name for name in [*named, *links(text)] if not name.startswith((PLOT, "https://"))]
    assert files
    assert [name for name in files if not (DOCS / name).is_file()] == []


def test_every_plot_is_on_a_slide() -> None:
    named = images((DOCS / "slides.md").read_text(encoding="utf-8"))
    assert {name.removeprefix(PLOT) for name in named} == figures.NAMES


def test_the_slides_page_is_that_of_the_text() -> None:
    text = (DOCS / "slides.md").read_text(encoding="utf-8")
    built = build(text, DOCS, dict.fromkeys(figures.NAMES, SVG))
    page = (DOCS / "slides.html").read_text(encoding="utf-8")
    # The plots are a lake's; all else must be what the text says now.
    assert re.sub(r"<svg.*?</svg>\n?", SVG, page, flags=re.DOTALL) == built


class TestSlides:
    def test_each_part_is_a_slide_and_nothing_is_loaded(self, tmp_path: Path) -> None:
        Image.new("RGB", (2, 2)).save(tmp_path / "x.png")
        text = "# Title & more\n\n---\n\n![a plot](plot:cost)\n\n![a picture](x.png)\n\n| a |\n|---|\n| <b> |\n"
        page = build(text, tmp_path, {"cost": SVG})
        assert page.count("<section ") == 2
        assert "<title>Title &amp; more</title>" in page
        assert SVG in page
        assert 'src="data:image/png;base64,' in page
        assert "<td>&lt;b&gt;</td>" in page
        assert not re.search(r'(src|href)="(?!data:)', page)

    @pytest.mark.parametrize("name", ["plot:other", "other.png"])
    def test_what_is_not_there_is_said(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(UsageError, match="other"):
            build(f"![x]({name})", tmp_path, {"cost": SVG})


class TestScript:
    def test_a_scene_is_a_section_with_commands(self) -> None:
        text = "# T\n## 0:00 Talk\nwords\n## 1:00 Do\n```\na --b  # why\nc\n```\n```text\nno\n```\n# How\n```\nx\n```\n"
        assert scenes(text) == [Scene("1:00 Do", ("a --b", "c"))]

    def test_the_script_of_the_docs_starts_from_nothing(self) -> None:
        first, second, *_ = (command for scene in scenes(DOCUMENTS[0].read_text("utf-8")) for command in scene.commands)
        assert (first, second) == ("cloud-analytics generate --out data/landing", "cloud-analytics run")


class TestRecording:
    def test_a_command_runs_in_a_terminal(self, tmp_path: Path) -> None:
        output = run("test -t 1 && printf '\\033[31mred ✓\\033[0m\\n' && exit 3", tmp_path, os.environ)
        assert (output.text, output.status) == ("red ✓\n", 3)

    def test_it_is_filmed_with_its_colours_and_without_the_folders_path(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path)
        recorder.record([Scene("Colours", ("printf '\\033[31m%s\\n' \"$PWD/data\"",))])
        assert recorder.said[-1] == "data\n"
        packed, _ = recorder.film.shots[-1]
        last = Image.frombytes("RGB", pictures.SIZE, zlib.decompress(packed))
        assert (0xFF, 0x7B, 0x72) in {colour for _, colour in last.getcolors(1 << 20) or []}
        assert 3 < recorder.film.seconds < 15

    def test_a_command_that_fails_ends_it(self, tmp_path: Path) -> None:
        with pytest.raises(PipelineError, match="exit status 4"):
            Recorder(tmp_path).record([Scene("Fails", ("exit 4",))])

    def test_placeholders_are_filled_from_what_was_said(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path, said=["query x --org org_1", "2025-08-01  compute  7.0  7.9 × the usual"])
        assert recorder.filled("trace --org ORG --date DATE --service SERVICE") == (
            "trace --org org_1 --date 2025-08-01 --service compute"
        )

    def test_a_wait_is_shown_faster_and_said(self) -> None:
        from demo.terminal import Output

        film = Film()
        film.play(Screen(), "x", Output(((0.0, "begun\r\n"), (90.0, "done\r\n")), 90.0, 0), "A wait")
        assert film.seconds < 20


def test_a_page_is_trimmed_and_fits() -> None:
    shown = pictures.shown(Image.new("RGB", (4000, 1000), "#ff0000"), "caption")
    assert shown.size == pictures.SIZE
    assert shown.getpixel((640, 372)) == (255, 0, 0)
