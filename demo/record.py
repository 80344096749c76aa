"""The recording of docs/demo.md: its commands, run for real one after the other, as one film."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image, ImageChops

from cloud_analytics.errors import PipelineError
from demo import pictures
from demo.film import Film
from demo.script import Scene
from demo.terminal import Output, Screen, run

REPOSITORY = Path(__file__).resolve().parents[1]
NOTEBOOK = "05_insights"
_PAGE = 1100, 9_000  # pixels of a browser's window that a whole page fits into


@dataclass
class Recorder:
    """Runs the script's commands in `folder`, which holds nothing before, and films them."""

    folder: Path
    film: Film = field(default_factory=Film)
    said: list[str] = field(default_factory=list)  # the transcript: commands and what they wrote

    def record(self, script: list[Scene]) -> None:
        """All scenes; PipelineError where a command fails."""
        for scene in script:
            screen = Screen()
            print(scene.title, flush=True)
            for command in scene.commands:
                if command.startswith("jupyter lab"):
                    self.film.pan(self._notebook(), f"{scene.title}   ·   {NOTEBOOK}.ipynb", views=7)
                    continue
                filled = self.filled(command)
                output = self._run(filled)
                self.film.play(screen, filled, output, scene.title)
                page = re.search(r"--out (\S+\.html)", filled)
                if page:
                    self.film.pan(self._page(self.folder / page[1]), f"{scene.title}   ·   {page[1]}", views=9)

    def _run(self, command: str) -> Output:
        # This interpreter's own folder first: there is its cloud-analytics.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        output = run(command, self.folder, {**os.environ, "PATH": path})
        output = replace(output, chunks=tuple((at, self._relative(text)) for at, text in output.chunks))
        self.said += [f"$ {command}", f"({output.seconds:.1f} s)", output.text]
        if output.status:
            raise PipelineError(f"`{command}` ended with exit status {output.status}: {output.text[-400:]}")
        return output

    def filled(self, command: str) -> str:
        """With what the placeholders stand for: the organisation that `run` names, a day that stands out."""
        text = "\n".join(self.said)
        org = re.search(r"--org (org_\w+)", text)
        day = re.search(r"^(\d{4}-\d\d-\d\d) +(\w+) .*×", text, re.MULTILINE)
        values = {"ORG": org and org[1], "DATE": day and day[1], "SERVICE": day and day[2]}
        return " ".join(values.get(word) or word for word in command.split(" "))

    def _notebook(self) -> Image.Image:
        """A notebook, run over the lake of the film, as Jupyter prints it."""
        work = self.folder / "notebooks"
        work.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / "notebooks" / f"{NOTEBOOK}.ipynb", work)
        folders = {"LANDING": self.folder / "data" / "landing", "LAKE": self.folder / "data"}
        settings = {f"CLOUD_ANALYTICS_{name}": str(path) for name, path in folders.items()}
        command = f"{sys.executable} -m nbconvert --execute --to html {NOTEBOOK}.ipynb"
        done = run(command, work, {**os.environ, **settings})
        if done.status:
            raise PipelineError(f"the notebook {NOTEBOOK} failed: {done.text[-1000:]}")
        return self._page(work / f"{NOTEBOOK}.html")

    def _page(self, path: Path) -> Image.Image:
        """A page that a command wrote, as a browser shows it."""
        path.write_text(self._relative(path.read_text(encoding="utf-8")), encoding="utf-8")
        return _trimmed(pictures.page(path, *_PAGE))

    def _relative(self, text: str) -> str:
        """Where the recording is made is nobody's business: paths stand as they look from its folder."""
        return text.replace(f"{self.folder}{os.sep}", "")


def _trimmed(page: Image.Image) -> Image.Image:
    """Without the empty space below a page."""
    page = page.convert("RGB")
    empty = Image.new("RGB", page.size, page.getpixel((page.width - 1, page.height - 1)))
    box = ImageChops.difference(page, empty).getbbox()
    return page.crop((0, 0, page.width, min(page.height, box[3] + 20))) if box else page
