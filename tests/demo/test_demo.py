"""The demo's documents name only what exists; the slides are built from text; a command is run and filmed for real."""

from __future__ import annotations

import os
import re
import sys
import zlib
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from PIL import Image

from cloud_analytics.errors import PipelineError, UsageError
from demo import figures, pictures
from demo.browser import PROGRAM, opened
from demo.film import Film, paced, told
from demo.record import Recorder
from demo.script import Scene, scenes
from demo.slides import PLOT, build
from demo.terminal import Output, Screen, run, serving
from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
DOCUMENTS = [DOCS / "demo.md", DOCS / "slides.md"]
SVG = '<svg viewBox="0 0 1 1"></svg>'


def named_in(text: str) -> list[str]:
    """What the images and links of a text name."""
    tokens = [token for block in MarkdownIt().parse(text) for token in block.children or []]
    found = [token.attrGet("src") or token.attrGet("href") for token in tokens if token.type in ("image", "link_open")]
    return [str(name) for name in found]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_only_what_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = named_in(text)
    assert {name.removeprefix(PLOT) for name in named if name.startswith(PLOT)} <= figures.NAMES
    files = [name for name in named if not name.startswith((PLOT, "https://"))]
    assert files
    assert [name for name in files if not (DOCS / name).is_file()] == []


def test_every_plot_is_on_a_slide() -> None:
    named = named_in((DOCS / "slides.md").read_text(encoding="utf-8"))
    assert {name.removeprefix(PLOT) for name in named if name.startswith(PLOT)} == figures.NAMES


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
        last = _picture(recorder.film, -1)
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

    def test_waiting_is_cut_and_that_is_said(self) -> None:
        spinner = [(n / 10, f"\r{n} s") for n in range(900)]
        output = Output((*spinner, (90.0, "\rdone\r\n"), (90.3, "all\r\n")), 90.3, 0)
        assert sum(seconds for seconds, _ in paced(output)) == pytest.approx(0.8 + 0.1 + 0.3, abs=0.2)
        assert "".join(text for _, text in paced(output)) == "".join(text for _, text in output.chunks)
        assert told(output) == "90 s, 89 s of waiting cut"
        assert told(Output(((0.4, "done\r\n"),), 0.5, 0)) == "0 s"  # nothing was cut
        film = Film()
        film.play(Screen(), "x", output, "A wait")
        assert film.seconds < 5

    def test_a_command_that_serves_is_interrupted_in_the_end(self, tmp_path: Path) -> None:
        server = "import signal, time; print('http://127.0.0.1:1 (Ctrl-C)', flush=True); time.sleep(300)"
        with serving(f'{sys.executable} -c "{server}"', tmp_path, os.environ) as output:
            assert (output.address, output.status) == ("http://127.0.0.1:1", 0)
        with serving("false", tmp_path, os.environ) as output:
            assert (output.text, output.status) == ("", 1)


@pytest.mark.skipif(PROGRAM is None, reason="needs Chromium: apt-get install chromium")
def test_a_page_is_looked_at_from_its_top_to_its_end(tmp_path: Path) -> None:
    parts = "".join(f'<div style="height: 600px; background: {colour}"></div>' for colour in ("red", "lime", "blue"))
    (tmp_path / "page.html").write_text(f"<body style='margin: 0'>{parts}</body>")
    film = Film()
    with opened() as browser:
        browser.go((tmp_path / "page.html").as_uri())
        film.look(browser, "caption", 9)
    assert 9 < film.seconds < 13  # three looks, and the way between them
    first, last = (_picture(film, number) for number in (0, -1))
    assert first.getpixel((10, 10)) == (255, 0, 0)
    assert last.getpixel((10, pictures.ROOM[1] - 10)) == (0, 0, 255)


def _picture(film: Film, number: int) -> Image.Image:
    return Image.frombytes("RGB", pictures.SIZE, zlib.decompress(film.shots[number][0]))
